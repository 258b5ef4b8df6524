/** The frame of every run: one at a time, failures with a code become a result, bugs stay thrown. */
import { PilotfishError } from '../errors.ts';
import { readMemory } from './memory.ts';
import { outcomeOf } from './outcome.ts';
import { finish, newProgress } from './progress.ts';
import type { ApplyResult } from './result.ts';
import type { End, GiveUp, Run } from './run.ts';
import { atThisClock, rememberIfPossible } from './standing.ts';
import type { ApplierWorld } from './world.ts';

/** lock -> memory -> `work` -> result */
export async function account(
  world: ApplierWorld,
  work: (run: Run) => Promise<End>,
  isGivenUp?: GiveUp,
): Promise<ApplyResult> {
  const { clock } = world;
  const progress = newProgress(clock.nowMs(), clock.monotonicMs());
  const underLock = async (): Promise<End> => {
    const lock = await world.lock();
    try {
      const known = await readMemory(world.memory);
      const memory = atThisClock(known, clock.nowMs());
      const ends = isGivenUp === undefined ? {} : { isGivenUp };
      const run = { world, progress, memory, ...ends };
      if (memory !== known) await rememberIfPossible(run, {});
      return await work(run);
    } finally {
      await lock.release();
    }
  };
  try {
    const end = await underLock();
    return finish(progress, { ...end, monotonicMs: clock.monotonicMs() });
  } catch (error) {
    if (!(error instanceof PilotfishError)) throw error;
    const outcome = outcomeOf(error.reason);
    world.log.warn('apply.stopped', { outcome, code: error.code, reason: error.reason });
    return finish(progress, { outcome, reason: error, monotonicMs: clock.monotonicMs() });
  }
}
