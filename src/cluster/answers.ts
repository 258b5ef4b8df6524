/** Promises of the answers to our requests, by counter. */
import { PeerError } from '../errors.ts';
import type { Answer } from './session/output.ts';

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
  readonly forget: () => void;
}

export class Answers {
  readonly #waiting = new Map<number, Waiting>();

  /** `abandon` is called when `signal` aborts before the answer. */
  wait(counter: number, signal: AbortSignal | undefined, abandon: () => void): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        abandon();
        this.fail(counter, signal?.reason);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      const forget = (): void => signal?.removeEventListener('abort', onAbort);
      this.#waiting.set(counter, { resolve, reject, forget });
    });
  }

  settle(counter: number, answer: Answer): void {
    this.#take(counter)?.resolve(answer);
  }

  fail(counter: number, error: unknown): void {
    this.#take(counter)?.reject(error);
  }

  /** The link ended: no answer will come. */
  failAll(cause: Error | undefined): void {
    for (const counter of [...this.#waiting.keys()]) {
      const message = 'the link ended before the answer came';
      this.fail(counter, new PeerError('link_closed', message, { cause }));
    }
  }

  #take(counter: number): Waiting | undefined {
    const waiting = this.#waiting.get(counter);
    this.#waiting.delete(counter);
    waiting?.forget();
    return waiting;
  }
}
