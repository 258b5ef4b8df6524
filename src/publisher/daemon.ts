/**
 * The running publisher. Level-triggered: each round looks at the history as it is and does what
 * is due (serve what is newest, re-sign what ages, renew the certificate), so a missed message or
 * a crash costs one round and never a version.
 */
import type { Server } from 'node:https';
import { type Clock, sleep } from '../clock.ts';
import { PilotfishError } from '../errors.ts';
import { rootStatus, type VerifiedRoot } from '../list/root.ts';
import type { Log } from '../log.ts';
import type { Complaints } from './complaints.ts';
import type { ConfiguredContent } from './content.ts';
import { listExpiresAtMs, type PublishedList } from './history.ts';
import type { Leadership } from './leadership.ts';
import type { ListService } from './list-service.ts';
import { isConfigNews, publishConfigured, resignOrder } from './orders.ts';
import { type PublishDesk, publish } from './publish.ts';
import type { KeyedCertificate } from './server-identity.ts';

/** Port: the server below the routes. */
export interface ListeningFront {
  readonly server: Server;
  /** The port it listens on. Throws HostError `listen_failed`. */
  listen(host: string, port: number): Promise<number>;
  setCertificate(certificate: KeyedCertificate): void;
  close(): Promise<void>;
}

/** What other processes of this publisher may say to it; each returns what is said back. */
export interface NoticeHandlers {
  /** The history has changed. */
  changed(): Promise<string>;
  /** How is it? One line of JSON. */
  status(): Promise<string>;
}

/** Port: other processes of this publisher speak to it. */
export interface ChangeNotices {
  listen(handlers: NoticeHandlers): Promise<() => Promise<void>>;
}

/** What a running publisher takes from its configuration, again at every reload. */
export interface DaemonSettings {
  readonly configured: ConfiguredContent;
  readonly resignEveryMs: number;
}

export interface DaemonWorld {
  readonly desk: PublishDesk;
  readonly service: ListService;
  readonly front: ListeningFront;
  readonly notices: ChangeNotices;
  readonly clock: Clock;
  readonly log: Log;
  /** What fails round after round is told once, and seen by `status`. */
  readonly complaints: Complaints;
  /** What this process knows of itself, as JSON. */
  status(): string;
  readonly listen: { readonly host: string; readonly port: number };
  /** Throws ConfigError; the settings in use then stay. */
  readSettings(): Promise<DaemonSettings>;
  /** The newest root when one came after that of the desk. Throws ListError, ConfigError. */
  readNewerRoot(): Promise<VerifiedRoot | undefined>;
  /** A new certificate when the one in use must be replaced. */
  renewCertificate(): Promise<KeyedCertificate | undefined>;
  /** Who writes; absent: this publisher. */
  readonly leadership?: Leadership;
  /** One look at the rollout under way; true when it published. Absent where there are none. */
  tendRollout?(desk: PublishDesk): Promise<boolean>;
  /** Calls `handler` at every SIGHUP; returns the undo. */
  onReload(handler: () => void): () => void;
}

const otherConfig = 'leader.config';
const roundMs = 1_000;
const certificateEveryMs = 3_600_000;
/** A clock that was set back: the newest list would come from the future. */
const futureMs = 5 * 60_000;

/** Runs until `signal` aborts. Throws when it cannot start. */
export async function runDaemon(world: DaemonWorld, signal: AbortSignal): Promise<void> {
  const { service, front, log } = world;
  const daemon = buildDaemon(world, await world.readSettings());
  await world.leadership?.looked();
  await publishFirst(world, daemon);
  daemon.serveNewest();
  const port = await front.listen(world.listen.host, world.listen.port);
  try {
    await runListening(world, daemon, port, signal);
  } finally {
    service.stop();
    await front.close(); // else a publisher that failed would serve its last list for ever
    log.info('publisher.stopped');
  }
}

/** Hears what it is told, and does what is due. */
async function runListening(
  world: DaemonWorld,
  daemon: Daemon,
  port: number,
  signal: AbortSignal,
): Promise<void> {
  const stopNotices = await world.notices.listen({
    async changed() {
      await daemon.followRoot();
      return `serving ${daemon.serveNewest()}`;
    },
    status: async () => world.status(),
  });
  const stopReloads = world.onReload(() => void daemon.reload());
  world.log.info('publisher.listening', { host: world.listen.host, port });
  try {
    await runRounds(world, daemon, signal);
  } finally {
    stopReloads();
    await stopNotices();
  }
}

