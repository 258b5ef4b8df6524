/**
 * What the publisher's own zone says: the managers of the list as DNS records, for hosts without a
 * sidecar. Only managers that serve are named; when none does, those that did last stay (an empty
 * answer would move nobody to a better place). Pure.
 */
import type { ResourceRecord } from './record.ts';

export interface ZoneManager {
  readonly id: string;
  /** Where it stands; views prefer their own. */
  readonly site: string;
  /** IPv4 and IPv6 literals that agents dial. */
  readonly addresses: readonly string[];
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
  /** Lower is preferred. */
  readonly prio: number;
  readonly weight: number;
  /** Listed as up, and answering. */
  readonly isServing: boolean;
  /** By site: what is dialled from there instead. */
  readonly elsewhere?: Readonly<
    Record<string, { readonly address: string; readonly port: number }>
  >;
}

/** The same managers, where the agents of one site dial them. */
export function managersFrom(
  managers: readonly ZoneManager[],
  site: string,
): readonly ZoneManager[] {
  return managers.map(({ elsewhere, ...manager }) => {
    const own = elsewhere?.[site];
    return own === undefined ? manager : { ...manager, addresses: [own.address], port: own.port };
  });
}

export interface ZoneSettings {
  /** The zone's apex, as `parseName` gives it; agents use this name as their manager's address. */
  readonly origin: string;
  readonly ttlSec: number;
  /** Names of the servers that answer for the zone; the first is the primary. */
  readonly nameServers: readonly string[];
  /** Their addresses, for those that lie inside the zone. */
  readonly glue: Readonly<Record<string, readonly string[]>>;
  readonly hostmaster: string;
}

export interface ZoneContent {
  readonly origin: string;
  readonly serial: number;
  /** SOA first; every record of the zone, in the order of a transfer. */
  readonly records: readonly ResourceRecord[];
  /** Owner names of address records at the apex by manager, so that an answer can weigh them. */
  readonly weights: ReadonlyMap<string, number>;
}

/** Secondaries ask again after this many seconds, give up a dead primary after a week. */
const timers = { refresh: 60, retry: 10, expire: 604_800 } as const;

/** `site`: the managers of one view; undefined or a site without a serving manager: all of them. */
export function buildZone(
  settings: ZoneSettings,
  managers: readonly ZoneManager[],
  about: { readonly serial: number; readonly version: string; readonly site?: string },
): ZoneContent {
  const { origin, ttlSec, nameServers, glue } = settings;
  const named = preferredOf(managers, about.site);
  const common = { name: origin, ttlSec };
  const records: readonly ResourceRecord[] = [
    { ...common, type: 'SOA', soa: soaOf(settings, about.serial) },
    ...nameServers.map((target) => ({ ...common, type: 'NS' as const, target })),
    ...Object.entries(glue).flatMap(([name, addresses]) => addressRecords(name, addresses, ttlSec)),
    ...named.flatMap(({ addresses }) => addressRecords(origin, addresses, ttlSec)),
    ...servicesOf(settings, managers),
    { ...common, type: 'TXT', texts: [`pilotfish-list ${about.version}`] },
    ...managers.flatMap((one) => addressRecords(hostName(one, origin), one.addresses, ttlSec)),
  ];
  const weights = new Map(
    named.flatMap(({ addresses, weight }) => addresses.map((address) => [address, weight])),
  );
  return { origin, serial: about.serial, records, weights };
}

function soaOf({ nameServers, hostmaster, ttlSec, origin }: ZoneSettings, serial: number) {
  return {
    ...{ mname: nameServers[0] ?? origin, rname: hostmaster, serial },
    ...{ ...timers, minimum: ttlSec },
  };
}

/** The agent takes the first address and no other, so only the best that serve are at the apex. */
function preferredOf(managers: readonly ZoneManager[], site: string | undefined) {
  const serving = managers.filter(({ isServing, addresses }) => isServing && addresses.length > 0);
  const near = serving.filter((one) => one.site === site);
  const pool = near.length > 0 ? near : serving;
  const regular = pool.filter(({ weight }) => weight > 0);
  const usable = regular.length > 0 ? regular : pool;
  const best = Math.min(...usable.map(({ prio }) => prio));
  return usable.filter(({ prio }) => prio === best);
}

/** RFC 2782: every manager that serves, with its own priority and weight. */
function servicesOf({ origin, ttlSec }: ZoneSettings, managers: readonly ZoneManager[]) {
  return managers
    .filter(({ isServing }) => isServing)
    .map((one) => ({
      ...{ type: 'SRV' as const, name: `_wazuh._${one.protocol}.${origin}`, ttlSec },
      srv: {
        ...{ priority: one.prio, weight: one.weight, port: one.port },
        target: hostName(one, origin),
      },
    }));
}

/** Ids may hold what no host name may. */
function hostName({ id }: ZoneManager, origin: string): string {
  return `${id.toLowerCase().replaceAll('_', '-')}.${origin}`;
}

function addressRecords(
  name: string,
  addresses: readonly string[],
  ttlSec: number,
): readonly ResourceRecord[] {
  return addresses.map((address) => ({
    ...{ type: address.includes(':') ? ('AAAA' as const) : ('A' as const), name, ttlSec, address },
  }));
}

/** True when two contents differ in more than their serial: only then a new serial is due. */
export function isOtherZone(left: ZoneContent, right: ZoneContent): boolean {
  const text = ({ records }: ZoneContent): string =>
    JSON.stringify(records.filter(({ type }) => type !== 'SOA'));
  return text(left) !== text(right);
}

/** RFC 1982: serials only go up, also over a restart, as long as the clock does. */
export function nextSerial(previous: number | undefined, nowMs: number): number {
  const byClock = Math.floor(nowMs / 1_000) >>> 0;
  if (previous === undefined) return byClock;
  const isAhead = ((byClock - previous) | 0) > 0;
  return isAhead ? byClock : (previous + 1) >>> 0;
}
