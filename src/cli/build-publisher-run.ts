/** The running publisher put together: server, routes, watch, certificate, daemon. */
import { join, resolve } from 'node:path';
import { PilotfishError } from '../errors.ts';
import type { Health } from '../health/judge.ts';
import { buildChangeSocket } from '../host/change-socket.ts';
import { withJournal } from '../host/event-journal.ts';
import { watchEventLoopLag } from '../host/event-loop-lag.ts';
import { buildHttpsFront } from '../host/https-front.ts';
import { openPublisherFolder } from '../host/publisher-folder.ts';
import { openServiceNotice } from '../host/service-notice.ts';
import { openSharedFolders } from '../host/shared-folders.ts';
import { systemClock, systemRandom } from '../host/system-clock.ts';
import { buildLog, type Log } from '../log.ts';
import { Complaints } from '../publisher/complaints.ts';
import { buildConnectionLedger } from '../publisher/connection-ledger.ts';
import { type DaemonWorld, type ListeningFront, runDaemon, stableOf } from '../publisher/daemon.ts';
import { BundleBoard } from '../publisher/follow/bundle-board.ts';
import type { Bundle } from '../publisher/follow/offer.ts';
import type { PublisherFolder } from '../publisher/init.ts';
import type { Leadership } from '../publisher/leadership.ts';
import { buildListService } from '../publisher/list-service.ts';
import { followRoots } from '../publisher/load-roots.ts';
import type { FleetMetrics } from '../publisher/observe/fleet-metrics.ts';
import { Refusals } from '../publisher/refusals.ts';
import { buildRoutes } from '../publisher/routes.ts';
import { hostsOf } from '../publisher/server-identity.ts';
import { keepChannel } from '../publisher/shared-channel.ts';
import type { RunningStatus } from '../publisher/status/running.ts';
import type { ClusterNode } from './build-cluster.ts';
import { runClusterBeside } from './build-cluster-host.ts';
import { runAddresses } from './build-publisher-addresses.ts';
import { type OpenedApi, openApi } from './build-publisher-api.ts';
import { runBalance } from './build-publisher-balance.ts';
import { keepCertificates } from './build-publisher-certificates.ts';
import { runEdges } from './build-publisher-edges.ts';
import { followExport } from './build-publisher-export.ts';
import { openIdentity } from './build-publisher-identity.ts';
import { openLeadership } from './build-publisher-leader.ts';
import { buildMetrics } from './build-publisher-metrics.ts';
import { atWork, openOffice, readConfig } from './build-publisher-office.ts';
import { openPeers, type Peers } from './build-publisher-peers.ts';
import { openReportOffice, type ReportOffice } from './build-publisher-reports.ts';
import { withRollout } from './build-publisher-rollout.ts';
import { type RosterGround, runRoster } from './build-publisher-roster.ts';
import { buildStatus } from './build-publisher-status.ts';
import { probePace, ServedView, watchListed } from './build-publisher-view.ts';
import { OwnLoad, runWeights } from './build-publisher-weights.ts';
import type { PublisherConfig } from './publisher-config.ts';
import type { PublisherOffice, Signals } from './publisher-host.ts';
import { versionText } from './version.ts';

const clock = systemClock;
const random = systemRandom;
export const shedReceiptsLagMs = 100;
export const socketName = 'publisher.sock';

/** Until `signals.stop` aborts. */
export async function runOffice(path: string, signals: Signals): Promise<void> {
  const office = await openOffice(path);
  const plain = buildLog(office.config.log.level);
  const journal = { folder: path, program: 'publisher', clock };
  const log = office.config.events.enabled ? withJournal(plain, journal) : plain;
  const lag = watchEventLoopLag(clock);
  const watching = new AbortController();
  const left = new AbortController();
  const stop = AbortSignal.any([left.signal, watching.signal]);
  const leave = (goodbye: () => Promise<void>): void => {
    const end = () => left.abort(signals.stop.reason);
    const begin = () => void goodbye().finally(end);
    if (signals.stop.aborted) begin();
    else signals.stop.addEventListener('abort', begin, { once: true });
  };
  const serving = { path, office, log, lagMs: lag.lagMs, signals: { ...signals, stop }, leave };
  try {
    await serveOffice(serving);
  } finally {
    watching.abort();
    lag.stop();
    office.close();
  }
}

