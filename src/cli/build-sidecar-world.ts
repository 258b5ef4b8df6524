/** The world of `runCycle` from real parts: for one cycle, for ever, and for looking only. */

import { diffLines } from '../agent-config/diff.ts';
import { draftConfig } from '../applier/draft.ts';
import type { ApplierSettings } from '../applier/settings.ts';
import { chooseServers, makeWish } from '../applier/wanted.ts';
import { refusedAnswers } from '../dns/exchange.ts';
import { ConfigError, PilotfishError } from '../errors.ts';
import { openAgent } from '../host/agent-platform.ts';
import { restMemory } from '../host/rest-memory.ts';
import { readRetransmits } from '../host/send-queue.ts';
import { openServiceNotice } from '../host/service-notice.ts';
import { readAgentFile } from '../host/sidecar-files.ts';
import { systemClock as clock, systemRandom as random } from '../host/system-clock.ts';
import { Unchanged } from '../host/unchanged.ts';
import { silentLog } from '../log.ts';
import { Bell } from '../sidecar/bell.ts';
import { type CycleReport, runCycle } from '../sidecar/cycle.ts';
import { runDaemon } from '../sidecar/daemon.ts';
import { decide } from '../sidecar/decide.ts';
import { openRelayOf } from '../sidecar/decide-connection.ts';
import { fileSeenOf } from '../sidecar/file-seen.ts';
import { buildHealthBook } from '../sidecar/health-book.ts';
import { buildHealthWatch, type HealthWatch } from '../sidecar/health-watch.ts';
import { buildLossWatch } from '../sidecar/loss-watch.ts';
import { buildMemoryStore, type OwnedMemory } from '../sidecar/memory-store.ts';
import { observe } from '../sidecar/observe.ts';
import { buildPoller } from '../sidecar/poller.ts';
import { reportOf, type StatusReport } from '../sidecar/report.ts';
import { readOldRoots } from '../sidecar/root-gap.ts';
import type { FileSeen } from '../sidecar/seen.ts';
import { rankedList, situationOf } from '../sidecar/situation.ts';
import { pollSources, type SourceFault, type SourceWorld } from '../sidecar/source.ts';
import { TrustReader } from '../sidecar/trust.ts';
import type { AgentView, Applier, ListSource, MemoryStore, World } from '../sidecar/world.ts';
import {
  buildApplierWorld,
  buildDirectApplier,
  buildSpoolApplier,
  type ReadRoots,
  resumeApplier,
} from './build-sidecar-applier.ts';
import { openDnsSource } from './build-sidecar-dns.ts';
import { openHolderWatch } from './build-sidecar-holders.ts';
import { joinWhenConfigured, recoverMemory } from './build-sidecar-join.ts';
import { openRelayKeeper, type RelayBoard } from './build-sidecar-relay.ts';
import { openReports } from './build-sidecar-reports.ts';
import { buildSourceWorld, type Rooms } from './build-sidecar-rooms.ts';
import { hasBackup, publishStatus, settingsOf, showMetrics } from './build-sidecar-status.ts';
import { parseDurationMs } from './config-file.ts';
import { policyOf } from './sidecar-config.ts';
import type { KnownList, Plan } from './sidecar-host.ts';

export async function cycleOnce(rooms: Rooms): Promise<CycleReport> {
  const sources = buildSourceWorld(rooms.config.sources, await openDnsSource(rooms));
  const source: ListSource = {
    news: async (memory, trust) => [await pollSources(sources, memory, trust, { waitMs: 0 })],
  };
  const world = await buildWorld(rooms, { source, sources }, await openMemory(rooms));
  const report = await runCycle(world);
  await publishStatus(rooms, reportOf(report, rooms.place.agentId));
  return report;
}

