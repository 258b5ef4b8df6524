/** The running publisher put together: server, routes, watch, certificate, daemon. */
import { join } from 'node:path';
import { PilotfishError } from '../errors.ts';
import type { Health } from '../health/judge.ts';
import { buildCertificateMaker } from '../host/certificate-maker.ts';
import { buildChangeSocket } from '../host/change-socket.ts';
import { watchEventLoopLag } from '../host/event-loop-lag.ts';
import { buildHttpsFront } from '../host/https-front.ts';
import { buildProber } from '../host/probe-socket.ts';
import { openPublisherFolder } from '../host/publisher-folder.ts';
import { openServiceNotice } from '../host/service-notice.ts';
import { systemClock, systemRandom } from '../host/system-clock.ts';
import type { Manager } from '../list/model.ts';
import { buildLog, type Log } from '../log.ts';
import { Complaints } from '../publisher/complaints.ts';
import { buildConnectionLedger } from '../publisher/connection-ledger.ts';
import { listedManagers } from '../publisher/content.ts';
import { type ListeningFront, runDaemon } from '../publisher/daemon.ts';
import type { PublisherFolder } from '../publisher/init.ts';
import { buildListService, type ListService } from '../publisher/list-service.ts';
import { followRoots } from '../publisher/load-roots.ts';
import { buildRoutes } from '../publisher/routes.ts';
import {
  hostsOf,
  type KeyedCertificate,
  renewalReason,
  serverValidDays,
} from '../publisher/server-identity.ts';
import { type Watch, watchManagers } from '../publisher/watch-managers.ts';
import { runClusterBeside } from './build-cluster-host.ts';
import { type EdgesView, runEdges } from './build-publisher-edges.ts';
import { openOffice, readConfig, requireFile } from './build-publisher-office.ts';
import { openReportOffice } from './build-publisher-reports.ts';
import { withRollout } from './build-publisher-rollout.ts';
import { runRoster } from './build-publisher-roster.ts';
import type { PublisherConfig } from './publisher-config.ts';
import type { PublisherOffice, Signals } from './publisher-host.ts';

const clock = systemClock;
const random = systemRandom;
const maker = buildCertificateMaker(clock, random);
const shedReceiptsLagMs = 100;
export const socketName = 'publisher.sock';

