/**
 * Time and chance as values passed in. Only `host/` reads the real ones; the simulator and the
 * tests bring their own, so that a seed replays a run exactly.
 */

/** Undo for something scheduled; calling it twice is harmless. */
export type Cancel = () => void;

export interface Clock {
  /** Wall-clock milliseconds since the Unix epoch. A hint only: it may jump either way. */
  nowMs(): number;
  /** Monotonic milliseconds since an arbitrary start; never goes back. May stand still while the host sleeps. */
  monotonicMs(): number;
  /** Run `task` once after `delayMs` milliseconds. The pending timer keeps the process alive. */
  after(delayMs: number, task: () => void): Cancel;
}

export interface Random {
  /** `length` unpredictable bytes. */
  bytes(length: number): Uint8Array;
  /** Uniform in [0, 1). */
  fraction(): number;
}

/**
 * Resolve after `delayMs`, or reject with `signal.reason` as soon as `signal` aborts.
 * Every wait in the product goes through here or through a socket deadline.
 */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = (): void => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** An AbortSignal that fires after `delayMs` or with `parent`; `cancel` frees its timer. */
export function deadline(
  clock: Clock,
  delayMs: number,
  parent?: AbortSignal,
): { readonly signal: AbortSignal; readonly cancel: Cancel } {
  const controller = new AbortController();
  const stopTimer = clock.after(delayMs, () =>
    controller.abort(new DOMException(`no answer within ${delayMs} ms`, 'TimeoutError')),
  );
  const onParent = (): void => controller.abort(parent?.reason);
  if (parent?.aborted) onParent();
  parent?.addEventListener('abort', onParent, { once: true });
  const cancel = (): void => {
    stopTimer();
    parent?.removeEventListener('abort', onParent);
  };
  return { signal: controller.signal, cancel };
}

/** `work`, or `signal.reason` as soon as the signal fires; the work itself goes on. */
export function untilAborted<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** Full jitter (AWS "Exponential Backoff And Jitter"): uniform in [0, min(cap, base * 2^attempt)). */
export function fullJitterMs(
  random: Random,
  attempt: number,
  limits: { readonly baseMs: number; readonly capMs: number },
): number {
  const ceilingMs = Math.min(limits.capMs, limits.baseMs * 2 ** Math.min(attempt, 30));
  return Math.floor(random.fraction() * ceilingMs);
}
