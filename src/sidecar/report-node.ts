/** What is known of the nodes behind addresses, for `status` and its alarms. Pure. */
import { isContested } from '../health/holder.ts';
import type { RankedList, Seen } from './seen.ts';

export interface NodeStatus {
  /** A key was seen, so that a move is noticed. */
  readonly isKnown: boolean;
  /** When another node took the address over; absent while it has been one. */
  readonly movedAtMs?: number;
  /** Two nodes answer at the address, or a balancer. */
  readonly isContested: boolean;
  /** Hardware address that this host sends to. */
  readonly neighbour?: string;
}

export function nodeStatus(
  managerId: string,
  { holders }: Seen,
  nowMs: number,
): NodeStatus | undefined {
  const holder = holders?.get(managerId);
  if (holder === undefined) return undefined;
  const { marks, movedAtMs, neighbour } = holder;
  return {
    isKnown: marks.publisher !== undefined || marks.server !== undefined,
    ...(movedAtMs === undefined ? {} : { movedAtMs }),
    isContested: isContested(holder, nowMs),
    ...(neighbour === undefined ? {} : { neighbour: neighbour.mac }),
  };
}

/** Told, never mended: the address belongs to whoever runs the virtual IP. */
export function nodeAlarms(list: RankedList, seen: Seen, nowMs: number): readonly string[] {
  const { managers } = list.list;
  return managers.flatMap(({ id, address }) => {
    const holder = seen.holders?.get(id);
    if (holder === undefined) return [];
    const contested = isContested(holder, nowMs)
      ? [`two nodes answer at ${address} (${id}): a split virtual IP, or a balancer`]
      : [];
    const stale = staleNeighbour(id, list, seen);
    return stale === undefined
      ? contested
      : [...contested, `${address} (${id}) does not answer, and this host still sends to ${stale}`];
  });
}

/** The address is silent while its hardware address, elsewhere in use, belongs to a node that answers. */
function staleNeighbour(id: string, { list }: RankedList, seen: Seen): string | undefined {
  const health = seen.health.get(id);
  const neighbour = seen.holders?.get(id)?.neighbour;
  if (neighbour === undefined || health?.verdict !== 'down') return undefined;
  if (neighbour.sinceAtMs >= health.sinceAtMs) return undefined;
  const owner = list.managers.find(
    (other) =>
      other.id !== id &&
      seen.health.get(other.id)?.verdict === 'up' &&
      seen.holders?.get(other.id)?.neighbour?.mac === neighbour.mac,
  );
  const whose = owner === undefined ? '' : `, which is ${owner.id}`;
  return `${neighbour.mac}${whose}: a stale neighbour entry where a virtual IP has moved`;
}
