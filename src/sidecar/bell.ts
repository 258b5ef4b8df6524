/** Wakes one waiting loop before its time: news of a list must not wait for the next probe. */
import type { Clock } from '../clock.ts';

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
    if (!this.#rung) await this.#sleep(clock, waitMs, signal);
    this.#rung = false;
  }

  /** Once a second for ever: so nothing here is left to the garbage collector but the promise. */
  #sleep(clock: Clock, waitMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        cancel();
        signal.removeEventListener('abort', onAbort);
        this.#wake = undefined;
      };
      const wake = (): void => {
        end();
        resolve();
      };
      const onAbort = (): void => {
        end();
        reject(signal.reason);
      };
      const cancel = clock.after(waitMs, wake);
      this.#wake = wake;
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}