export async function runForever(rooms: Rooms, stop: AbortSignal): Promise<void> {
  const { config, log } = rooms;
  const life = openLifeSigns(rooms);
  if ((await joinWhenConfigured(rooms, stop)) === 'stopped') return;
  const memory = await openMemory(rooms);
  const bell = new Bell();
  const { interval } = config.poll;
  const holders = openHolderWatch(rooms, bell);
  const watch = buildWatch(rooms, (id) => holders.trouble(id));
  const board = await openBoard(rooms, memory);
  const relay = openRelayKeeper(rooms, { bell, watch, board });
  const isInTrouble = (): boolean => hasDead(watch);
  const dns = await openDnsSource(rooms, isInTrouble);
  const sources = buildSourceWorld(config.sources, dns);
  const hurry = new Bell();
  if (dns !== undefined) watch.onChange(() => isInTrouble() && hurry.ring());
  const reports = await openReports(rooms, sources);
  const poller = buildPoller({
    clock,
    memory,
    trust: new TrustReader(rooms.place.zone),
    log,
    bell,
    sources,
    settings: {
      waitMs: dns === undefined ? config.poll.wait : 0,
      ...(dns === undefined ? {} : { paceMs: () => dns.files.paceMs(), hurry }),
      intervalMs: interval === undefined ? undefined : parseDurationMs(interval),
    },
  });
  const plain = await buildWorld(rooms, { source: poller, sources }, memory);
  const world = { ...plain, health: watch, holders, ...(relay === undefined ? {} : { relay }) };
  const writeStatus = buildStatusWriter(rooms, memory);
  await showMetrics(rooms, stop);
  log.info('sidecar.started', { agent: rooms.place.agentId, stateDir: rooms.stateDirectory });
  const endRest = restMemory(clock);
  await runDaemon(
    {
      world,
      poller,
      bell,
      random,
      ...{ watch, holders },
      ...(relay === undefined ? {} : { relay }),
      ...(reports === undefined ? {} : { reports }),
      lookMs: config.probe.interval,
      calmLookMs: calmLooks * config.probe.interval,
      onCycle: (report) => {
        life.cycled();
        if (report.list !== undefined) board.list = report.list;
        reports?.look(report);
        return writeStatus(report);
      },
    },
    stop,
  ).finally(endRest);
  log.info('sidecar.stopped');
}

function hasDead(watch: HealthWatch): boolean {
  return [...watch.snapshot().values()].some(({ verdict }) => verdict === 'down');
}

/** The longest honest cycle waits for the applier, twice the confirmation and some room. */
const cycleRoomMs = 300_000;

/** For the service manager: ready at once, alive as long as cycles end. */
function openLifeSigns({ config, log }: Rooms) {
  let cycledAtMs: number | undefined;
  const limitMs = 2 * config.apply.confirm + cycleRoomMs;
  const notice = openServiceNotice({
    isAlive: () => cycledAtMs === undefined || clock.monotonicMs() - cycledAtMs < limitMs,
    log,
  });
  notice.ready('follows the list');
  return {
    cycled: () => {
      cycledAtMs = clock.monotonicMs();
    },
  };
}

/** While all is well the agent's own files are looked at less often than its manager is asked. */
const calmLooks = 5;

/** At every change, and now and then so that its age shows a sidecar that died. */
function buildStatusWriter(
  rooms: Rooms,
  memory: OwnedMemory,
): (report: CycleReport) => Promise<void> {
  let last = '';
  let writtenAtMs = Number.NEGATIVE_INFINITY;
  let faults: readonly SourceFault[] = [];
  return async (report) => {
    if (report.news.length > 0) faults = report.news.flatMap((news) => news.faults);
    const dnsRefused = refusedAnswers(rooms.names.resolver.faults);
    const status = {
      ...reportOf(report, rooms.place.agentId, faults),
      ...(dnsRefused === undefined ? {} : { dnsRefused }),
    };
    const { atMs: _, ...lasting } = status;
    const text = JSON.stringify({
      ...lasting,
      alarms: status.alarms.length,
      managers: status.managers.map(({ seen: __, ...one }) => one),
    });
    const isDue = clock.monotonicMs() - writtenAtMs >= rooms.config.status.every;
    if (text === last && !isDue) return;
    last = text;
    writtenAtMs = clock.monotonicMs();
    await mendState(rooms, memory);
    await publishStatus(rooms, status);
  };
}

