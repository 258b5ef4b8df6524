/** What `pilotfish doctor` looks at on this host, with the sidecar's own eyes. Changes nothing. */
import { isIP } from 'node:net';
import {
  type Check,
  type Finding,
  fail,
  failure,
  ok,
  runChecks,
  skip,
  warn,
} from '../diagnosis/finding.ts';
import { judgeClock, judgeDisk, judgeExpiry, judgeMode, judgeName } from '../diagnosis/judge.ts';
import { resolveAddresses } from '../dns/addresses.ts';
import { type AgentTimes, nativeAway } from '../dns/failover-lint.ts';
import { messageOf } from '../guards.ts';
import { failureTexts } from '../health/probe.ts';
import { openAgent } from '../host/agent-platform.ts';
import {
  isClockSynchronised,
  readFreeBytes,
  readMode,
  readModifiedAtMs,
  runtimeVersion,
} from '../host/doctor-facts.ts';
import { asOwnerOf } from '../host/privilege.ts';
import { readAgentFile, readAgentKey } from '../host/sidecar-files.ts';
import { systemClock as clock } from '../host/system-clock.ts';
import { expiresAtMs } from '../list/freshness.ts';
import type { Manager } from '../list/model.ts';
import { renderPosition } from '../list/position.ts';
import { fileSeenOf } from '../sidecar/file-seen.ts';
import { targetOf } from '../sidecar/health-book.ts';
import { readMemory } from '../sidecar/memory.ts';
import { type News, pollSources } from '../sidecar/source.ts';
import { readTrust } from '../sidecar/trust.ts';
import { openDnsSource } from './build-sidecar-dns.ts';
import { buildNames } from './build-sidecar-names.ts';
import { openRooms, readAgentTimes, readConfig, readStatus } from './build-sidecar-open.ts';
import { judgeRelayHere } from './build-sidecar-relay.ts';
import { buildSourceWorld, type Rooms } from './build-sidecar-rooms.ts';
import { knownList } from './build-sidecar-world.ts';
import { statusAgeMs } from './sidecar-command.ts';

const dayMs = 86_400_000;

/** Never rejects for what is wrong with this host: that is what it tells. */
export async function examineSidecar(
  configPath: string | undefined,
  version: string,
): Promise<readonly Finding[]> {
  const program = ok('program', `pilotfish ${version}, ${runtimeVersion()}`);
  let rooms: Rooms;
  try {
    rooms = await openRooms(await readConfig(configPath), version);
  } catch (thrown) {
    return [program, failure('configuration', thrown)];
  }
  const look = (): Promise<readonly Finding[]> => runChecks(clock, checksOf(rooms));
  const found = await asOwnerOf(rooms.stateDirectory, look);
  return [program, ok('configuration', 'every key is known and in its range'), ...found];
}

function checksOf(rooms: Rooms): readonly Check[] {
  return [
    { name: 'agent', run: () => checkAgent(rooms) },
    { name: 'ossec.conf', run: () => checkFile(rooms) },
    { name: 'client.keys', run: () => checkKeys(rooms) },
    { name: 'state', run: () => checkState(rooms) },
    { name: 'sidecar', run: () => checkRunning(rooms) },
    { name: 'metrics', run: () => checkTextfile(rooms) },
    { name: 'trust', run: () => checkTrust(rooms) },
    { name: 'publishers', run: () => checkSources(rooms) },
    { name: 'managers', run: () => checkManagers(rooms) },
    { name: 'dns', run: () => checkNames(rooms) },
    { name: 'failover', run: () => checkNative(rooms) },
    { name: 'relay', run: () => checkRelay(rooms) },
  ];
}