/** Until `signals.stop` aborts. */
export async function runOffice(path: string, signals: Signals): Promise<void> {
  const office = await openOffice(path);
  const log = buildLog(office.config.log.level);
  const lag = watchEventLoopLag(clock);
  const watching = new AbortController();
  const stop = AbortSignal.any([signals.stop, watching.signal]);
  try {
    await serveOffice({ path, office, log, lagMs: lag.lagMs, signals: { ...signals, stop } });
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
}

async function serveOffice({ path, office, log, lagMs, signals }: Serving): Promise<void> {
  let { roots } = office;
  const folder = openPublisherFolder(path);
  let { config } = office;
  const { ledger, service } = openService(office, lagMs);
  const identity = await openIdentity(folder, config, hostsOf(urlsOf(office)), log);
  const complaints = new Complaints(log, clock.nowMs);
  const reports = await openReportOffice(path, config, complaints);
  const front = await buildFront(
    {
      service,
      rootEnvelope: (version) => roots.envelopes.get(version),
      clock,
      random,
      log,
      lagMs,
      ...(reports === undefined ? {} : { reports: reports.desk }),
    },
    {
      ledger,
      clock,
      log,
      ...identity.now,
      maxRequestsPerSocket: config.limits.maxRequestsPerSocket,
    },
  );
  const daemon = runDaemon(
    {
      ...withRollout(office, () => config, reports, { log, complaints }),
      service,
      front: announced(front, log),
      notices: buildChangeSocket(join(path, socketName), log),
      clock,
      log,
      listen: config.listen,
      readSettings: async () => {
        config = await readConfig(folder);
        return { configured: config.configured, resignEveryMs: config.list.resignEvery };
      },
      readNewerRoot: async () => {
        const before = roots;
        roots = await followRoots(folder, config.files.roots, config.org, before);
        return roots === before ? undefined : roots.newest.root;
      },
      renewCertificate: identity.renew,
      onReload: signals.onReload,
    },
    signals.stop,
  );
  const edges = { config: { zone: config.zone, balancers: config.balancers }, log, folder: path };
  const view = new ServedView(service);
  const watch = watchListed(view, log, () => probePace(config), signals.stop);
  const beside = runEdges({ ...edges, view }, signals.stop).catch(tellEdges(log));
  const node =
    config.cluster === undefined
      ? undefined
      : runClusterBeside(config.cluster, path, log, signals.stop);
  const roster = runRoster(
    {
      // Always under the newest root: the daemon follows it while we run.
      desk: () => ({ ...office.desk, root: roots.newest.root }),
      service,
      config: () => config,
      healths: () => view.healths(),
      rows: () => reports?.book.rows() ?? [],
      log,
      complaints,
    },
    signals.stop,
  );
  await Promise.all([daemon, watch, beside, node, roster, reports?.run(signals.stop)]);
}

function openService({ config, desk }: PublisherOffice, lagMs: () => number) {
  const ledger = buildConnectionLedger(config.limits);
  const service = buildListService({
    clock,
    listKey: desk.listKey,
    ledger,
    maxReceiptsPerSecond: config.limits.maxReceiptsPerSecond,
    isBusy: () => lagMs() > shedReceiptsLagMs,
  });
  return { ledger, service };
}

/** The list that is served now, with what the publisher's own probes add up to. */
class ServedView implements EdgesView {
  readonly #service: ListService;
  #healths: ReadonlyMap<string, Health> = new Map();

  constructor(service: ListService) {
    this.#service = service;
  }

  managers(): readonly Manager[] {
    const served = this.#service.served();
    return served === undefined ? [] : listedManagers(served.entry.content);
  }

  version(): string {
    const entry = this.#service.served()?.entry;
    return entry === undefined ? '' : `${entry.epoch}.${entry.term}.${entry.version}`;
  }

  healths(): ReadonlyMap<string, Health> {
    return this.#healths;
  }

  noteRound(healths: ReadonlyMap<string, Health>): void {
    this.#healths = new Map(healths);
  }
}

type ProbePace = ReturnType<Watch['settings']>;

/** Who answers DNS questions must know of a dead manager in seconds. */
const zoneProbeMs = 1_000;

function probePace({ probe, zone }: PublisherConfig): ProbePace {
  const intervalMs = zone === undefined ? probe.interval : Math.min(probe.interval, zoneProbeMs);
  return { intervalMs, deadlineMs: probe.deadline };
}

/** The publisher's own look at the managers of the list that is served. */
function watchListed(
  view: ServedView,
  log: Log,
  settings: () => ProbePace,
  stop: AbortSignal,
): Promise<void> {
  const managers = () => view.managers();
  const onRound = (healths: ReadonlyMap<string, Health>) => view.noteRound(healths);
  return watchManagers(
    { prober: buildProber(clock), clock, log, managers, settings, onRound },
    stop,
  );
}

/** Zone and balancers are extras: what goes wrong there never stops the list. */
function tellEdges(log: Log): (thrown: unknown) => void {
  return (thrown) => {
    if (!(thrown instanceof PilotfishError)) throw thrown;
    log.error('edges.failed', { code: thrown.code, message: thrown.message });
  };
}

/** The service manager hears when questions can be asked; rounds end by themselves in a second. */
function announced(front: ListeningFront, log: Log): ListeningFront {
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

async function buildFront(
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

/** The server certificate in use, made anew where it must be. */
async function openIdentity(
  folder: PublisherFolder,
  config: PublisherConfig,
  hosts: readonly string[],
  log: Log,
) {
  const { files } = config;
  const authorityPem = await requireFile(folder, files.authority);
  let now = splitPem((await folder.read(files.server)) ?? '');
  const renew = async (): Promise<KeyedCertificate | undefined> => {
    const why =
      now &&
      renewalReason(maker.inspect(now.certificatePem), { authorityPem, hosts }, clock.nowMs());
    if (now !== undefined && why === undefined) return undefined;
    log.info('certificate.due', { why: why ?? 'there is none' });
    const keyPem = await requireFile(folder, files.authorityKey);
    const authority = { certificatePem: authorityPem, keyPem };
    now = maker.makeServer({ authority, hosts, validDays: serverValidDays });
    await folder.write(files.server, `${now.certificatePem}${now.keyPem}`);
    return now;
  };
  await renew();
  if (now === undefined) throw new TypeError('no server certificate was made');
  return { now: { certificate: now, authorityPem }, renew };
}

function splitPem(text: string): KeyedCertificate | undefined {
  const certificatePem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/.exec(text);
  const keyPem = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----\n/.exec(text);
  if (certificatePem === null || keyPem === null) return undefined;
  return { certificatePem: certificatePem[0], keyPem: keyPem[0] };
}