/** State that was removed under us is put back, and told: who did that may do it again. */
async function mendState({ log, files, stateDirectory }: Rooms, memory: OwnedMemory) {
  try {
    if (!(await memory.mend())) return;
    await files.writeToken((await memory.read()).token);
    log.error('state.lost', { stateDir: stateDirectory, done: 'written again' });
  } catch (thrown) {
    if (!(thrown instanceof PilotfishError)) throw thrown;
    log.error('state.lost', { code: thrown.code, message: thrown.message });
  }
}

export async function knownList(rooms: Rooms): Promise<KnownList> {
  const memory = await buildMemoryStore(rooms.memoryFile).read();
  const trust = await new TrustReader(rooms.place.zone).read(memory, clock.nowMs());
  const list = rankedList(rooms.place, memory, trust);
  if (list !== undefined) return { memory, trust, list };
  throw new ConfigError('not_joined', 'no list was ever accepted here');
}

export async function planOnce(rooms: Rooms): Promise<Plan> {
  const { memory, trust, list } = await knownList(rooms);
  const world = {
    clock,
    place: rooms.place,
    policy: policyOf(rooms.config),
    agent: buildAgentView(rooms),
    health: buildHealth({ ...rooms, log: silentLog }),
    // What it would do with a look of its own is no news about the agent.
    loss: { ...buildLossWatch(), foundAtMs: () => undefined },
    ...(await relayOfRunning(rooms)),
  };
  const seen = await observe(world, list);
  const situation = situationOf(world, { memory, trust, list, seen });
  const decision = decide(situation);
  const report: CycleReport = {
    atMs: situation.nowMs,
    memory: situation.memory,
    trust,
    news: [],
    list,
    seen,
    decision,
  };
  return { report, diff: await diffOf(rooms, report, settingsOf(rooms, trust.audience)) };
}

/** A sidecar that lives writes its status more often (`status.every` is 50 s at most). */
const maxStatusAgeMs = 60_000;

/** The relay belongs to `run`; beside it only its status is known. */
async function relayOfRunning({ config, files }: Rooms): Promise<Pick<World, 'relay'>> {
  if (config.apply.mode !== 'relay') return {};
  const status = (await files.readStatus()) as Partial<StatusReport> | undefined;
  const isYoung = Math.abs(clock.nowMs() - (status?.atMs ?? 0)) < maxStatusAgeMs;
  const why = 'the sidecar is not running';
  const seen = (isYoung ? status?.relay : undefined) ?? { kind: 'refused', code: 'E043', why };
  return { relay: { seen: () => seen, switchAway: () => undefined, endSession: () => undefined } };
}

/** What the step would write, by the applier's own rendering. */
async function diffOf(
  { home }: Rooms,
  { decision: { step }, list, seen }: CycleReport,
  settings: ApplierSettings,
): Promise<string> {
  if ((step.kind !== 'write' && step.kind !== 'move') || list === undefined) return '';
  const bytes = await readAgentFile(home.configPath);
  if (!(bytes instanceof Uint8Array)) return '';
  const agentVersion = seen?.agent.version;
  const relay = seen === undefined ? undefined : openRelayOf({ list, seen });
  const asked = { order: step.order, ...(relay === undefined ? {} : { relay }) };
  const servers = chooseServers(list.list, asked, settings);
  const draft = draftConfig(bytes, agentVersion, (present) =>
    makeWish(list.list, servers, settings, { agentVersion, present }),
  );
  return diffLines(bytes, draft.bytes);
}

/** Both generations damaged: the token that lies beside them still pins the root (E701). */
async function openMemory(rooms: Rooms): Promise<OwnedMemory> {
  await recoverMemory(rooms);
  return buildMemoryStore(rooms.memoryFile);
}

