/** What the running publisher does for hosts without a sidecar: the DNS zone, and load balancers. */
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { balancedServers } from '../balancer/balanced-server.ts';
import { type Balancer, followList } from '../balancer/follow-list.ts';
import { renderHaproxy } from '../balancer/haproxy-config.ts';
import { renderNginx } from '../balancer/nginx-config.ts';
import { sleep } from '../clock.ts';
import type { ResourceRecord } from '../dns/record.ts';
import type { TsigKey } from '../dns/tsig.ts';
import type { ZoneContent, ZoneManager } from '../dns/zone-content.ts';
import { firstRecordSets, recordSets } from '../dns/zone-update.ts';
import { ConfigError, PilotfishError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import type { Health } from '../health/judge.ts';
import { buildBalancerHost } from '../host/balancer-host.ts';
import { listenDns } from '../host/dns-listener.ts';
import { buildZonePeers, type ZonePeers } from '../host/dns-notify.ts';
import { systemClock as clock, systemRandom as random } from '../host/system-clock.ts';
import type { Manager } from '../list/model.ts';
import { managersSeenFrom } from '../list/zone-addresses.ts';
import type { Log } from '../log.ts';
import { ZoneDesk, type ZoneDeskSettings } from '../publisher/zone-desk.ts';
import type { BalancerConfig, ZoneConfig } from './publisher-edges-config.ts';

export interface EdgesConfig {
  readonly zone?: ZoneConfig | undefined;
  readonly balancers: readonly BalancerConfig[];
}

/** The list that is served now, and what probing adds up to. */
export interface EdgesView {
  managers(): readonly Manager[];
  /** `epoch.term.version`. */
  version(): string;
  healths(): ReadonlyMap<string, Health>;
}

export interface Edges {
  readonly config: EdgesConfig;
  readonly view: EdgesView;
  readonly log: Log;
  /** Relative paths are below it. */
  readonly folder: string;
}

/** How often the zone looks at the managers, and the balancers at the list. */
const zoneEveryMs = 500;
const balancersEveryMs = 2_000;
/** A balancer that refused is asked again after so long: it checks and reloads each time. */
const againMs = 60_000;
/** The same for a name server, which may just be starting anew. */
const updateAgainMs = 5_000;

/** Until `signal` aborts. Rejects with HostError `listen_failed`, ConfigError for the key file. */
export async function runEdges(edges: Edges, signal: AbortSignal): Promise<void> {
  const { zone, balancers } = edges.config;
  await Promise.all([
    zone === undefined ? undefined : runZone(edges, zone, signal),
    ...balancers.map((one) => runBalancer(edges, one, signal)),
  ]);
}

async function runZone(edges: Edges, config: ZoneConfig, signal: AbortSignal): Promise<void> {
  const { log, view } = edges;
  const tellers = await changeTellers(edges, config, signal);
  const desk = new ZoneDesk({
    ...{ clock, random, settings: settingsOf(config) },
    onChange: (content) => {
      log.info('zone.changed', { zone: content.origin, serial: content.serial });
      for (const tell of tellers) tell(content);
    },
  });
  const { address, port } = config.listen;
  const listener = await listenDns(address, port, desk);
  log.info('zone.listening', { zone: config.name, address, port: listener.port });
  try {
    while (!signal.aborted) {
      const managers = view.managers();
      if (managers.length > 0) desk.update(zoneManagers(managers, view.healths()), view.version());
      await sleep(clock, zoneEveryMs, signal).catch(() => undefined);
    }
  } finally {
    await listener.close();
  }
}

/** A name stands for the addresses that probing found behind it. */
function zoneManagers(
  managers: readonly Manager[],
  healths: ReadonlyMap<string, Health>,
): readonly ZoneManager[] {
  return managers.map(({ id, zone, address, port, protocol, prio, weight, state, addresses }) => ({
    ...{ id, site: zone, port, protocol, prio, weight },
    // Only literals: nobody looks here what a name means over there.
    elsewhere: Object.fromEntries(
      (addresses ?? [])
        .filter((one) => isIP(one.address) !== 0)
        .map((one) => [one.zone, { address: one.address, port: one.port ?? port }]),
    ),
    addresses: isIP(address) === 0 ? (healths.get(id)?.ips ?? []) : [address],
    isServing: state === 'up' && healths.get(id)?.verdict !== 'down',
  }));
}

function settingsOf(config: ZoneConfig): ZoneDeskSettings {
  const { name, nameServers, glue, views, secondaries, ttl, answersPerSecond } = config;
  return {
    origin: name,
    ttlSec: Math.max(1, Math.round(ttl / 1_000)),
    nameServers: nameServers.length === 0 ? [`ns.${name}`] : nameServers,
    glue,
    hostmaster: config.hostmaster ?? `hostmaster.${name}`,
    views: views.map(({ networks, zone }) => ({ networks, site: zone })),
    secondaries: secondaries.map(({ address }) => `${address}/${address.includes(':') ? 128 : 32}`),
    answersPerSecond,
  };
}

type Teller = (zone: ZoneContent) => void;

async function changeTellers(
  { log, folder }: Edges,
  config: ZoneConfig,
  signal: AbortSignal,
): Promise<readonly Teller[]> {
  const peers = buildZonePeers(clock, random);
  const notifiers = config.secondaries.map(
    ({ address, port }): Teller =>
      newestOnly(async ({ origin }) => {
        const heard = await peers.notify({ address, port, transport: 'udp' }, origin, signal);
        if (!heard) log.warn('zone.secondary_silent', { address, port });
        return 'told'; // one that slept through it asks by itself, as its SOA says
      }, signal),
  );
  if (config.update === undefined) return notifiers;
  const key = await readKey(folder, config.update);
  return [...notifiers, updater(peers, config.update, { key, log, signal })];
}

type Told = 'told' | 'again';

/** One at a time; what changed meanwhile, or while it is told again, is told once, as it is then. */
function newestOnly(tell: (zone: ZoneContent) => Promise<Told>, signal: AbortSignal): Teller {
  let next: ZoneContent | undefined;
  let isRunning = false;
  const run = async (): Promise<void> => {
    isRunning = true;
    for (let zone = next; zone !== undefined && !signal.aborted; zone = next) {
      next = undefined;
      const told = await tell(zone).catch((thrown: unknown) => {
        if (!signal.aborted) throw thrown;
        return 'told' as const;
      });
      if (told === 'told') continue;
      await sleep(clock, updateAgainMs, signal).catch(() => undefined);
      next ??= zone;
    }
    isRunning = false;
  };
  return (zone) => {
    next = zone;
    if (!isRunning) void run();
  };
}

interface Updating {
  /** Undefined: the server takes unsigned updates from us. */
  readonly key: TsigKey | undefined;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** What was accepted is remembered, so that sets that became empty are deleted there too. */
function updater(
  peers: ZonePeers,
  { server, zone }: NonNullable<ZoneConfig['update']>,
  { key, log, signal }: Updating,
): Teller {
  let sent: readonly ResourceRecord[] | undefined;
  let complained = '';
  const send = async (content: ZoneContent): Promise<Told> => {
    const { records } = content;
    const sets = sent === undefined ? firstRecordSets(records) : recordSets(sent, records);
    if (sets.length === 0) return 'told';
    try {
      await peers.update({ ...server, transport: 'udp' }, { zone, sets }, key, signal);
      sent = records;
      complained = '';
      log.info('zone.updated', { server: server.address, zone, sets: sets.length });
      return 'told';
    } catch (thrown) {
      if (!(thrown instanceof PilotfishError)) throw thrown;
      const { code, message } = thrown;
      if (message !== complained) log.error('zone.update_failed', { code, message });
      complained = message;
      return 'again';
    }
  };
  return newestOnly(send, signal);
}

async function readKey(
  folder: string,
  { keyName, keyFile }: NonNullable<ZoneConfig['update']>,
): Promise<TsigKey | undefined> {
  if (keyName === undefined || keyFile === undefined) return undefined;
  const path = resolve(folder, keyFile);
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new ConfigError('config_unreadable', `zone.update.keyFile: ${messageOf(error)}`);
  });
  const secret = Buffer.from(text.trim(), 'base64');
  if (secret.length >= 16) return { name: keyName, secret };
  throw new ConfigError('config_invalid', `${path}: expected a key of 16 bytes or more in base64`);
}