interface Serving {
  readonly path: string;
  readonly office: PublisherOffice;
  readonly log: Log;
  readonly lagMs: () => number;
  readonly signals: Signals;
  /** `goodbye` is said when the process is told to stop; `signals.stop` waits for it. */
  leave(goodbye: () => Promise<void>): void;
}

async function serveOffice(serving: Serving): Promise<void> {
  const { path, log, signals } = serving;
  const complaints = new Complaints(log, clock.nowMs);
  const ground: { running?: Running } = {};
  const leadership = await openSeat(serving, complaints, ground);
  let onEvent: FleetMetrics['note'] = () => undefined;
  const tell: FleetMetrics['note'] = (event) => onEvent(event);
  const peers = openPeers({ leadership, complaints }, () => running);
  const { forward } = peers;
  const reports = await openReportOffice(path, serving.office.config, complaints, tell, (report) =>
    forward?.offer(report),
  );
  const seesDead = (id: string) => running.healths?.().get(id)?.verdict === 'down';
  const own = { writer: leadership.writer, seesDead };
  const office = atWork(serving.office, own, reports?.book, () => running.config);
  const board = new BundleBoard();
  const onServed: Served = (served, first) => board.hang(bundleOf(running.roots, served, first));
  const running: Running = {
    ...{ ...serving, office, ...openService(office, serving.lagMs, onServed) },
    ...{ complaints, reports, board, leadership, peers },
    folder: openPublisherFolder(path),
    refusals: new Refusals(),
    roots: office.roots,
    config: office.config,
    roster: undefined,
    node: undefined,
    isLeaving: false,
    ownLoad: new OwnLoad(() => running.config),
  };
  ground.running = running;
  const metrics = buildMetrics(running);
  const api = openApi(running, signals.stop);
  onEvent = (event) => metrics?.note(event);
  const { config, service } = running;
  const daemon = runDaemon(await buildWorld(running, { metrics, api }), signals.stop);
  const view = new ServedView(service);
  running.healths = () => view.healths();
  serving.leave(() => peers.sayGoodbye());
  const watch = watchListed(view, log, () => probePace(running.config), signals.stop);
  const seat = leadership.run(signals.stop);
  const edges = { config: { zone: config.zone, balancers: config.balancers }, log, folder: path };
  const beside = runEdges({ ...edges, view }, signals.stop).catch(tellEdges(log));
  try {
    await Promise.all([
      ...[daemon, watch, beside, seat, runNode(running), runRosterOf(running), runChannel(running)],
      ...[
        peers.run(signals.stop),
        reports?.run(signals.stop),
        runExport(running),
        api?.run(),
        runCertificates(running),
      ],
      reports && runBalanceOf(running, reports),
    ]);
  } finally {
    api?.close();
  }
}

function openSeat(
  { path, office, log }: Serving,
  complaints: Complaints,
  ground: { readonly running?: Running },
): Promise<Leadership> {
  const { config, history, roots, desk } = office;
  return openLeadership({
    ...{ directory: path, config, history, listKey: desk.listKey, log, complaints },
    root: () => (ground.running?.roots ?? roots).newest.root,
    adopted(entry) {
      log.info('list.adopted', { version: entry.version, term: entry.term });
      ground.running?.service.serve(entry, stableOf(history, entry, clock.nowMs()));
    },
  });
}

/** The parts of one running publisher, and what changes while it runs. */
interface Running extends Serving, ReturnType<typeof openService> {
  readonly folder: PublisherFolder;
  readonly complaints: Complaints;
  readonly refusals: Refusals;
  readonly reports: ReportOffice | undefined;
  /** What our own nodes of the cluster carry to followers. */
  readonly board: BundleBoard;
  readonly leadership: Leadership;
  readonly peers: Peers;
  /** The daemon follows new ones. */
  roots: PublisherOffice['roots'];
  /** As read last. */
  config: PublisherConfig;
  roster: RunningStatus['roster'];
  node: ClusterNode | undefined;
  isLeaving: boolean;
  readonly ownLoad: OwnLoad;
  healths?: () => ReadonlyMap<string, Health>;
}

