/**
 * For how long this publisher has led, by a clock that nobody sets: a wall clock that is set back would
 * keep a new leader listening for as long, and meanwhile no dead manager would leave the list.
 */
import type { LeaderStatus } from '../leadership.ts';

/** Longer than those that stand by take to notice who leads and to say what they see. */
const settleMs = 3_000;

export class Settling {
  #seatAtMs: number | undefined;
  #sinceMs = 0;

  /** Asked at every round; another seat, as its `sinceAtMs` tells, begins anew. */
  isOver(
    { leads, sinceAtMs }: Pick<LeaderStatus, 'leads' | 'sinceAtMs'>,
    monotonicMs: number,
  ): boolean {
    if (!leads) this.#seatAtMs = undefined;
    else if (sinceAtMs !== this.#seatAtMs) {
      this.#seatAtMs = sinceAtMs;
      this.#sinceMs = monotonicMs;
    }
    return leads && monotonicMs - this.#sinceMs >= settleMs;
  }
}
