/** How late timers fire: the one number that says that this process is overloaded. */
import type { Clock } from '../clock.ts';

const sampleMs = 50;

/** A function that tells the present lag in milliseconds, and the undo. */
export function watchEventLoopLag(clock: Clock): {
  readonly lagMs: () => number;
  readonly stop: () => void;
} {
  let dueMs = clock.monotonicMs() + sampleMs;
  let lastLagMs = 0;
  const timer = setInterval(() => {
    const nowMs = clock.monotonicMs();
    lastLagMs = Math.max(0, nowMs - dueMs);
    dueMs = nowMs + sampleMs;
  }, sampleMs);
  timer.unref();
  return {
    lagMs: () => Math.max(lastLagMs, clock.monotonicMs() - dueMs),
    stop: () => clearInterval(timer),
  };
}
