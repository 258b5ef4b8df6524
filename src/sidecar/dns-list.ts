/**
 * A list from DNS alone, for the smallest installations (no publisher): this host's own root, made
 * from a constraints file that root wrote, and its own list key, which signs what name servers answer.
 * So every answer passes the very gate of a published list: hosts, networks, ports, version order.
 * Pure. What it does not give: freshness, and protection from a liar inside the constraints.
 */
import { isIP } from 'node:net';
import { sha256Tag } from '../bytes.ts';
import { orderServices } from '../dns/addresses.ts';
import type { Srv } from '../dns/record.ts';
import {
  type Constraints,
  listLimits,
  type Manager,
  type ManagerList,
  type Root,
} from '../list/model.ts';
import { clientDefaults, renderList } from '../list/parse-list.ts';
import { type SigningKey, signDocument } from '../list/sign.ts';
import { canonicalAddress } from '../wazuh/connections.ts';

/** What to ask for; kept beside the list that came of it. */
export interface DnsSource {
  /** As `parseName` gives it; one that begins with `_` is asked for SRV, others for addresses. */
  readonly name: string;
  /** Port of managers where answers name none. */
  readonly port: number;
}

export type LocalFence = Pick<Constraints, 'hosts' | 'cidrs' | 'ports'>;

const years = 365 * 86_400_000;
const listValidSec = 7 * 86_400;
/** A list of the same managers is signed anew at this age, long before it counts as old. */
export const resignAgeMs = 86_400_000;

export function isService({ name }: DnsSource): boolean {
  return name.startsWith('_');
}

/** An organisation of its own: its token, root and lists never mix with a publisher's. */
export function localOrg({ name }: DnsSource): string {
  return `dns-${sha256Tag(Buffer.from(name)).slice(7, 23)}`;
}

export function isLocalOrg(org: string): boolean {
  return /^dns-[0-9a-f]{16}$/.test(org);
}

/**
 * The list key stays on the host; the root key signs this once and is thrown away, so that nobody,
 * not even who steals the list key, can ever widen the constraints. A list may replace every
 * manager, as a changed record does.
 */
export function localRoot(
  source: DnsSource,
  fence: LocalFence,
  keys: { readonly root: SigningKey; readonly list: SigningKey },
  nowMs: number,
): Root {
  const rootRole = { threshold: 1, kids: [keys.root.kid] };
  const issuedAtMs = Math.floor(nowMs / 1_000) * 1_000;
  return {
    org: localOrg(source),
    version: 1,
    issuedAtMs,
    expiresAtMs: issuedAtMs + 10 * years,
    keys: { [keys.root.kid]: keys.root.publicKey, [keys.list.kid]: keys.list.publicKey },
    roles: { root: rootRole, list: { threshold: 1, kids: [keys.list.kid] }, rescue: rootRole },
    epoch: 1,
    constraints: {
      ...fence,
      protocols: ['tcp'],
      minServers: 1,
      maxServers: listLimits.maxManagers,
      maxListValidFor: listValidSec,
      maxRemovedPct: 100,
      minApplyInterval: 0,
    },
    publishers: [],
    staticDelivery: true,
  };
}

/**
 * Every address is a manager of its own, so that each is probed and may be left for another. A hosts
 * file, and the codec of DNS, spell an IPv6 address as they like; a list has one spelling of it.
 */
export function managersOfAddresses(
  addresses: readonly string[],
  port: number,
): readonly Manager[] {
  const spelled = new Set(addresses.map(canonicalAddress));
  const sorted = [...spelled].toSorted().slice(0, listLimits.maxManagers);
  return sorted.map((address) => manager({ address, port, prio: 0, weight: 100 }));
}

/** With those of `last` in the family that nobody answered for: half an answer takes nobody away. */
export function withUnanswered(
  managers: readonly Manager[],
  last: ManagerList | undefined,
  family: 4 | 6,
): readonly Manager[] {
  const kept = (last?.managers ?? []).filter(({ address }) => isIP(address) === family);
  const all = [...managers, ...kept].slice(0, listLimits.maxManagers);
  return all.toSorted((left, right) => (left.address < right.address ? -1 : 1));
}

/** RFC 2782 priorities by rank and weights by share, within what a list can say. */
export function managersOfServices(records: readonly Srv[]): readonly Manager[] {
  const ordered = orderServices(records).slice(0, listLimits.maxManagers);
  const ranks = [...new Set(ordered.map(({ priority }) => priority))];
  const heaviest = Math.max(listLimits.maxWeight, ...ordered.map(({ weight }) => weight));
  const isWeightless = ordered.every(({ weight }) => weight === 0);
  return ordered.map(({ priority, weight, port, target }) =>
    manager({
      ...{ address: target, port, prio: ranks.indexOf(priority) },
      weight: isWeightless ? 100 : Math.round((weight / heaviest) * listLimits.maxWeight),
    }),
  );
}

function manager(known: Pick<Manager, 'address' | 'port' | 'prio' | 'weight'>): Manager {
  const { address, port } = known;
  const readable = `${address}-${port}`.replace(/[^A-Za-z0-9_-]/g, '-');
  const id = readable.length <= 64 ? readable : sha256Tag(Buffer.from(readable)).slice(7, 39);
  return { ...known, id, protocol: 'tcp', zone: 'default', state: 'up' };
}

/** Undefined: the last list still says it, and is young enough. */
export function nextLocalList(
  root: Root,
  managers: readonly Manager[],
  last: ManagerList | undefined,
  nowMs: number,
): ManagerList | undefined {
  const isSame = last !== undefined && textOf(last.managers) === textOf(managers);
  const ageMs = nowMs - (last?.issuedAtMs ?? 0);
  if (isSame && ageMs >= 0 && ageMs < resignAgeMs) return undefined;
  return {
    ...{ org: root.org, rootVersion: root.version, epoch: root.epoch, term: 1 },
    version: (last?.version ?? 0) + 1,
    aud: { group: '*', site: '*' },
    issuedAtMs: Math.floor(nowMs / 1_000) * 1_000,
    validFor: listValidSec,
    ...(last === undefined ? {} : { prev: sha256Tag(renderList(last)) }),
    managers,
    client: { ...clientDefaults, spreadSec: 0 },
  };
}

/** What DNS can change, whatever order members stand in. */
function textOf(managers: readonly Manager[]): string {
  return managers
    .map(({ address, port, prio, weight }) => `${address} ${port} ${prio} ${weight}`)
    .join('\n');
}

export function signLocalList(list: ManagerList, key: SigningKey): Uint8Array {
  return signDocument('list', renderList(list), [key]);
}
