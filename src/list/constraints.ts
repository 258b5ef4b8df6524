/** What a list under a root may name: the fence around a stolen list key (trust-and-safety D2). */
import { ListError } from '../errors.ts';
import { type Address, parseAddress } from './address.ts';
import { isInside } from './cidr.ts';
import type { Constraints, Manager, ManagerList } from './model.ts';
import { managersSeenFrom, zonesWithAddresses } from './zone-addresses.ts';

/** @throws ListError `constraint`; the message names the member, what was seen, what is allowed */
export function checkConstraints(list: ManagerList, constraints: Constraints): void {
  checkCounts(list.managers, constraints);
  if (list.validFor > constraints.maxListValidFor) {
    const allowed = `allowed: at most ${constraints.maxListValidFor}`;
    throw refuse(`validFor is ${list.validFor} seconds; ${allowed}`);
  }
  list.managers.forEach((manager, index) => {
    checkManager(manager, `managers[${index}]`, constraints);
  });
  checkUnique(list.managers, 'id', (manager) => manager.id);
  for (const zone of [undefined, ...zonesWithAddresses(list.managers)]) {
    const what = zone === undefined ? 'address and port' : `address and port in zone ${zone}`;
    checkUnique(managersSeenFrom(list.managers, zone), what, endpointOf);
  }
}

/**
 * A list may not take away more than `maxRemovedPct` per cent of the last good one at once, unless
 * those managers were already announced as draining or down.
 * @throws ListError `too_many_removed`
 */
export function checkRemoved(
  list: ManagerList,
  lastGood: ManagerList,
  maxRemovedPct: number,
): void {
  const removed = removedManagers(list.managers, lastGood.managers);
  const count = lastGood.managers.length;
  if (removed.length * 100 <= maxRemovedPct * count) return;
  const names = removed.map((manager) => manager.id).join(', ');
  throw new ListError(
    'too_many_removed',
    `${removed.length} of ${count} managers removed at once (${names}); allowed: ${maxRemovedPct} %`,
  );
}

/** Those that were up in `lastGood` and are not in `managers`. */
export function removedManagers(
  managers: readonly Manager[],
  lastGood: readonly Manager[],
): readonly Manager[] {
  const kept = new Set(managers.map(endpointOf));
  return lastGood.filter((manager) => manager.state === 'up' && !kept.has(endpointOf(manager)));
}

/** The host and network entries that allow exactly these addresses and no other. */
export function allowExactly(addresses: readonly string[]): Pick<Constraints, 'hosts' | 'cidrs'> {
  const parsed = addresses.map((text) => ({ text, kind: parseAddress(text)?.kind }));
  const numbers = parsed.filter(({ kind }) => kind === 'ipv4' || kind === 'ipv6');
  return {
    hosts: [...new Set(parsed.filter(({ kind }) => kind === 'name').map(({ text }) => text))],
    cidrs: [...new Set(numbers.map(({ text, kind }) => `${text}/${kind === 'ipv4' ? 32 : 128}`))],
  };
}

/** `*.suffix` stands for one or more labels before the suffix; names compare without case. */
export function isHostAllowed(address: Address, text: string, constraints: Constraints): boolean {
  if (address.kind !== 'name') return constraints.cidrs.some((cidr) => isInside(address, cidr));
  const name = text.toLowerCase();
  return constraints.hosts.some((host) => {
    const allowed = host.toLowerCase();
    return allowed.startsWith('*.') ? name.endsWith(allowed.slice(1)) : name === allowed;
  });
}

function checkCounts(managers: readonly Manager[], constraints: Constraints): void {
  const { minServers, maxServers } = constraints;
  if (managers.length > maxServers) {
    throw refuse(`managers holds ${managers.length}; allowed: at most ${maxServers}`);
  }
  const up = managers.filter((manager) => manager.state === 'up').length;
  if (up < minServers) {
    throw refuse(`managers has ${up} in state up; allowed: at least ${minServers}`);
  }
}

function checkManager(manager: Manager, where: string, constraints: Constraints): void {
  checkEndpoint(manager, `${where}.`, constraints);
  for (const { zone, address, port = manager.port } of manager.addresses ?? []) {
    checkEndpoint({ address, port }, `${where}, zone ${zone}: `, constraints);
  }
  if (!constraints.protocols.includes(manager.protocol)) {
    const allowed = constraints.protocols.join(', ');
    throw refuse(`${where}.protocol is "${manager.protocol}"; allowed: ${allowed}`);
  }
}

function checkEndpoint(
  { address: text, port }: Pick<Manager, 'address' | 'port'>,
  where: string,
  constraints: Constraints,
): void {
  const address = parseAddress(text);
  if (address === undefined || !isHostAllowed(address, text, constraints)) {
    const allowed = [...constraints.hosts, ...constraints.cidrs].slice(0, 8).join(', ');
    throw refuse(`${where}address is "${text}"; allowed: ${allowed}`);
  }
  if (!constraints.ports.includes(port)) {
    const allowed = constraints.ports.slice(0, 8).join(', ');
    throw refuse(`${where}port is ${port}; allowed: ${allowed}`);
  }
}

function checkUnique(
  managers: readonly Manager[],
  what: string,
  keyOf: (manager: Manager) => string,
): void {
  const seen = new Map<string, number>();
  managers.forEach((manager, index) => {
    const key = keyOf(manager);
    const first = seen.get(key);
    if (first !== undefined) {
      throw refuse(`managers[${index}] has the ${what} of managers[${first}]: ${key}`);
    }
    seen.set(key, index);
  });
}

function endpointOf(manager: Manager): string {
  return `${manager.address.toLowerCase()} ${manager.port}`;
}

function refuse(problem: string): ListError {
  return new ListError('constraint', `list: ${problem}`);
}