/** Alone, what the configuration says is published at once; among others, by whoever leads, and asked. */
async function publishFirst(
  { leadership, complaints }: DaemonWorld,
  daemon: Daemon,
): Promise<void> {
  if (leadership?.isShared === true) return;
  if (daemon.serveNewest() === 0) await daemon.publishNews();
  else await troubled(complaints, 'config.refused', daemon.publishNews); // the last good list stays
}

interface Daemon {
  /** What only the one that writes does: hands on what it has, begins where there is no list yet. */
  leadWhenDue(): Promise<void>;
  publishNews(): Promise<void>;
  /** Takes a newer root and signs the list under it. */
  followRoot(): Promise<void>;
  /** The version that is served now, 0 when there is none. */
  serveNewest(): number;
  reload(): Promise<void>;
  resignWhenDue(): Promise<void>;
  renewWhenDue(): Promise<void>;
  tendRollout(): Promise<void>;
}

function buildDaemon(world: DaemonWorld, first: DaemonSettings): Daemon {
  const { log, clock, complaints } = world;
  const { history } = world.desk;
  let desk = world.desk;
  let settings = first;
  let failedAtMs = Number.NEGATIVE_INFINITY;
  let certificateAtMs = Number.NEGATIVE_INFINITY;
  let reloading: Promise<void> = Promise.resolve();

  const serveNewest = (): number => serveFrom(world);
  const publishNews = (): Promise<void> => publishChanges(desk, settings);
  const followRoot = async (): Promise<void> => {
    const root = await world.readNewerRoot();
    if (root === undefined) return;
    desk = { ...desk, root };
    log.info('root.followed', { version: root.version, epoch: root.epoch });
    if (leads(world) && isUnderOlderRoot(history.newest(), desk)) {
      await publish(desk, resignOrder(settings.configured));
    }
    serveNewest();
  };
  const reloadOnce = (): Promise<void> =>
    troubled(complaints, 'reload.failed', async () => {
      settings = await world.readSettings();
      if (leads(world)) await publishNews();
      complaints.end('config.refused');
      log.info('reload.done', { version: serveNewest() });
    });
  const resignWhenDue = async (): Promise<'later' | undefined> => {
    const newest = history.newest();
    const mayTry = clock.monotonicMs() - failedAtMs >= 60_000;
    const isDue = isUnderOlderRoot(newest, desk) || isResignDue(newest, settings, clock.nowMs());
    if (!leads(world) || !isDue) return undefined;
    if (!mayTry) return 'later';
    try {
      await publish(desk, resignOrder(settings.configured));
      serveNewest();
      return undefined;
    } catch (error) {
      failedAtMs = clock.monotonicMs();
      throw error;
    }
  };
  const renewWhenDue = async (): Promise<'later' | undefined> => {
    if (clock.monotonicMs() - certificateAtMs < certificateEveryMs) return 'later';
    certificateAtMs = clock.monotonicMs();
    warnOfRoot({ ...world, desk });
    const renewed = await world.renewCertificate();
    if (renewed === undefined) return undefined;
    world.front.setCertificate(renewed);
    log.info('certificate.renewed');
    return undefined;
  };
  return {
    leadWhenDue: () =>
      troubled(complaints, 'leader.failed', () =>
        leadShared(world, settings, publishNews).then(serveNewest),
      ),
    publishNews,
    serveNewest,
    followRoot: () => troubled(complaints, 'root.failed', followRoot),
    reload() {
      reloading = reloading.then(reloadOnce); // one after the other: the last file read wins
      return reloading;
    },
    resignWhenDue: () => troubled(complaints, 'resign.failed', resignWhenDue),
    renewWhenDue: () => troubled(complaints, 'certificate.failed', renewWhenDue),
    tendRollout: () =>
      troubled(complaints, 'rollout.failed', async () => {
        if (leads(world) && (await world.tendRollout?.(desk))) serveNewest();
      }),
  };
}

