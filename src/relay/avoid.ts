/** Who failed just now, so that the agent's immediate reconnect lands elsewhere. */
import type { RelayManager } from './ports.ts';

/** Remembers for `avoidMs`; bounded by the number of managers of a list. */
export class Avoided {
  readonly #avoidMs: number;
  readonly #untilAtMs = new Map<string, number>();

  constructor(avoidMs: number) {
    this.#avoidMs = avoidMs;
  }

  add(managerId: string, nowMs: number): void {
    this.#forget(nowMs);
    this.#untilAtMs.set(managerId, nowMs + this.#avoidMs);
  }

  /** The same managers, avoided ones last, otherwise in the given order: nobody is given up on. */
  order(managers: readonly RelayManager[], nowMs: number): readonly RelayManager[] {
    this.#forget(nowMs);
    if (this.#untilAtMs.size === 0) return managers;
    const isAvoided = ({ id }: RelayManager): boolean => this.#untilAtMs.has(id);
    return [...managers.filter((one) => !isAvoided(one)), ...managers.filter(isAvoided)];
  }

  #forget(nowMs: number): void {
    for (const [id, untilAtMs] of this.#untilAtMs) {
      if (untilAtMs <= nowMs) this.#untilAtMs.delete(id);
    }
  }
}
