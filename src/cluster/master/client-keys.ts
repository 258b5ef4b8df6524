/** Our own workers get the agents' keys first, in a bundle of their own: it is there at once. */
import type { CheckReport } from '../files/jobs.ts';
import type { Order } from '../files/manifest.ts';
import { type FileName, keysName } from '../files/name.ts';

/** One or two orders that together are `order`; deletions come last. */
export function splitKeys(order: Order): readonly Order[] {
  const { missing, shared } = order;
  const first = { missing: keysOf(missing), shared: keysOf(shared), extra: new Map() };
  const rest = { ...order, missing: othersOf(missing), shared: othersOf(shared) };
  const hasKeys = first.missing.length + first.shared.length > 0;
  const { length: wanted } = rest.wanted ?? [];
  const hasRest = rest.missing.length + rest.shared.length + rest.extra.size + wanted > 0;
  return hasKeys && hasRest ? [first, rest] : [order];
}

/** Keys come and go all day: of the other files what they hold counts, whatever else changed. */
export function contentOf(order: Order, report: CheckReport): string {
  const hasKeys = [order.missing, order.shared].some((names) => keysOf(names).length > 0);
  return hasKeys ? `scan ${report.generation}` : report.content;
}

function keysOf(names: readonly FileName[]): readonly FileName[] {
  return names.filter((name) => name === keysName);
}

function othersOf(names: readonly FileName[]): readonly FileName[] {
  return names.filter((name) => name !== keysName);
}
