/** Held deletions by peer, kept over restarts, and the operator's word about them. */
import type { Held } from '../files/guard.ts';

export interface HeldBook {
  /** `peer`: the worker they are ordered of, or `master` on a worker. */
  read(peer: string): Held;
  write(peer: string, held: Held): void;
  /** True once after an operator accepted what is held for this peer. */
  takeAcceptance(peer: string): boolean;
}

/** For nodes that keep nothing. */
export class MemoryHeldBook implements HeldBook {
  readonly #held = new Map<string, Held>();
  readonly #accepted = new Set<string>();

  read(peer: string): Held {
    return this.#held.get(peer) ?? [];
  }

  write(peer: string, held: Held): void {
    if (held.length === 0) this.#held.delete(peer);
    else this.#held.set(peer, held);
  }

  accept(peer: string): void {
    this.#accepted.add(peer);
  }

  takeAcceptance(peer: string): boolean {
    return this.#accepted.delete(peer);
  }
}
