/** What `pilotfish-publisher doctor` looks at in a publisher's directory and around it. Changes nothing. */
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
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
import {
  compareVersions,
  judgeClock,
  judgeClusterKey,
  judgeDisk,
  judgeExpiry,
  judgeMode,
  judgeName,
} from '../diagnosis/judge.ts';
import { resolveAddresses } from '../dns/addresses.ts';
import { defaultAgentTimes } from '../dns/failover-lint.ts';
import { failureTexts } from '../health/probe.ts';
import { buildCertificateMaker } from '../host/certificate-maker.ts';
import { tellPublisher } from '../host/change-socket.ts';
import {
  isClockSynchronised,
  type PortSeen,
  readFreeBytes,
  readMode,
  runtimeVersion,
  tryPort,
} from '../host/doctor-facts.ts';
import { buildProber } from '../host/probe-socket.ts';
import { openPublisherFolder } from '../host/publisher-folder.ts';
import { readBounded } from '../host/read-bounded.ts';
import { systemClock as clock, systemRandom as random } from '../host/system-clock.ts';
import { oddAddress } from '../publisher/addresses/odd-address.ts';
import { listedManagers } from '../publisher/content.ts';
import { listExpiresAtMs } from '../publisher/history.ts';
import { loadRoots } from '../publisher/load-roots.ts';
import type { AgentRow } from '../publisher/reports/agent-book.ts';
import { hostsOf } from '../publisher/server-identity.ts';
import { probeManagers } from '../publisher/watch-managers.ts';
import { parseClientKeys } from '../wazuh/client-keys.ts';
import { parseManagerVersion } from '../wazuh/manager-version.ts';
import { editionOfHome } from './build-cluster-host.ts';
import { leaderChecks } from './build-leader-doctor.ts';
import { readFollowed } from './build-publisher-follow.ts';
import { openOffice, readConfig } from './build-publisher-office.ts';
import { buildNames } from './build-sidecar-names.ts';
import { defaultClusterSection, readNodeConfig } from './cluster-config.ts';
import type { PublisherConfig } from './publisher-config.ts';

const dayMs = 86_400_000;
const socketName = 'publisher.sock';

/** Never rejects for what is wrong with this publisher: that is what it tells. */
export async function examinePublisher(
  directory: string,
  version: string,
): Promise<readonly Finding[]> {
  const path = resolve(directory);
  const program = ok('program', `pilotfish-publisher ${version}, ${runtimeVersion()}`);
  try {
    const config = await readConfig(openPublisherFolder(path));
    const ground = { path, config };
    return [
      program,
      ok('configuration', 'every key is known and in its range'),
      ...(await runChecks(clock, checksOf(ground))),
    ];
  } catch (thrown) {
    return [program, failure('configuration', thrown)];
  }
}

interface Ground {
  readonly path: string;
  readonly config: PublisherConfig;
}

function checksOf(ground: Ground): readonly Check[] {
  if (ground.config.follow !== undefined) return followerChecks(ground);
  return [
    { name: 'permissions', run: () => checkModes(ground) },
    { name: 'root', run: () => checkRoot(ground) },
    { name: 'list', run: () => checkList(ground) },
    { name: 'certificate', run: () => checkCertificate(ground) },
    { name: 'port', run: () => checkPorts(ground) },
    { name: 'managers', run: () => checkManagers(ground) },
    { name: 'dns', run: () => checkNames(ground) },
    { name: 'agent keys', run: () => checkAgentKeys(ground) },
    { name: 'clock', run: () => checkClock(ground) },
    { name: 'versions', run: () => checkVersions(ground) },
    ...leaderChecks(ground),
    { name: 'cluster key', run: () => checkClusterKey(ground) },
  ];
}

/** What a follower has no part in is not looked at: keys, roots to renew, reports. */
function followerChecks(ground: Ground): readonly Check[] {
  const { path, config } = ground;
  const modes = async () => [
    judgeMode(await readMode(path), 'owned'),
    judgeMode(await readMode(resolve(path, config.files.server)), 'secret'),
    judgeDisk(path, await readFreeBytes(path)),
  ];
  return [
    { name: 'permissions', run: modes },
    { name: 'list', run: () => checkFollowed(ground) },
    { name: 'certificate', run: () => checkCertificate(ground) },
    { name: 'port', run: () => checkPorts(ground) },
    {
      name: 'clock',
      run: async () => judgeClock(undefined, 'the writer', await isClockSynchronised()),
    },
    { name: 'cluster key', run: () => checkClusterKey(ground) },
  ];
}

