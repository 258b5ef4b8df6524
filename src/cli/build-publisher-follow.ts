/** A follower put together: sources, follower, server, node; and what commands see of one. */
import { join, resolve } from 'node:path';
import { buildChangeSocket } from '../host/change-socket.ts';
import { withJournal } from '../host/event-journal.ts';
import { watchEventLoopLag } from '../host/event-loop-lag.ts';
import { openFollowedFile } from '../host/followed-file.ts';
import { buildPublisherLink } from '../host/https-source.ts';
import { openPublisherFolder } from '../host/publisher-folder.ts';
import { readBounded } from '../host/read-bounded.ts';
import { systemClock as clock, systemRandom as random } from '../host/system-clock.ts';
import { buildLog, type Log } from '../log.ts';
import { Complaints } from '../publisher/complaints.ts';
import { buildConnectionLedger } from '../publisher/connection-ledger.ts';
import { BundleBoard, BundleInbox } from '../publisher/follow/bundle-board.ts';
import { FollowedHistory } from '../publisher/follow/followed-history.ts';
import { Follower, type FollowSource, followedEntry } from '../publisher/follow/follower.ts';
import { buildHttpsSource, type FetchPort } from '../publisher/follow/https-source.ts';
import { buildPathSource } from '../publisher/follow/path-source.ts';
import { buildReceiptRelay } from '../publisher/follow/relay-receipts.ts';
import { buildReportRelay, type ReportRelay } from '../publisher/follow/relay-reports.ts';
import { restoreHeld } from '../publisher/follow/take.ts';
import { buildListService, type ListService } from '../publisher/list-service.ts';
import { Refusals } from '../publisher/refusals.ts';
import type { TellPort } from '../publisher/reports/forward.ts';
import type { ClusterNode } from './build-cluster.ts';
import { runClusterBeside } from './build-cluster-host.ts';
import { openFollowerApi, refusalOf } from './build-follower-api.ts';
import type { OpenedApi } from './build-publisher-api.ts';
import { runEdges } from './build-publisher-edges.ts';
import { followExport } from './build-publisher-export.ts';
import { type FollowerIdentity, openFollowerIdentity } from './build-publisher-identity.ts';
import { buildFollowerMetrics } from './build-publisher-metrics.ts';
import { readConfig } from './build-publisher-office.ts';
import {
  announced,
  buildFront,
  shedReceiptsLagMs,
  socketName,
  tellEdges,
} from './build-publisher-run.ts';
import { buildStatus } from './build-publisher-status.ts';
import { probePace, ServedView, watchListed } from './build-publisher-view.ts';
import type { FollowConfig } from './follow-config.ts';
import type { PublisherConfig } from './publisher-config.ts';
import type { FollowedView, Signals } from './publisher-host.ts';
import { versionText } from './version.ts';

/** True: `path` is that of a follower. Throws ConfigError. */
export async function isFollower(path: string): Promise<boolean> {
  return (await readConfig(openPublisherFolder(path))).follow !== undefined;
}

/** What lies in a follower's directory, proven; undefined for a writer. */
export async function readFollowed(path: string): Promise<FollowedView | undefined> {
  const { follow } = await readConfig(openPublisherFolder(path));
  if (follow === undefined) return undefined;
  const stored = await openFollowedFile(path).read();
  if (stored === undefined) return { from: follow.from };
  const held = await restoreHeld(stored.bundle, { trust: follow.token, nowMs: clock.nowMs() });
  const { source, takenAtMs } = stored;
  const entry = followedEntry(held.proven, stored.bundle.list, source);
  return { from: follow.from, held: { entry, root: held.chain.newest.root, source, takenAtMs } };
}

/** Until `signals.stop` aborts. */
export async function runFollower(path: string, signals: Signals): Promise<void> {
  const config = await readConfig(openPublisherFolder(path));
  const plain = buildLog(config.log.level);
  const journal = { folder: path, program: 'publisher', clock };
  const log = config.events.enabled ? withJournal(plain, journal) : plain;
  const lag = watchEventLoopLag(clock);
  const ending = new AbortController();
  const stop = AbortSignal.any([signals.stop, ending.signal]);
  try {
    await serveFollowed({ path, config, log, lagMs: lag.lagMs, stop });
  } finally {
    ending.abort();
    lag.stop();
  }
}

