/** Moves planned for an instant: the slot of this agent. They end with the relay. */
import type { Cancel, Clock } from '../clock.ts';

export class Slots {
  readonly #clock: Clock;
  readonly #planned = new Set<Cancel>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Run `task` at `atMs` (wall clock), at once when that has passed. */
  at(atMs: number, task: () => void): Cancel {
    const delayMs = Math.max(0, atMs - this.#clock.nowMs());
    const stopTimer = this.#clock.after(delayMs, () => {
      this.#planned.delete(cancel);
      task();
    });
    const cancel = (): void => {
      this.#planned.delete(cancel);
      stopTimer();
    };
    this.#planned.add(cancel);
    return cancel;
  }

  close(): void {
    for (const cancel of [...this.#planned]) cancel();
  }
}
