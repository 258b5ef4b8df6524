/** How late this process's own timers are while it waits for something. */
import type { Cancel, Clock } from '../clock.ts';

const tickMs = 100;

export interface LagWatch {
  /** The worst lag since the start, in milliseconds. */
  worstMs(): number;
  readonly stop: Cancel;
}

/** Only while a wait lasts: a process at rest has no timer for it. */
export function watchLag(clock: Clock): LagWatch {
  let dueMs = clock.monotonicMs() + tickMs;
  let worst = 0;
  const late = (): number => Math.max(0, clock.monotonicMs() - dueMs);
  const tick = (): void => {
    worst = Math.max(worst, late());
    dueMs = clock.monotonicMs() + tickMs;
    cancel = clock.after(tickMs, tick);
  };
  let cancel = clock.after(tickMs, tick);
  return { worstMs: () => Math.max(worst, late()), stop: () => cancel() };
}
