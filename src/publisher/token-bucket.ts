/** A rate with a burst. Pure; `nowMs` is monotonic. */

export interface TokenBucket {
  /** Take one; false when no more than `leave` (0) are left. */
  take(nowMs: number, leave?: number): boolean;
}

/** `perSecond` new ones a second, at most `burst` saved up. `nowMs` is monotonic. */
export function buildTokenBucket(perSecond: number, burst: number): TokenBucket {
  let left = burst;
  let atMs: number | undefined;
  return {
    take(nowMs, leave = 0) {
      const passedMs = Math.max(0, nowMs - (atMs ?? nowMs));
      atMs = nowMs;
      left = Math.min(burst, left + (passedMs * perSecond) / 1_000);
      if (left < 1 + leave) return false;
      left -= 1;
      return true;
    },
  };
}