interface Ground {
  readonly path: string;
  readonly config: PublisherConfig;
  readonly log: Log;
  readonly lagMs: () => number;
  readonly stop: AbortSignal;
}

interface Serving extends Ground {
  readonly complaints: Complaints;
  readonly refusals: Refusals;
  readonly ledger: ReturnType<typeof buildConnectionLedger>;
  readonly service: ListService;
  readonly follower: Follower;
  readonly history: FollowedHistory;
  readonly view: ServedView;
}

async function serveFollowed(ground: Ground): Promise<void> {
  const { path, config, log, lagMs, stop } = ground;
  if (config.follow === undefined) throw new TypeError('not the directory of a follower');
  const complaints = new Complaints(log, clock.nowMs);
  const ledger = buildConnectionLedger(config.limits);
  const { maxReceiptsPerSecond } = config.limits;
  const pins = (): readonly string[] => pinsOf(follower, config.follow);
  const askReceipt = receiptsOf(config.follow, pins, maxReceiptsPerSecond, () => follower.held);
  const service = buildListService({
    ...{ clock, ledger, maxReceiptsPerSecond, ...askReceipt },
    isBusy: () => lagMs() > shedReceiptsLagMs,
  });
  const history = new FollowedHistory(refusalOf({ path, config }));
  const board = new BundleBoard();
  const inbox = new BundleInbox();
  const follower: Follower = new Follower({
    ...{ clock, log, complaints, service },
    file: openFollowedFile(path),
    trust: config.follow.token,
    sources: sourcesOf(path, config.follow, inbox, pins),
    onNews(held) {
      board.hang(held.bundle);
      history.note(followedEntry(held.proven, held.bundle.list, follower.facts?.source ?? ''));
    },
  });
  await follower.restore();
  const view = new ServedView(service);
  const refusals = new Refusals();
  const serving = { ...ground, complaints, refusals, ledger, service, follower, view, history };
  const identity = await openFollowerIdentity(openPublisherFolder(path), config, complaints);
  const node: { now?: ClusterNode } = {};
  const onNode = (now: ClusterNode | undefined): void => {
    if (now === undefined) delete node.now;
    else node.now = now;
  };
  const api = openFollowerApi({ ...serving, node: () => node.now }, stop);
  const edges = { config: { zone: config.zone, balancers: config.balancers }, log, folder: path };
  const told = { events: log, complaints, lists: board.desk(inbox), onNode };
  await listen({ ...serving, api }, identity, () =>
    Promise.all([
      ...[follower.run(stop), watchListed(view, log, () => probePace(config), stop)],
      ...[runEdges({ ...edges, view }, stop).catch(tellEdges(log)), identity.run(stop)],
      runClusterBeside(config, path, told, stop),
      runFollowedExport(serving),
    ]),
  );
}

/** Everything that is served, while `work` goes on. */
async function listen(
  serving: Serving & { readonly api: OpenedApi | undefined },
  identity: FollowerIdentity,
  work: () => Promise<unknown>,
): Promise<void> {
  const { path, config, log, lagMs, service, ledger, follower, refusals, api } = serving;
  const metrics = buildFollowerMetrics(serving);
  const reports = reportsOf(serving);
  const front = announced(
    await buildFront(
      {
        ...{ service, clock, random, log, lagMs },
        rootEnvelope: (version) => follower.root(version),
        onRefusal: (name) => refusals.note(`request ${name}`),
        ...(metrics === undefined ? {} : { metrics }),
        ...(reports === undefined ? {} : { reports }),
        ...(api === undefined ? {} : { api: { world: api.world, version: versionText() } }),
        ...(api?.page === undefined ? {} : { page: api.page }),
      },
      {
        ...{ ledger, clock, log, ...identity.now },
        maxRequestsPerSocket: config.limits.maxRequestsPerSocket,
        onRefusal: (verdict) => refusals.note(`connection ${verdict}`),
      },
    ),
    log,
  );
  identity.onRenewed((certificate) => front.setCertificate(certificate));
  const port = await front.listen(config.listen.host, config.listen.port);
  const status = statusOf(serving);
  const stopNotices = await buildChangeSocket(join(path, socketName), log).listen({
    changed: async () => `following, serves ${service.served()?.entry.version ?? 0}`,
    status: async () => status(),
  });
  log.info('publisher.listening', { host: config.listen.host, port, follows: true });
  try {
    await work();
  } finally {
    await stopNotices();
    service.stop();
    await front.close();
    api?.close();
    log.info('publisher.stopped');
  }
}