async function checkAgent({ home }: Rooms): Promise<readonly Finding[]> {
  const facts = await openAgent(home, clock).readFacts();
  if (!facts.installed) {
    const fix = `install the Wazuh agent, or set agent.home in pilotfish.yml`;
    return [fail('agent', `none in ${home.home}`, fix)];
  }
  const version = facts.version ?? 'an agent of unknown version';
  if (!facts.running) {
    return [fail('agent', `${version} is not running`, "start it; look at the agent's own log")];
  }
  if (facts.waiting || (facts.peers.length === 0 && facts.status !== 'connected')) {
    const fix = '`pilotfish status --why` tells what is done about it';
    return [fail('agent', `${version} is not connected`, fix)];
  }
  if (facts.upgrade !== undefined) {
    const fix = 'nothing is changed until it ends; a lock that stays was left by a failed upgrade';
    return [warn('agent', `an upgrade is under way (${facts.upgrade})`, fix)];
  }
  return [ok('agent', `${version}, connected`)];
}

async function checkFile({ home }: Rooms): Promise<readonly Finding[]> {
  const check = 'ossec.conf';
  const bytes = await readAgentFile(home.configPath);
  if (bytes === 'missing') {
    return [fail(check, `${home.configPath} is not there`, 'set agent.home or agent.config')];
  }
  if (!(bytes instanceof Uint8Array)) {
    return [fail(check, bytes.why, 'it must be a regular file with one name that we may read')];
  }
  const { version } = await openAgent(home, clock).readFacts();
  const seen = fileSeenOf(bytes, version);
  if (seen.kind !== 'readable') {
    const why = seen.kind === 'refused' ? `${seen.code} ${seen.why}` : 'is not there';
    return [fail(check, why, 'the agent itself could not load it: mend the named place')];
  }
  const names = seen.servers.map(({ address, port }) => `${address}:${port}`).join(', ');
  if (seen.servers.length === 0) {
    return [warn(check, 'names no manager yet', '`pilotfish plan --diff` shows what would be')];
  }
  return [ok(check, `grammar of ${seen.dialect}.x; names ${names}`)];
}

async function checkKeys({ keysPath, config }: Rooms): Promise<readonly Finding[]> {
  const check = 'client.keys';
  const mode = await readMode(keysPath);
  const exposed = mode.mode !== undefined && (mode.mode & 0o007) !== 0;
  if (exposed) {
    const fix = `chmod o-rwx ${keysPath}, then give the agent a new key`;
    return [fail(check, `every user may read ${keysPath}`, fix)];
  }
  const key = await readAgentKey(keysPath);
  if (key !== undefined) return [ok(check, 'the agent is enrolled, its key can be read')];
  const need = config.report.enabled ? 'reports to the publisher need it' : 'it gives the agent id';
  const fix = 'enrol the agent; let the user of pilotfish be in group wazuh';
  return [warn(check, `no key in ${keysPath}, or it may not be read; ${need}`, fix)];
}

async function checkState({ stateDirectory, applierDirectory }: Rooms) {
  const folders = await Promise.all([stateDirectory, applierDirectory].map(readMode));
  const modes = folders.map((folder) => judgeMode(folder, 'owned'));
  return [...modes, judgeDisk(stateDirectory, await readFreeBytes(stateDirectory))];
}

async function checkRunning({ files }: Rooms): Promise<readonly Finding[]> {
  const status = await readStatus(files);
  if (status === undefined || status.ageMs > statusAgeMs) {
    const text = 'none has ended a cycle in the last three minutes';
    return [warn('sidecar', text, 'start it (`systemctl start pilotfish`), or look at its log')];
  }
  const { alarms } = status.report;
  const told = alarms.map(({ level, text }): Finding => {
    const fix = '`pilotfish status --why` tells more';
    return level === 'critical' ? fail('sidecar', text, fix) : warn('sidecar', text, fix);
  });
  return told.length > 0 ? told : [ok('sidecar', 'runs, without alarms')];
}

/** Written behind every status; that it cannot be stops nothing, so only this tells. */
async function checkTextfile({ config, files }: Rooms): Promise<readonly Finding[]> {
  const { textfile } = config.metrics;
  const status = await readStatus(files);
  if (textfile === undefined || status === undefined) return [];
  const writtenAtMs = await readModifiedAtMs(textfile);
  const isBehind = writtenAtMs === undefined || status.report.atMs - writtenAtMs > textfileLagMs;
  if (!isBehind) return [ok('metrics', `${textfile} is written`)];
  const seen = writtenAtMs === undefined ? 'is not there' : 'is older than the last status';
  const fix =
    'let the user of pilotfish write in its folder; under systemd name it in ReadWritePaths too';
  return [warn('metrics', `${textfile} ${seen}`, fix)];
}

