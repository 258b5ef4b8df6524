/** What the applier said no to, while that still stands. Pure. */
import type { Held, Memory } from './memory.ts';
import type { Pause } from './seen.ts';
import { type Step, stepKey } from './step.ts';

/** A clock may be corrected by so much without a word being asked again. */
const slackMs = 60_000;

type Bounds = readonly [pause: Pause | undefined, nowMs: number];

/**
 * Undefined: nothing is held, its time is up, or an operator's `resume` has ended it. For people and
 * alarms: whatever it is.
 */
export function heldNow(
  { held, heldTuning }: Pick<Memory, 'held' | 'heldTuning'>,
  ...bounds: Bounds
): Held | undefined {
  return stands(held, ...bounds) ?? stands(heldTuning, ...bounds);
}

/** The same for this very step. */
export function heldStep(
  { held, heldTuning }: Pick<Memory, 'held' | 'heldTuning'>,
  step: Step,
  listHash: string,
  ...bounds: Bounds
): Held | undefined {
  const one = stands(isTuning(step) ? heldTuning : held, ...bounds);
  return one?.key === stepKey(step, listHash) ? one : undefined;
}

/** What is held of it is kept apart: the least of all steps hides no other one, nor is hidden by it. */
export function isTuning(step: Step): boolean {
  return step.kind === 'write' && step.reason === 'tuning';
}

function stands(held: Held | undefined, ...[pause, nowMs]: Bounds): Held | undefined {
  if (held === undefined || nowMs >= held.untilMs) return undefined;
  // Answered in the future: the clock was set back, and the wait would be as long as that leap.
  if ((held.atMs ?? 0) > nowMs + slackMs) return undefined;
  const resumedAtMs = pause?.endedAtMs;
  // An end in the future: the clock was set back, and everything would be over.
  const isEnded = resumedAtMs !== undefined && resumedAtMs <= nowMs;
  return isEnded && (held.atMs ?? 0) <= resumedAtMs ? undefined : held;
}
