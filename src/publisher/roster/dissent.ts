/**
 * A publisher that goes on saying the opposite of every other place, of which there are two at least,
 * lies or sees badly: its voice on that manager does not count until it agrees with somebody again.
 * Bounded by managers and publishers; time is an argument.
 */
import type { ManagerViews, Opinion, PeerView } from './view.ts';

const patienceMs = 60_000;

export class DissentBook {
  readonly #sinceMs = new Map<string, number>();

  /** The views without those voices, and what is told of them. */
  hear(
    views: readonly ManagerViews[],
    monotonicMs: number,
  ): { readonly views: readonly ManagerViews[]; readonly told: readonly string[] } {
    const told: string[] = [];
    const open = new Set<string>();
    const heard = views.map((view) => {
      const peers = view.peers?.filter((peer) => {
        if (!isAgainstAll(view, peer)) return true;
        const key = `${peer.publisher} ${view.id}`;
        open.add(key);
        const sinceMs = this.#sinceMs.get(key) ?? monotonicMs;
        this.#sinceMs.set(key, sinceMs);
        if (monotonicMs - sinceMs < patienceMs) return true;
        told.push(`${peer.publisher} says ${view.id} is ${peer.opinion}, all others see otherwise`);
        return false;
      });
      return peers === undefined ? view : { ...view, peers };
    });
    for (const key of [...this.#sinceMs.keys()]) if (!open.has(key)) this.#sinceMs.delete(key);
    return { views: heard, told };
  }
}

function isAgainstAll({ probe, cluster, sites, peers = [] }: ManagerViews, one: PeerView): boolean {
  if (one.opinion === 'unknown') return false;
  const others: readonly Opinion[] = [
    ...[probe, cluster],
    ...sites.map(({ opinion }) => opinion),
    ...peers.filter((peer) => peer !== one).map(({ opinion }) => opinion),
  ].filter((opinion) => opinion !== 'unknown');
  return others.length > 1 && !others.includes(one.opinion);
}