const textfileLagMs = 60_000;

async function checkTrust(rooms: Rooms): Promise<readonly Finding[]> {
  const memory = await readMemory(rooms.memoryFile);
  if (memory === undefined) {
    return [fail('trust', 'this host never joined', 'run `pilotfish join TOKEN`')];
  }
  const nowMs = clock.nowMs();
  const trust = await readTrust(memory, nowMs, rooms.place.zone);
  const { root } = trust.newest;
  const expiry = judgeExpiry('root', `root ${root.version}`, {
    expiresAtMs: root.expiresAtMs,
    nowMs,
    warnMs: 30 * dayMs,
    fix: '`pilotfish-publisher root renew`, on the publisher',
  });
  if (trust.list === undefined) {
    return [expiry, warn('list', 'none was accepted yet', 'see what `publishers` says')];
  }
  const { list } = trust.list;
  const what = `list ${renderPosition(list)}`;
  if (memory.stalePolls === 0) return [expiry, ok('list', `${what}, proven fresh`)];
  const fix = 'see what `publishers` says; the list stays in use meanwhile';
  const late = `${what}: no proof of freshness in ${memory.stalePolls} polls`;
  const isExpired = nowMs >= expiresAtMs(list);
  return [
    expiry,
    isExpired ? fail('list', `${late}; it has expired`, fix) : warn('list', late, fix),
  ];
}

/** Each publisher on its own, by the very question that the sidecar asks, proven the same way. */
async function checkSources(rooms: Rooms): Promise<readonly Finding[]> {
  const memory = await readMemory(rooms.memoryFile);
  const synchronised = await isClockSynchronised();
  if (memory === undefined) return judgeClock(undefined, '', synchronised);
  const trust = await readTrust(memory, clock.nowMs(), rooms.place.zone);
  const own = rooms.config.sources.publishers;
  const urls = own.length > 0 ? own : trust.newest.root.publishers.map(({ url }) => url);
  const dns = await openDnsSource(rooms);
  const ask = async (sources: Rooms['config']['sources']): Promise<News> =>
    pollSources(buildSourceWorld(sources, dns), memory, trust, { waitMs: 0 });
  const asked = await Promise.all(
    urls.map(async (url) => ({
      url,
      news: await ask({ ...rooms.config.sources, publishers: [url], files: [] }),
      atMs: clock.nowMs(),
    })),
  );
  const findings = asked.map(({ url, news }) => publisherFinding(url, news));
  const fresh = asked.find(({ news }) => news.freshness === 'fresh');
  const skewMs = fresh?.news.seenAtMs === undefined ? undefined : fresh.atMs - fresh.news.seenAtMs;
  const hasOne = asked.length === 0 || fresh !== undefined;
  return [
    ...judgeClock(skewMs, `publisher ${fresh?.url ?? ''}`, synchronised),
    ...(hasOne ? findings.map(softened) : findings),
  ];
}

function publisherFinding(url: string, news: News): Finding {
  const check = `publisher ${url}`;
  const fault = news.faults.find(({ source }) => source.startsWith(url));
  if (fault !== undefined) return failure(check, fault.error);
  if (news.freshness === 'fresh') return ok(check, 'answers, pinned key, fresh receipt');
  const fix = 'it is overloaded, or something between strips its answers';
  return warn(check, 'answers without a valid receipt', fix);
}

/** While another one answers, a dead publisher stops nothing. A broken proof stays what it is. */
function softened(finding: Finding): Finding {
  const isProof = /^E(104|[234]\d\d)/.test(finding.text);
  return finding.level === 'fail' && !isProof ? { ...finding, level: 'warn' } : finding;
}

async function managersOf(rooms: Rooms): Promise<readonly Manager[]> {
  const known = await knownList(rooms).catch(() => undefined);
  return known?.list.ranking ?? [];
}