interface Extras {
  readonly metrics: ReturnType<typeof buildMetrics>;
  readonly api: OpenedApi | undefined;
}

async function buildWorld(running: Running, { metrics, api }: Extras): Promise<DaemonWorld> {
  const { path, office, log, signals, folder, service, ledger, complaints } = running;
  const { config, reports, refusals, lagMs, leadership, peers } = running;
  const hosts = hostsOf(urlsOf(office));
  const identity = await openIdentity(folder, config, hosts, log);
  const front = await buildFront(
    {
      ...{ service, clock, random, log, lagMs },
      rootEnvelope: (version) => running.roots.envelopes.get(version),
      onRefusal: (name) => refusals.note(`request ${name}`),
      ...(reports === undefined ? {} : { reports: reports.desk }),
      ...(peers.desk === undefined ? {} : { peers: peers.desk }),
      ...(metrics === undefined ? {} : { metrics }),
      ...(api === undefined ? {} : { api: { world: api.world, version: versionText() } }),
      ...(api?.page === undefined ? {} : { page: api.page }),
    },
    {
      ...{ ledger, clock, log, ...identity.now },
      maxRequestsPerSocket: config.limits.maxRequestsPerSocket,
      onRefusal: (verdict) => refusals.note(`connection ${verdict}`),
    },
  );
  return {
    ...withRollout(office, () => running.config, reports, { log, complaints }),
    ...{ service, clock, log, complaints, leadership },
    front: announced(front, log),
    notices: buildChangeSocket(join(path, socketName), log),
    status: buildStatus({
      ...{ service, ledger, complaints, refusals, reports, lagMs },
      healths: () => running.healths?.() ?? new Map(),
      roster: () => running.roster,
      leader: () => leadership.status(),
      ...(peers.forward === undefined ? {} : { forward: peers.forward }),
    }),
    listen: config.listen,
    readSettings: async () => {
      running.config = await readConfig(folder);
      const { configured, list } = running.config;
      return { configured, resignEveryMs: list.resignEvery };
    },
    readNewerRoot: async () => {
      const before = running.roots;
      running.roots = await followRoots(folder, config.files.roots, config.org, before);
      return running.roots === before ? undefined : running.roots.newest.root;
    },
    renewCertificate: identity.renew,
    onReload: signals.onReload,
  };
}

/** The site that another web server serves, where one is configured. */
function runExport(running: Running): Promise<void> | undefined {
  const { config, path, service, complaints, signals } = running;
  const { folder } = config.export;
  if (folder === undefined) return undefined;
  const view = { served: () => service.served(), roots: () => running.roots.envelopes };
  return followExport(resolve(path, folder), view, complaints, signals.stop);
}

/** Certificates of other servers, kept fresh. */
function runCertificates(running: Running): Promise<void> {
  const { path, log, complaints, signals } = running;
  const ground = { path, log, complaints, config: () => running.config };
  return keepCertificates(ground, signals.stop);
}

/** Our own node of the cluster, where one is configured. */
function runNode(running: Running): Promise<void> | undefined {
  const { config, path, log, signals, board, complaints } = running;
  if (config.cluster === undefined) return undefined;
  const onNode = (node: ClusterNode | undefined): void => {
    running.node = node;
  };
  const told = { events: log, complaints, lists: board.desk(), onNode };
  return runClusterBeside(config, path, told, signals.stop);
}

function runBalanceOf(running: Running, { book }: ReportOffice): Promise<void> {
  const { office, service, log, complaints, signals } = running;
  const desk = () => ({ ...office.desk, root: running.roots.newest.root });
  const leads = () => running.leadership.leads();
  const ground = {
    ...{ desk, service, book, log, complaints, leads },
    config: () => running.config,
  };
  return runBalance(ground, signals.stop);
}

