/**
 * One list, seen from one zone: which address of a manager the agents there dial. Pure. A sidecar,
 * its applier and the shell applier see a list through their own zone only, which their own
 * configuration names; nothing a list or a publisher says changes whose eyes it is read with.
 */
import type { Manager } from './model.ts';

/** Without `addresses` and with `address` and `port` as dialled there; those of no zone are the general ones. */
export function managersSeenFrom(
  managers: readonly Manager[],
  zone: string | undefined,
): readonly Manager[] {
  return managers.map(({ addresses, ...manager }) => {
    const own = addresses?.find((one) => one.zone === zone);
    if (own === undefined) return manager;
    return { ...manager, address: own.address, port: own.port ?? manager.port };
  });
}

/** Every zone for which some manager has an address of its own, sorted. */
export function zonesWithAddresses(managers: readonly Manager[]): readonly string[] {
  const zones = managers.flatMap(({ addresses = [] }) => addresses.map(({ zone }) => zone));
  return [...new Set(zones)].sort();
}
