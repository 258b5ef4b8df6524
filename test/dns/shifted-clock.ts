import type { Cancel, Clock } from '../../src/clock.ts';

/** The real clock, ahead by what was skipped; timers run in real time. */
export class ShiftedClock implements Clock {
  readonly #real: Clock;
  #aheadMs = 0;

  constructor(real: Clock) {
    this.#real = real;
  }

  skip(ms: number): void {
    this.#aheadMs += ms;
  }

  nowMs(): number {
    return this.#real.nowMs() + this.#aheadMs;
  }

  monotonicMs(): number {
    return this.#real.monotonicMs() + this.#aheadMs;
  }

  after(delayMs: number, task: () => void): Cancel {
    return this.#real.after(delayMs, task);
  }
}
