/**
 * Requests that wait for the next list. All of them are woken by one publication, a batch at a
 * time, so that ten thousand answers do not stop the event loop.
 */
import type { Cancel, Clock } from '../clock.ts';

export interface LongPolls {
  /** Resolves at the next `wakeAll`, after `waitMs`, or when `signal` aborts. Never rejects. */
  wait(waitMs: number, signal: AbortSignal): Promise<void>;
  wakeAll(): void;
  count(): number;
}

const batchSize = 200;

export function buildLongPolls(clock: Clock): LongPolls {
  const waiting = new Set<() => void>();

  const wakeSome = (wakes: readonly (() => void)[]): void => {
    for (const wake of wakes.slice(0, batchSize)) wake();
    const rest = wakes.slice(batchSize);
    if (rest.length > 0) clock.after(0, () => wakeSome(rest));
  };
  return {
    wait: (waitMs, signal) =>
      new Promise((resolve) => {
        if (signal.aborted) return resolve();
        let cancel: Cancel = () => undefined;
        const wake = (): void => {
          cancel();
          waiting.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        cancel = clock.after(waitMs, wake);
        signal.addEventListener('abort', wake, { once: true });
        waiting.add(wake);
      }),
    wakeAll: () => wakeSome([...waiting]),
    count: () => waiting.size,
  };
}
