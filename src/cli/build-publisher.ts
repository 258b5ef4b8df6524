/** The publisher put together from real parts. */
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { ConfigError, ListError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import { buildCertificateMaker } from '../host/certificate-maker.ts';
import { announceChange, buildChangeSocket } from '../host/change-socket.ts';
import { watchEventLoopLag } from '../host/event-loop-lag.ts';
import { openHistory } from '../host/history-database.ts';
import { buildHttpsFront } from '../host/https-front.ts';
import { acquireLock } from '../host/lock.ts';
import { buildProber } from '../host/probe-socket.ts';
import { openPublisherFolder } from '../host/publisher-folder.ts';
import { systemClock, systemRandom } from '../host/system-clock.ts';
import type { AcceptedRoot } from '../list/root.ts';
import { parseSigningKey, type SigningKey } from '../list/sign.ts';
import { buildLog, type Log } from '../log.ts';
import { buildConnectionLedger } from '../publisher/connection-ledger.ts';
import { listedManagers } from '../publisher/content.ts';
import { type ListeningFront, runDaemon } from '../publisher/daemon.ts';
import { initPublisher, type PublisherFolder } from '../publisher/init.ts';
import { buildListService } from '../publisher/list-service.ts';
import { followRoots, loadRoots } from '../publisher/load-roots.ts';
import { renewRoot } from '../publisher/renew-root.ts';
import { buildRoutes } from '../publisher/routes.ts';
import {
  hostsOf,
  type KeyedCertificate,
  renewalReason,
  serverValidDays,
} from '../publisher/server-identity.ts';
import { watchManagers } from '../publisher/watch-managers.ts';
import { type PublisherConfig, parsePublisherConfig } from './publisher-config.ts';
import type { PublisherHost, PublisherOffice, RenewFlags, Signals } from './publisher-host.ts';
import { renderPublisherConfig } from './publisher-template.ts';

const clock = systemClock;
const random = systemRandom;
const configName = 'publisher.yml';
const socketName = 'publisher.sock';
const maker = buildCertificateMaker(clock, random);
const shedReceiptsLagMs = 100;

export function buildPublisherHost(): PublisherHost {
  const prober = buildProber(clock);
  return {
    clock,
    random,
    prober,
    hostName: () => hostname(),
    async init(directory, request) {
      const path = resolve(directory);
      const lock = await acquireLock({
        path: join(path, 'init'),
        reason: 'lock_held',
        clock,
        random,
      });
      try {
        const folder = openPublisherFolder(path);
        const tools = { folder, maker, clock, random, renderConfig: renderPublisherConfig };
        return await initPublisher(tools, request);
      } finally {
        await lock.release();
      }
    },
    open: (directory) => openOffice(resolve(directory)),
    renewRoot: (directory, flags) => renewInOffice(resolve(directory), flags),
    announce: (directory) => announceChange(join(resolve(directory), socketName), clock),
    async run(directory, signals) {
      const path = resolve(directory);
      await requireFile(openPublisherFolder(path), configName);
      const lock = await acquireLock({
        path: join(path, 'run'),
        reason: 'second_instance',
        clock,
        random,
      });
      try {
        await runOffice(path, signals);
      } finally {
        await lock.release();
      }
    },
  };
}

async function openOffice(path: string): Promise<PublisherOffice> {
  const folder = openPublisherFolder(path);
  const config = await readConfig(folder);
  const roots = await loadRoots(folder, config.files.roots, config.org);
  const { root } = roots.newest;
  const listKey = await readKey(folder, config.files.listKey);
  if (!root.roles.list.kids.includes(listKey.kid)) {
    const seen = `${config.files.listKey} holds ${listKey.kid}`;
    throw new ListError('unknown_key', `${seen}; root ${root.version} does not let it sign lists`);
  }
  const history = openHistory(resolve(path, config.files.history));
  const desk = { history, root, listKey, clock };
  return { config, roots, history, desk, close: () => history.close() };
}

const keyDirectory = 'root-keys';

async function renewInOffice(path: string, flags: RenewFlags): Promise<AcceptedRoot> {
  const folder = openPublisherFolder(path);
  const config = await readConfig(folder);
  const { newest } = await loadRoots(folder, config.files.roots, config.org);
  const here = (await folder.list(keyDirectory)).map((name) => join(keyDirectory, name));
  const named = flags.keyFiles.map((name) => resolve(name));
  const keys = await Promise.all([...here, ...named].map((name) => readKey(folder, name)));
  const distinct = [...new Map(keys.map((key) => [key.kid, key])).values()];
  const request = { managers: flags.managers, keys: distinct, directory: config.files.roots };
  return renewRoot({ folder, clock }, newest, request);
}

async function runOffice(path: string, signals: Signals): Promise<void> {
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
  const { desk } = office;
  let { roots } = office;
  const folder = openPublisherFolder(path);
  let { config } = office;
  const ledger = buildConnectionLedger(config.limits);
  const service = buildListService({
    clock,
    listKey: desk.listKey,
    ledger,
    maxReceiptsPerSecond: config.limits.maxReceiptsPerSecond,
    isBusy: () => lagMs() > shedReceiptsLagMs,
  });
  const identity = await openIdentity(folder, config, hostsOf(urlsOf(office)), log);
  const front = await buildFront(
    { service, rootEnvelope: (version) => roots.envelopes.get(version), clock, random, log, lagMs },
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
      desk,
      service,
      front,
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
  const watch = watchManagers(
    {
      prober: buildProber(clock),
      clock,
      log,
      managers: () => {
        const served = service.served();
        return served === undefined ? [] : listedManagers(served.entry.content);
      },
      settings: () => ({
        intervalMs: config.probe.interval,
        deadlineMs: config.probe.deadline,
      }),
    },
    signals.stop,
  );
  await Promise.all([daemon, watch]);
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

function urlsOf(office: PublisherOffice): readonly string[] {
  return office.roots.newest.root.publishers.map((publisher) => publisher.url);
}

async function readConfig(folder: PublisherFolder): Promise<PublisherConfig> {
  const text = await requireFile(folder, configName);
  return parsePublisherConfig(text, join(folder.path, configName));
}

async function readKey(folder: PublisherFolder, name: string): Promise<SigningKey> {
  const text = await requireFile(folder, name);
  try {
    return parseSigningKey(JSON.parse(text));
  } catch (error) {
    const seen = `${join(folder.path, name)}: ${error instanceof ListError ? messageOf(error) : 'not JSON'}`;
    throw new ConfigError('config_unreadable', seen, { cause: error });
  }
}

async function requireFile(folder: PublisherFolder, name: string): Promise<string> {
  const text = await folder.read(name);
  if (text !== undefined) return text;
  const seen = `${join(folder.path, name)} does not exist`;
  const hint = '--dir names another directory, `pilotfish-publisher init` makes one';
  throw new ConfigError('config_unreadable', `${seen}; ${hint}`);
}
