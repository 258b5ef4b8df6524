/** What the applier said no to, while that still stands. Pure. */
import type { Memory } from './memory.ts';
import type { Pause } from './seen.ts';

/** A clock may be corrected by so much without a word being asked again. */
const slackMs = 60_000;

type Held = NonNullable<Memory['held']>;

/** Undefined: nothing is held, its time is up, or an operator's `resume` has ended it. */
export function heldNow(
  { held }: Pick<Memory, 'held'>,
  pause: Pause | undefined,
  nowMs: number,
): Held | undefined {
  if (held === undefined || nowMs >= held.untilMs) return undefined;
  // Answered in the future: the clock was set back, and the wait would be as long as that leap.
  if ((held.atMs ?? 0) > nowMs + slackMs) return undefined;
  const resumedAtMs = pause?.endedAtMs;
  // An end in the future: the clock was set back, and everything would be over.
  const isEnded = resumedAtMs !== undefined && resumedAtMs <= nowMs;
  return isEnded && (held.atMs ?? 0) <= resumedAtMs ? undefined : held;
}