function statusOf({ config, view, follower, ...parts }: Serving): () => string {
  return buildStatus({
    ...parts,
    reports: undefined,
    healths: () => view.healths(),
    roster: () => undefined,
    follows: () => ({ from: [...(config.follow?.from ?? [])], ...follower.facts }),
  });
}

function runFollowedExport({ config, path, service, follower, complaints, stop }: Serving) {
  const { folder } = config.export;
  if (folder === undefined) return undefined;
  const roots = () =>
    new Map(follower.held?.chain.envelopes.map((bytes, index) => [index + 1, bytes]));
  return followExport(
    resolve(path, folder),
    { served: () => service.served(), roots },
    complaints,
    stop,
  );
}

function sourcesOf(
  path: string,
  { from }: FollowConfig,
  inbox: BundleInbox,
  pins: () => readonly string[],
): readonly FollowSource[] {
  const link = buildPublisherLink(clock);
  return from.map((one) => {
    if (one === 'cluster') return inbox;
    if (one.startsWith('https://'))
      return buildHttpsSource(one, fetchFrom(one, link, pins), random);
    return buildPathSource(resolve(path, one), { read: readBounded });
  });
}

type Link = ReturnType<typeof buildPublisherLink>;

const httpsOf = (from: readonly string[]): readonly string[] =>
  from.filter((one) => one.startsWith('https://'));

/** Receipts of the writer, where this one follows by https; else sidecars get none here. */
function receiptsOf(
  follow: FollowConfig,
  pins: () => readonly string[],
  maxPerSecond: number,
  held: () => Follower['held'],
): Pick<Parameters<typeof buildListService>[0], 'askReceipt'> {
  const link = buildPublisherLink(clock, { totalMs: 2_000, minBytesPerSecond: 256 });
  const sources = httpsOf(follow.from).map((url) => fetchFrom(url, link, pins));
  if (sources.length === 0) return {};
  return { askReceipt: buildReceiptRelay({ clock, sources, maxPerSecond, held }) };
}

/** What sidecars report goes to where the list comes from, else to whom the root names. */
function reportsOf({ config, follower }: Serving): ReportRelay | undefined {
  const { follow, reports } = config;
  if (follow === undefined || !reports.enabled) return undefined;
  const link = buildPublisherLink(clock);
  const urls = httpsOf(follow.from);
  const targets = (isPassed: boolean): readonly TellPort[] => {
    const named = follower.held?.chain.newest.root.publishers.map(({ url }) => url) ?? [];
    // The root names followers too, this one among them: no circle begins there.
    const asked = urls.length > 0 || isPassed ? urls : named;
    return asked.map((url) => tellTo(url, link, pinsOf(follower, follow)));
  };
  return buildReportRelay({ clock, targets, maxPerSecond: reports.maxPerSecond });
}

function tellTo(url: string, link: Link, pins: readonly string[]): TellPort {
  return { tell: (report, signal) => link.tell({ url, pins }, report, signal) };
}

/** Whatever the root pins for a publisher will do; before the first root, what the token pins. */
function pinsOf(follower: Follower, follow: FollowConfig | undefined): readonly string[] {
  const publishers = follower.held?.chain.newest.root.publishers ?? [];
  const pins = publishers.flatMap(({ spki }) => spki);
  return pins.length > 0 || follow?.token.ca === undefined ? pins : [follow.token.ca];
}

function fetchFrom(url: string, link: Link, pins: () => readonly string[]): FetchPort {
  return {
    async get(question, signal) {
      const known = pins();
      // What is fetched proves itself; without a pin only its delivery is anybody's.
      const target = { url, pins: known.length === 0 ? 'content_is_pinned' : known } as const;
      return link.ask({ ...question, ...target }, signal);
    },
  };
}
