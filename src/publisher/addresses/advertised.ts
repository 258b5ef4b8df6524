/**
 * Addresses per zone: from what publisher.yml names and what nodes say to what a list may carry.
 * Pure. An address is published once it was proven from here, then it stays, whatever happens to
 * its manager, until it is no longer advertised: a dead manager changes a state, never an address.
 */
import { parseAddress } from '../../list/address.ts';
import { isHostAllowed } from '../../list/constraints.ts';
import type { Constraints, Manager, ZoneAddress } from '../../list/model.ts';
import { oddAddress } from './odd-address.ts';

/** Where agents of a zone shall dial a manager. */
export interface Advertised extends ZoneAddress {
  /** Of the manager. */
  readonly id: string;
  /** It need not answer from here: another network, hairpin NAT. */
  readonly isTrusted: boolean;
  readonly from: 'config' | 'node';
}

/** By manager id, from nodes that can be heard now; who is silent says nothing. */
export type Said = ReadonlyMap<string, readonly ZoneAddress[]>;

/** The operator's word goes before that of a node. */
export function advertisedBy(configured: readonly Advertised[], said: Said): readonly Advertised[] {
  const named = new Set(configured.map(nameOf));
  const more = [...said].flatMap(([id, addresses]) =>
    addresses.map((one): Advertised => ({ ...one, id, isTrusted: false, from: 'node' })),
  );
  return [...configured, ...more.filter((one) => !named.has(nameOf(one)))];
}

/**
 * The managers of a configuration with the addresses that may be published now: trusted ones, and of
 * the others what `before` already names. One that is to change keeps its place until its successor
 * is proven. `keepsSaid`: what nodes said stays, too.
 */
export function withKnownAddresses(
  managers: readonly Manager[],
  advertised: readonly Advertised[],
  known: { readonly before: readonly Manager[]; readonly keepsSaid: boolean },
): readonly Manager[] {
  return managers.map((manager) => {
    const own = advertised.filter(({ id }) => id === manager.id);
    const old = known.before.find(({ id }) => id === manager.id)?.addresses ?? [];
    const kept = old.filter(({ zone }) => known.keepsSaid || own.some((one) => one.zone === zone));
    return withAddresses(manager, [...own.filter(({ isTrusted }) => isTrusted), ...kept]);
  });
}

export interface AddressChange {
  /** To be published as soon as they are proven. */
  readonly due: readonly Advertised[];
  /** Published, and advertised no longer by anybody. */
  readonly gone: readonly { readonly id: string; readonly zone: string }[];
}

/** What the published managers differ in from what is advertised. */
export function addressChange(
  published: readonly Manager[],
  advertised: readonly Advertised[],
  said: Said,
): AddressChange {
  const listed = new Map(published.map((one) => [one.id, one]));
  const due = advertised.filter((one) => {
    const manager = listed.get(one.id);
    if (manager === undefined) return false;
    const now = manager.addresses?.find(({ zone }) => zone === one.zone);
    return now === undefined || !isSameEndpoint(now, one, manager.port);
  });
  const named = new Set(advertised.map(nameOf));
  const gone = published
    .filter(({ id }) => said.has(id))
    .flatMap(({ id, addresses = [] }) => addresses.map(({ zone }) => ({ id, zone })))
    .filter((one) => !named.has(nameOf(one)));
  return { due, gone };
}

/** The same managers, `proven` at their new addresses, `gone` without theirs. */
export function changeAddresses(
  managers: readonly Manager[],
  proven: readonly Advertised[],
  gone: AddressChange['gone'],
): readonly Manager[] {
  return managers.map((manager) => {
    const left = new Set(gone.filter(({ id }) => id === manager.id).map(({ zone }) => zone));
    const stays = (manager.addresses ?? []).filter(({ zone }) => !left.has(zone));
    return withAddresses(manager, [...proven.filter(({ id }) => id === manager.id), ...stays]);
  });
}

/** Why this address is not for agents; undefined where nothing speaks against it. */
export function advertisedFault(
  one: Advertised,
  manager: Pick<Manager, 'port'>,
  constraints: Constraints,
): string | undefined {
  const odd = one.from === 'node' ? oddAddress(one.address) : undefined;
  if (odd !== undefined) return `is ${odd}; if agents really dial it, name it in publisher.yml`;
  const address = parseAddress(one.address);
  if (address === undefined || !isHostAllowed(address, one.address, constraints)) {
    return 'is not allowed by the root; `root renew --manager` allows it';
  }
  const port = one.port ?? manager.port;
  return constraints.ports.includes(port) ? undefined : `port ${port} is not allowed by the root`;
}

/** `wm1 in zone dmz at 203.0.113.7` */
export function advertisedText({ id, zone, address, port }: Advertised): string {
  const at =
    port === undefined ? address : `${address.includes(':') ? `[${address}]` : address}:${port}`;
  return `${id} in zone ${zone} at ${at}`;
}

/** First come first served within a zone; sorted, so that the order of sources is no change. */
function withAddresses(manager: Manager, all: readonly ZoneAddress[]): Manager {
  const { addresses: _, ...rest } = manager;
  const byZone = new Map<string, ZoneAddress>();
  for (const { zone, address, port } of all) {
    if (byZone.has(zone)) continue;
    byZone.set(zone, { zone, address, ...(port === undefined ? {} : { port }) });
  }
  const addresses = [...byZone.values()].sort((left, right) => (left.zone < right.zone ? -1 : 1));
  return addresses.length === 0 ? rest : { ...rest, addresses };
}

function isSameEndpoint(left: ZoneAddress, right: ZoneAddress, port: number): boolean {
  return left.address === right.address && (left.port ?? port) === (right.port ?? port);
}

function nameOf({ id, zone }: { readonly id: string; readonly zone: string }): string {
  return `${id} ${zone}`;
}