/** The list in the shared folders of groups, where that is wanted. */
function runChannel(running: Running): Promise<void> | undefined {
  const { config, office, log, complaints, signals } = running;
  const { shared } = config;
  if (shared === undefined) return undefined;
  const { history } = office;
  const folders = openSharedFolders(shared.home);
  const roots = () => running.roots.envelopes;
  const parts = { clock, log, complaints, history, folders, groups: shared.groups, roots };
  return keepChannel(parts, signals.stop);
}

async function runRosterOf(running: Running): Promise<void> {
  const { office, service, reports, log, complaints } = running;
  const ground: RosterGround = {
    // Always under the newest root: the daemon follows it while we run.
    desk: () => ({ ...office.desk, root: running.roots.newest.root }),
    ...{ service, log, complaints, folder: running.path },
    config: () => running.config,
    healths: () => running.healths?.() ?? new Map(),
    rows: () => reports?.book.rows() ?? [],
    ownNode: () => running.node,
    isLeaving: () => running.isLeaving,
    told: () => running.peers.leaving.states(),
    voices: running.peers.voices,
    leads: () => running.leadership.leads(),
    noteRound: (seen) => {
      running.roster = seen;
    },
  };
  const { stop } = running.signals;
  const weighing = { ...ground, ownLoad: running.ownLoad };
  await Promise.all([
    runRoster(ground, stop),
    runAddresses(ground, stop),
    runWeights(weighing, stop),
  ]);
}

type Served = NonNullable<Parameters<typeof buildListService>[0]['onServed']>;

function bundleOf(
  { envelopes }: PublisherOffice['roots'],
  ...[served, first]: Parameters<Served>
): Bundle {
  const roots = [...envelopes].sort(([left], [right]) => left - right).map(([, bytes]) => bytes);
  const { flat } = first ?? served;
  return {
    roots,
    list: served.entry.envelope,
    ...(first === undefined ? {} : { newcomers: first.entry.envelope }),
    ...(flat === undefined ? {} : { flat }),
  };
}

function openService({ config, desk }: PublisherOffice, lagMs: () => number, onServed: Served) {
  const ledger = buildConnectionLedger(config.limits);
  const service = buildListService({
    clock,
    listKey: desk.listKey,
    ledger,
    maxReceiptsPerSecond: config.limits.maxReceiptsPerSecond,
    isBusy: () => lagMs() > shedReceiptsLagMs,
    onServed,
  });
  return { ledger, service };
}

/** Zone and balancers are extras: what goes wrong there never stops the list. */
export function tellEdges(log: Log): (thrown: unknown) => void {
  return (thrown) => {
    if (!(thrown instanceof PilotfishError)) throw thrown;
    log.error('edges.failed', { code: thrown.code, message: thrown.message });
  };
}

/** The service manager hears when questions can be asked; rounds end by themselves in a second. */
export function announced(front: ListeningFront, log: Log): ListeningFront {
  const notice = openServiceNotice({ isAlive: () => true, log });
  return {
    server: front.server,
    setCertificate: (certificate) => front.setCertificate(certificate),
    async listen(host, port) {
      const bound = await front.listen(host, port);
      notice.ready(`listens on port ${bound}`);
      return bound;
    },
    close() {
      notice.stopping();
      return front.close();
    },
  };
}

type FrontOptions = Parameters<typeof buildHttpsFront>[1];

export async function buildFront(
  parts: Parameters<typeof buildRoutes>[0],
  options: FrontOptions,
): Promise<ListeningFront> {
  const made: ListeningFront[] = [];
  const app = buildRoutes(parts, (handler) => {
    const front = buildHttpsFront(handler, options);
    made.push(front);
    return front.server;
  });
  await app.ready();
  const [front] = made;
  if (front === undefined) throw new TypeError('fastify made no server');
  return front;
}

function urlsOf(office: PublisherOffice): readonly string[] {
  return office.roots.newest.root.publishers.map((publisher) => publisher.url);
}
