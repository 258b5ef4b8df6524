/** Wakes one waiting loop before its time: news of a list must not wait for the next probe. */
import { type Clock, sleep } from '../clock.ts';

export class Bell {
  #rung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Resolves after `waitMs`, or at once when rung meanwhile; rejects with `signal`. */
  async wait(clock: Clock, waitMs: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.#rung) {
      const early = new AbortController();
      this.#wake = () => early.abort();
      try {
        await sleep(clock, waitMs, AbortSignal.any([early.signal, signal]));
      } catch (thrown) {
        if (!early.signal.aborted || signal.aborted) throw thrown;
      } finally {
        this.#wake = undefined;
      }
    }
    this.#rung = false;
  }
}