async function checkFollowed({ path, config }: Ground): Promise<readonly Finding[]> {
  const held = (await readFollowed(path))?.held;
  const from = config.follow?.from.join(', ');
  if (held === undefined) {
    return [warn('list', `none came yet from ${from}`, '`run`, then `status` says what is wrong')];
  }
  const { entry, root } = held;
  const fix = 'does the writer run, and can it be reached from here?';
  const facts = { expiresAtMs: listExpiresAtMs(entry), nowMs: clock.nowMs(), warnMs: 0, fix };
  const list = judgeExpiry('list', `version ${entry.version} from ${held.source}`, facts);
  const rootFix = '`pilotfish-publisher root renew` on the writer, with the root keys';
  const ends = { expiresAtMs: root.expiresAtMs, warnMs: 60 * dayMs, fix: rootFix };
  return [list, judgeExpiry('root', `root ${root.version}`, { ...ends, nowMs: clock.nowMs() })];
}

async function checkModes({ path, config }: Ground): Promise<readonly Finding[]> {
  const { files } = config;
  const rootKeys = await openPublisherFolder(path).list('root-keys');
  const secrets = [files.listKey, files.authorityKey, files.server, files.tokens];
  const paths = [...secrets, ...rootKeys.map((name) => join('root-keys', name))];
  const judged = await Promise.all(
    paths.map(async (name) => judgeMode(await readMode(resolve(path, name)), 'secret')),
  );
  const online =
    rootKeys.length === 0
      ? []
      : [
          warn(
            'root keys',
            `${rootKeys.length} lie on this host: whoever takes it may name any manager`,
            'carry them to their holders once the fleet has joined, and delete them here',
          ),
        ];
  const folder = judgeMode(await readMode(path), 'owned');
  return [folder, ...judged, ...online, judgeDisk(path, await readFreeBytes(path))];
}

async function checkRoot({ path, config }: Ground): Promise<readonly Finding[]> {
  const folder = openPublisherFolder(path);
  const { newest } = await loadRoots(folder, config.files.roots, config.org);
  const { root } = newest;
  const expiry = judgeExpiry('root', `root ${root.version}`, {
    expiresAtMs: root.expiresAtMs,
    nowMs: clock.nowMs(),
    warnMs: 60 * dayMs,
    fix: '`pilotfish-publisher root renew`, with the root keys',
  });
  const { threshold, kids } = root.roles.root;
  if (kids.length > threshold)
    return [expiry, ok('root keys needed', `${threshold} of ${kids.length}`)];
  const fix = '`keys replace-root` with more keys than the threshold: one lost key is then no end';
  return [
    expiry,
    warn('root keys needed', `all ${threshold} of ${kids.length}: none may be lost`, fix),
  ];
}

/** Opens everything as `run` does: keys, roots, history. */
async function checkList({ path }: Ground): Promise<readonly Finding[]> {
  const office = await openOffice(path);
  try {
    const newest = office.history.newest();
    if (newest === undefined) {
      return [warn('list', 'nothing was published yet', '`pilotfish-publisher run` or `publish`')];
    }
    const fix = 'see why it is not signed anew: does `run` run, is the list key the right one?';
    const facts = { expiresAtMs: listExpiresAtMs(newest), nowMs: clock.nowMs(), warnMs: 0, fix };
    return [
      judgeExpiry('list', `version ${newest.version}`, facts),
      ok('list key', 'the root lets it sign'),
    ];
  } finally {
    office.close();
  }
}

async function checkCertificate({ path, config }: Ground): Promise<readonly Finding[]> {
  const pem = await openPublisherFolder(path).read(config.files.server);
  const found = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(pem ?? '');
  const others = await Promise.all(
    config.export.certificates.map(({ file }) => checkOther(path, file)),
  );
  const isFollower = config.follow !== undefined;
  const todo = '`export.certificates` on the writer makes it; carry it here';
  if (found === null && isFollower) return [fail('certificate', 'there is none', todo)];
  if (found === null) return [...others, skip('certificate', 'none yet: `run` makes it')];
  const { notAfterMs } = buildCertificateMaker(clock, random).inspect(found[0]);
  const fix = isFollower ? todo : '`run` renews it by itself; see `certificate.failed` in its log';
  const facts = { expiresAtMs: notAfterMs, nowMs: clock.nowMs(), warnMs: 5 * dayMs, fix };
  return [judgeExpiry('certificate', 'the server certificate', facts), ...others];
}