/** What the configuration or the root says that the newest version does not. */
async function publishChanges(desk: PublishDesk, { configured }: DaemonSettings): Promise<void> {
  const newest = desk.history.newest();
  if (isConfigNews(configured, newest)) {
    await publish(desk, publishConfigured(configured, 'config'));
  } else if (isUnderOlderRoot(newest, desk)) {
    await publish(desk, resignOrder(configured));
  }
}

function leads({ leadership }: DaemonWorld): boolean {
  return leadership?.leads() ?? true;
}

/** One of several: hands on what it has, begins where there is no list, tells what it would change. */
async function leadShared(
  { leadership, desk: { history }, complaints }: DaemonWorld,
  { configured }: DaemonSettings,
  publishNews: () => Promise<void>,
): Promise<void> {
  if (leadership?.isShared !== true || !leadership.leads()) return complaints.end(otherConfig);
  await leadership.seed();
  if (history.newest() === undefined) await publishNews();
  const newest = history.newest();
  if (newest === undefined || !isConfigNews(configured, newest)) return complaints.end(otherConfig);
  const seen = `list ${newest.version} was signed under another publisher.yml`;
  complaints.begin(otherConfig, seen);
}

function serveFrom({ desk: { history }, clock, service, log }: DaemonWorld): number {
  const newest = history.newest();
  const stable = stableOf(history, newest, clock.nowMs());
  if (newest !== undefined && service.serve(newest, stable)) {
    logServed(log, newest, service.waiting());
  }
  return newest?.version ?? 0;
}

/** Once a second: whatever is due. */
async function runRounds(world: DaemonWorld, daemon: Daemon, signal: AbortSignal): Promise<void> {
  const { clock, complaints, desk } = world;
  let mark = Number.NaN; // the first round looks in any case
  while (!signal.aborted) {
    await daemon.followRoot();
    await daemon.leadWhenDue();
    await daemon.resignWhenDue();
    await daemon.renewWhenDue();
    await daemon.tendRollout();
    await troubled(complaints, 'history.failed', async () => {
      const seen = desk.history.changeMark();
      if (seen !== mark) daemon.serveNewest();
      mark = seen;
    });
    await sleep(clock, roundMs, signal).catch(() => undefined);
  }
}

/** While a rollout goes on, what hosts without any list get: nobody is a canary by being new. */
export function stableOf(
  history: PublishDesk['history'],
  newest: PublishedList | undefined,
  nowMs: number,
): PublishedList | undefined {
  if (newest?.rollout === undefined) return undefined;
  const stable = history.find(newest.rollout.stableVersion);
  if (stable === undefined || stable.epoch !== newest.epoch) return undefined;
  return stable.rootVersion === newest.rootVersion && nowMs < listExpiresAtMs(stable)
    ? stable
    : undefined;
}

/** Exported for its rule alone: a list is renewed by age, or when the clock was set back. */
export function isResignDue(
  newest: PublishedList | undefined,
  { resignEveryMs }: DaemonSettings,
  nowMs: number,
): boolean {
  if (newest === undefined) return false;
  const ageMs = nowMs - newest.issuedAtMs;
  return ageMs >= resignEveryMs || ageMs < -futureMs;
}

/** A root is news only once: a list that was not signed under it then still has to be. */
function isUnderOlderRoot(newest: PublishedList | undefined, { root }: PublishDesk): boolean {
  return newest !== undefined && newest.rootVersion < root.version;
}

function warnOfRoot({ desk, log, clock }: DaemonWorld): void {
  const { root } = desk;
  const leftDays = Math.floor((root.expiresAtMs - clock.nowMs()) / 86_400_000);
  if (rootStatus(root, clock.nowMs()) === 'expired') {
    log.error('root.expired', { version: root.version });
  } else if (leftDays < 60) {
    log.warn('root.expires_soon', { version: root.version, leftDays });
  }
}

function logServed(log: Log, entry: PublishedList, waiting: number): void {
  const { version, reason, hash } = entry;
  log.info('list.served', { version, reason, hash, waiting });
}

/** `later`: it was not tried, so what is wrong with it still is. */
async function troubled(
  complaints: Complaints,
  topic: string,
  work: () => Promise<unknown>,
): Promise<void> {
  try {
    if ((await work()) !== 'later') complaints.end(topic);
  } catch (error) {
    if (!(error instanceof PilotfishError)) throw error;
    complaints.begin(topic, `${error.code} ${error.reason}: ${error.message}`);
  }
}
