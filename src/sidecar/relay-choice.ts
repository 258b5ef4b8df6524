/** Whom the relay dials for the agent, best first, from what the probes know now. Pure. */
import { defaultDamping, isSuppressed } from '../health/damping.ts';
import { type Health, verdictOf } from '../health/judge.ts';
import type { Manager } from '../list/model.ts';
import type { RelayManager } from '../relay/ports.ts';

/**
 * Up, in this agent's own order; then those that fell too often, those nobody knows, the drained
 * ones, and last of all the dead: the relay asks each for a pong on the very connection, so a wrong
 * verdict costs the agent less than none. A known address stands for the name: no look-up while an
 * agent waits.
 */
export function chooseManagers(
  ranking: readonly Manager[],
  health: ReadonlyMap<string, Health>,
  nowMs: number,
): readonly RelayManager[] {
  return ranking
    .map((manager) => ({ manager, class: classOf(manager, health.get(manager.id), nowMs) }))
    .sort((left, right) => left.class - right.class)
    .flatMap(({ manager: { id, address, port, protocol } }) =>
      addressesOf(address, health.get(id)).map((ip) => ({ id, address: ip, port, protocol })),
    );
}

/** Of one name; what none of them answers, the next manager will. */
const maxAddresses = 4;

/** The one that answered last first, then the others of its name. */
function addressesOf(address: string, health: Health | undefined): readonly string[] {
  const ips = health?.ips.slice(0, maxAddresses) ?? [];
  return ips.length === 0 ? [address] : ips;
}

function classOf(manager: Manager, health: Health | undefined, nowMs: number): number {
  switch (verdictOf(manager.state, health)) {
    case 'up':
      return isSuppressed(health?.damping, defaultDamping, nowMs) ? 1 : 0;
    case 'unknown':
      return 2;
    case 'draining':
      return 3;
    default:
      return 4;
  }
}