async function checkManagers(rooms: Rooms): Promise<readonly Finding[]> {
  const managers = await managersOf(rooms);
  if (managers.length === 0) return [skip('managers', 'no list names any')];
  const outcomes = await Promise.all(
    managers.map((manager) => rooms.prober.probe(targetOf(manager), rooms.config.probe.deadline)),
  );
  const isAnyUp = outcomes.some(({ kind }) => kind === 'alive');
  return managers.map(({ id, address, port, state }, index) => {
    const outcome = outcomes[index];
    const check = `port ${id} ${address}:${port}`;
    if (outcome === undefined) return skip(check, 'was not asked');
    if (outcome.kind === 'alive') return ok(check, `answers in ${outcome.tookMs.toFixed(1)} ms`);
    const text = `${failureTexts[outcome.failure]} (${outcome.detail})`;
    const fix = `see wazuh-remoted on ${id} and the firewalls between; TCP alone proves nothing`;
    const isExpected = state !== 'up';
    return isAnyUp || isExpected ? warn(check, text, fix) : fail(check, text, fix);
  });
}

async function checkNames(rooms: Rooms): Promise<readonly Finding[]> {
  const managers = await managersOf(rooms);
  const names = [...new Set(managers.map(({ address }) => address))].filter(
    (one) => isIP(one) === 0,
  );
  if (names.length === 0) return [skip('dns', 'no manager is named by a host name')];
  const tools = await buildNames(rooms.config);
  const times = await readAgentTimes(rooms.home);
  const told = await Promise.all(
    names.map(async (name): Promise<readonly Finding[]> => {
      try {
        const { addresses, ttlLeftMs, isStale } = await resolveAddresses(tools.world, name);
        const ttl = ttlLeftMs === undefined ? {} : { ttlSec: Math.ceil(ttlLeftMs / 1_000) };
        return judgeName({ name, addresses, isStale, ...ttl }, times);
      } catch (thrown) {
        return [failure(`dns ${name}`, thrown)];
      }
    }),
  );
  return told.flat();
}

/** What the agent does alone, with this sidecar dead: settings that are worth a look. */
async function checkNative({ home, config }: Rooms): Promise<readonly Finding[]> {
  const noticed = hungAfterSec(await readAgentTimes(home));
  const tuned = hungAfterSec({
    ...(await readAgentTimes(home)),
    notifyTime: 10,
    timeReconnect: 30,
  });
  const text = `apply.mode ${config.apply.mode}; with the sidecar dead the agent notices a hung manager after ${noticed} s`;
  if (tuned >= noticed) return [ok('failover', text)];
  return [ok('failover', `${text}; tuning.notifyTime 10 and tuning.timeReconnect 30: ${tuned} s`)];
}

/** By itself, before it tries the next one (real-agent-lab 3). */
function hungAfterSec(times: AgentTimes): number {
  return nativeAway(0, times).find(({ fault }) => fault === 'hung')?.awaySec ?? 0;
}

/** The relay lives in `run`, which writes its status more often. */
const relayAgeMs = 60_000;

async function checkRelay(rooms: Rooms): Promise<readonly Finding[]> {
  if (rooms.config.apply.mode !== 'relay') return [await relayUnused(rooms)];
  const status = await readStatus(rooms.files);
  const seen = status !== undefined && status.ageMs <= relayAgeMs ? status.report.relay : undefined;
  if (seen?.kind === 'open') return [ok('relay', `open on ${seen.address}:${seen.port}`)];
  const fix = 'meet the named condition, or choose another apply.mode';
  if (seen?.kind === 'refused') return [fail('relay', `${seen.code} ${seen.why}`, fix)];
  const permission = await judgeRelayHere(rooms);
  if (permission.kind === 'refused') return [fail('relay', permission.text, fix)];
  return [warn('relay', 'may be used, but no sidecar runs', 'start the sidecar')];
}

async function relayUnused(rooms: Rooms): Promise<Finding> {
  try {
    const permission = await judgeRelayHere(rooms);
    const could = permission.kind === 'allowed' ? 'it could be' : `it needs: ${permission.text}`;
    return skip('relay', `not used; ${could}`);
  } catch (thrown) {
    return skip('relay', `not used; ${messageOf(thrown)}`);
  }
}
