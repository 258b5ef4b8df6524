/** The real clock and the real random source; the only file that reads them. */
import { randomBytes, randomInt } from 'node:crypto';
import type { Clock, Random } from '../clock.ts';

const maxTimerMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, task) {
    const timer = setTimeout(task, Math.max(0, Math.min(delayMs, maxTimerMs)));
    return () => clearTimeout(timer);
  },
};

export const systemRandom: Random = {
  bytes: (length) => randomBytes(length),
  fraction: () => randomInt(2 ** 48 - 1) / (2 ** 48 - 1),
};