/** One that is kept for another server. */
async function checkOther(path: string, file: string): Promise<Finding> {
  const check = `certificate ${file}`;
  const fix = '`run` writes it anew; `status` says why it did not';
  const pem = await readBounded(resolve(path, file), 64 * 1024);
  const found = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(`${pem ?? ''}`);
  if (found === null) return warn(check, 'it is not there yet, or may not be read', fix);
  const { notAfterMs } = buildCertificateMaker(clock, random).inspect(found[0]);
  return judgeExpiry(check, file, {
    ...{ expiresAtMs: notAfterMs, nowMs: clock.nowMs() },
    ...{ warnMs: 5 * dayMs, fix },
  });
}

const portTexts: Readonly<Record<Exclude<PortSeen, 'free'>, readonly [string, string]>> = {
  taken: ['another program listens there', '`ss -ltnp` names it; stop it or change the address'],
  forbidden: ['this user may not listen there', 'choose a port from 1024, or give the capability'],
  no_address: ['this host has no such address', 'name an address of this host'],
};

async function checkPorts({ path, config }: Ground): Promise<readonly Finding[]> {
  const { host, port } = config.listen;
  const check = `port ${host}:${port}`;
  const said = await tellPublisher(join(path, socketName), 'changed', clock);
  if (said === '') {
    const fix = 'its log says why; `systemctl restart pilotfish-publisher`';
    return [fail(check, 'the publisher that runs here does not answer', fix)];
  }
  if (said !== undefined) return [ok(check, `the running publisher answers: ${said}`)];
  const seen = await tryPort(host, port);
  if (seen !== 'free') return [fail(check, ...portTexts[seen])];
  return [
    warn(check, 'free, but no publisher runs here', 'start it: sidecars keep their last list'),
  ];
}

async function checkManagers({ config }: Ground): Promise<readonly Finding[]> {
  const managers = listedManagers({ ...config.configured, drained: [] });
  const outcomes = await probeManagers(buildProber(clock), managers, config.probe.deadline);
  const isAnyUp = outcomes.some(({ kind }) => kind === 'alive');
  const answers = managers.map(({ id, address, port }, index) => {
    const outcome = outcomes[index];
    const check = `port ${id} ${address}:${port}`;
    if (outcome === undefined) return skip(check, 'was not asked');
    if (outcome.kind === 'alive') return ok(check, `answers in ${outcome.tookMs.toFixed(1)} ms`);
    const text = `${failureTexts[outcome.failure]} (${outcome.detail})`;
    const fix = `see wazuh-remoted on ${id} and the firewalls between, or \`drain ${id}\``;
    return isAnyUp ? warn(check, text, fix) : fail(check, text, fix);
  });
  return [...answers, ...oddAddresses(config)];
}

/** That they answer from here does not mean that agents reach them. */
function oddAddresses({ configured }: PublisherConfig): readonly Finding[] {
  const { managers, advertised = [] } = configured;
  return [...managers, ...advertised].flatMap(({ id, address }) => {
    const odd = oddAddress(address);
    if (odd === undefined || odd.startsWith('a loopback')) return [];
    const fix = 'name the address that agents dial; agents of another zone: managers[].addresses';
    return [warn(`address ${id} ${address}`, `it is ${odd}`, fix)];
  });
}