interface Sources {
  readonly source: ListSource;
  readonly sources: SourceWorld;
}

async function buildWorld(
  rooms: Rooms,
  { source, sources }: Sources,
  memory: MemoryStore,
): Promise<World> {
  const trust = new TrustReader(rooms.place.zone);
  const { audience } = await trust.read(await memory.read(), clock.nowMs());
  const agent = buildAgentView(rooms);
  const { version } = await agent.readFacts();
  const readRoots: ReadRoots = async (...versions) => {
    const { newest } = await trust.read(await memory.read(), clock.nowMs());
    return readOldRoots(sources, newest.root.publishers, versions);
  };
  return {
    clock,
    log: rooms.log,
    place: { ...rooms.place, ...(version === undefined ? {} : { agentVersion: version }) },
    policy: policyOf(rooms.config),
    memory,
    trust,
    source,
    agent,
    health: buildHealth(rooms),
    applier: await buildApplier(rooms, settingsOf(rooms, audience), readRoots),
    loss: buildLossWatch(),
  };
}

async function buildApplier(
  rooms: Rooms,
  settings: ApplierSettings,
  readRoots: ReadRoots,
): Promise<Applier> {
  if (rooms.apart !== undefined) {
    const timeoutMs = 2 * rooms.config.apply.confirm + 120_000;
    return buildSpoolApplier({ ...rooms.apart, timeoutMs }, readRoots);
  }
  const world = buildApplierWorld({
    ...rooms,
    settings,
    probeDeadlineMs: rooms.config.probe.deadline,
  });
  const resumed = await resumeApplier(world);
  if (resumed.outcome !== 'unchanged') {
    rooms.log.warn('apply.resumed', { outcome: resumed.outcome, code: resumed.reason?.code });
  }
  return buildDirectApplier(world, readRoots);
}

function buildHealth({ config, log, prober }: Rooms) {
  const { rise, fall } = config.probe;
  const parts = { clock, log, prober, settings: { rise, fall } };
  return buildHealthBook({ ...parts, deadlineMs: config.probe.deadline });
}

function buildWatch(
  { config, log, prober }: Rooms,
  troubled: (managerId: string) => void,
): HealthWatch {
  const { rise, fall, deadline, interval, others } = config.probe;
  const paces = { deadlineMs: deadline, inUseMs: interval, othersMs: Math.max(interval, others) };
  const settings = { rise, fall };
  return buildHealthWatch({ clock, log, random, prober, settings, ...paces, troubled });
}

/** The list that was in use when the last process ended, so that the relay knows whom to dial. */
async function openBoard({ place }: Rooms, memory: MemoryStore): Promise<RelayBoard> {
  const known = await memory.read();
  const trust = await new TrustReader(place.zone).read(known, clock.nowMs());
  const list = rankedList(place, known, trust);
  return { list };
}

/** The applier looks for itself, so this only keeps plans from being made in vain. */
const packagesEveryMs = 30_000;

function buildAgentView(rooms: Rooms): AgentView {
  const { home, files } = rooms;
  const agent = openAgent(home, clock, { packagesEveryMs });
  const kept = new Unchanged<FileSeen>(clock);
  const readFile = async (agentVersion: string | undefined): Promise<FileSeen> => {
    const bytes = await readAgentFile(home.configPath);
    if (bytes instanceof Uint8Array) return fileSeenOf(bytes, agentVersion);
    if (bytes !== 'missing') return { kind: 'refused', code: 'E506', why: bytes.why };
    return { kind: 'missing', hasBackup: await hasBackup(rooms) };
  };
  return {
    readFacts: () => agent.readFacts(),
    readPause: () => files.readPause(),
    readRetransmits: ({ pids: [pid], peers: [peer] }) =>
      pid === undefined || peer?.localPort === undefined
        ? undefined
        : readRetransmits(pid, peer.localPort, peer.port),
    readFile: (version) => kept.get(home.configPath, version ?? '', () => readFile(version)),
  };
}