async function runBalancer(
  { view, log, folder }: Edges,
  config: BalancerConfig,
  signal: AbortSignal,
): Promise<void> {
  const host = buildBalancerHost(clock);
  const balancer = balancerOf(config, folder);
  let complained = '';
  while (!signal.aborted) {
    let waitMs = balancersEveryMs;
    const servers = balancedServers(managersSeenFrom(view.managers(), config.zone));
    try {
      const text = renderFor(config, servers);
      if (servers.length > 0) {
        const { kind, commands } = await followList(host, balancer, { servers, text });
        if (kind !== 'unchanged')
          log.info('balancer.followed', { name: config.kind, kind, commands });
        complained = '';
      }
    } catch (thrown) {
      if (!(thrown instanceof PilotfishError)) throw thrown;
      const { code, message } = thrown;
      if (message !== complained) log.error('balancer.failed', { code, message });
      complained = message;
      waitMs = againMs;
    }
    await sleep(clock, waitMs, signal).catch(() => undefined);
  }
}

function renderFor(config: BalancerConfig, servers: ReturnType<typeof balancedServers>): string {
  return config.kind === 'haproxy'
    ? renderHaproxy(servers, { backend: config.backend, balance: config.balance })
    : renderNginx(servers, config.upstream);
}

function balancerOf(config: BalancerConfig, folder: string): Balancer {
  const { kind, file, check, reload } = config;
  const common = { name: kind, file: resolve(folder, file), check, reload };
  if (config.kind !== 'haproxy' || config.socket === undefined) return common;
  return { ...common, runtime: { socket: config.socket, backend: config.backend } };
}