/** Names that agents dial, and names under which sidecars look for us. */
async function checkNames({ path, config }: Ground): Promise<readonly Finding[]> {
  const { newest } = await loadRoots(openPublisherFolder(path), config.files.roots, config.org);
  const urls = newest.root.publishers.map(({ url }) => url);
  const addresses = [...config.configured.managers.map(({ address }) => address), ...hostsOf(urls)];
  const names = [...new Set(addresses)].filter((one) => isIP(one) === 0);
  if (names.length === 0) return [skip('dns', 'nothing is named by a host name')];
  const tools = await buildNames({ dns: systemNames });
  const told = await Promise.all(
    names.map(async (name): Promise<readonly Finding[]> => {
      try {
        const { addresses: found, ttlLeftMs, isStale } = await resolveAddresses(tools.world, name);
        const ttl = ttlLeftMs === undefined ? {} : { ttlSec: Math.ceil(ttlLeftMs / 1_000) };
        return judgeName({ name, addresses: found, isStale, ...ttl }, defaultAgentTimes);
      } catch (thrown) {
        return [failure(`dns ${name}`, thrown)];
      }
    }),
  );
  return told.flat();
}

/** The system's servers, nothing remembered. */
const systemNames = { servers: [], minTtl: 1_000, maxTtl: 3_600_000, maxStale: 0 };

const maxKeysBytes = 64 * 1024 * 1024;

async function checkAgentKeys({ path, config }: Ground): Promise<readonly Finding[]> {
  if (!config.reports.enabled) return [skip('agent keys', 'reports.enabled is off')];
  const file = resolve(path, config.reports.keys);
  const text = await readBounded(file, maxKeysBytes);
  const count = parseClientKeys(text?.toString('utf8') ?? '').size;
  if (count > 0) return [ok('agent keys', `${count} in ${file}`)];
  const fix =
    'let the user of the publisher be in group wazuh, or set reports.keys / reports.enabled';
  return [warn('agent keys', `none in ${file}, or it may not be read: reports are refused`, fix)];
}

const enoughClocks = 3;

/** A fleet knows the time better than one host: the middle of what its reports say. */
async function checkClock(ground: Ground): Promise<readonly Finding[]> {
  const rows = await readRows(ground);
  const skews = rows
    .map(({ receivedAtMs, report }) => receivedAtMs - report.at)
    .sort((left, right) => left - right);
  const skewMs = skews.length < enoughClocks ? undefined : skews[Math.floor(skews.length / 2)];
  return judgeClock(skewMs, `the clocks of ${skews.length} agents`, await isClockSynchronised());
}

async function readRows({ path, config }: Ground): Promise<readonly AgentRow[]> {
  if (!config.reports.enabled) return [];
  const office = await openOffice(path);
  try {
    return office.withReports((store) => store.rows());
  } finally {
    office.close();
  }
}

/** Wazuh: a manager must not be older than its agents. */
async function checkVersions(ground: Ground): Promise<readonly Finding[]> {
  const home = ground.config.cluster?.home ?? defaultClusterSection.home;
  const text = await readBounded(join(home, 'VERSION.json'), 4_096);
  const manager = parseManagerVersion(text?.toString('utf8') ?? '');
  const rows = await readRows(ground);
  const sidecars = [...new Set(rows.map(({ report }) => report.sidecar))].sort();
  const told =
    sidecars.length === 0 ? [] : [ok('sidecars', `${rows.length} of ${sidecars.join(', ')}`)];
  if (manager === undefined) return [...told, skip('versions', `no manager in ${home}`)];
  const newer = rows.filter(
    ({ report }) => (compareVersions(report.agentVersion ?? '', manager) ?? 0) > 0,
  );
  if (newer.length === 0) return [...told, ok('versions', `manager ${manager}, no agent is newer`)];
  const named = newer.slice(0, 5).map(({ report }) => `${report.agent} (${report.agentVersion})`);
  const what = `manager ${manager} is older than ${newer.length} agents: ${named.join(', ')}`;
  return [...told, warn('versions', what, 'upgrade the managers first; newer agents are refused')];
}

/** Of the node beside us: our own section, or the manager's own file. Its value is never told. */
async function checkClusterKey({ config }: Ground): Promise<readonly Finding[]> {
  const section = config.cluster ?? defaultClusterSection;
  const edition = await editionOfHome(section);
  const path = section.config ?? join(section.home, edition.config);
  const text = (await readBounded(path, maxKeysBytes))?.toString('utf8');
  if (section.node === undefined && text === undefined) {
    return [skip('cluster key', `${path} cannot be read`)];
  }
  const { config: node } = readNodeConfig(section, { path, text }, [], edition);
  if (node.disabled || node.key === '') return [skip('cluster key', 'the cluster is off here')];
  return [judgeClusterKey(node.key)];
}
