/**
 * Files that could not be read when they were packed: no descriptor was free, or the disk failed.
 * No scan tells when they can be read again, so they are tried again by the clock: soon, then less
 * and less often, as long as it goes on.
 */
import type { Cancel, Clock } from '../../clock.ts';

const firstMs = 2_000;
const mostMs = 300_000;

export class ReadAgain {
  readonly #clock: Clock;
  readonly #again: () => void;
  #delayMs = firstMs;
  #cancel: Cancel | undefined;

  constructor(clock: Clock, again: () => void) {
    this.#clock = clock;
    this.#again = again;
  }

  packed(isWhole: boolean): void {
    if (isWhole) this.#reset();
    if (isWhole || this.#cancel !== undefined) return;
    this.#cancel = this.#clock.after(this.#delayMs, () => {
      this.#cancel = undefined;
      this.#again();
    });
    this.#delayMs = Math.min(2 * this.#delayMs, mostMs);
  }

  /** The worker left. */
  end(): void {
    this.#cancel?.();
  }

  #reset(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#delayMs = firstMs;
  }
}
