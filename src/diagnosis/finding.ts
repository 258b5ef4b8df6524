/**
 * What `doctor` says: one line for each thing it looked at, with what to do where something is
 * amiss. A check that breaks is a finding too: one broken part never hides the others.
 */
import { type Clock, deadline, untilAborted } from '../clock.ts';
import { type ExitCode, PilotfishError } from '../errors.ts';
import { messageOf } from '../guards.ts';

/** `skip`: could not be looked at here, which says nothing either way. */
export type Level = 'ok' | 'skip' | 'warn' | 'fail';

export interface Finding {
  /** What was looked at: `clock`, `port wm1`, `dns wm.example.org`. */
  readonly check: string;
  readonly level: Level;
  /** What was seen. */
  readonly text: string;
  /** What to do; on every `warn` and `fail`. */
  readonly fix?: string;
}

export function ok(check: string, text: string): Finding {
  return { check, level: 'ok', text };
}

export function skip(check: string, text: string): Finding {
  return { check, level: 'skip', text };
}

export function warn(check: string, text: string, fix: string): Finding {
  return { check, level: 'warn', text, fix };
}

export function fail(check: string, text: string, fix: string): Finding {
  return { check, level: 'fail', text, fix };
}

/** A failure that has a code keeps its code and its fix. */
export function failure(check: string, thrown: unknown): Finding {
  if (!(thrown instanceof PilotfishError)) throw thrown;
  return fail(check, `${thrown.code} ${thrown.reason}: ${thrown.message}`, thrown.fix);
}

/** One look; `run` may throw PilotfishError. */
export interface Check {
  readonly name: string;
  run(): Promise<readonly Finding[]> | readonly Finding[];
}

/** Each check has so long, so that a hung name server or disk costs its own line only. */
const checkMs = 20_000;

/** All side by side, told in the order they were given. */
export async function runChecks(
  clock: Clock,
  checks: readonly Check[],
  limitMs = checkMs,
): Promise<readonly Finding[]> {
  const told = await Promise.all(checks.map((check) => runCheck(clock, check, limitMs)));
  return told.flat();
}

async function runCheck(clock: Clock, check: Check, limitMs: number): Promise<readonly Finding[]> {
  const limit = deadline(clock, limitMs);
  try {
    return await untilAborted(
      Promise.resolve().then(() => check.run()),
      limit.signal,
    );
  } catch (thrown) {
    if (limit.signal.aborted) {
      const fix = 'something it asks hangs: a disk, a name server, a daemon of the agent';
      return [fail(check.name, messageOf(limit.signal.reason), fix)];
    }
    return [failure(check.name, thrown)];
  } finally {
    limit.cancel();
  }
}

/** 1: something is broken; 3: something should be mended before it breaks. */
export function exitOfFindings(findings: readonly Finding[]): ExitCode {
  if (findings.some(({ level }) => level === 'fail')) return 1;
  return findings.some(({ level }) => level === 'warn') ? 3 : 0;
}

const order: Readonly<Record<Level, number>> = { fail: 0, warn: 1, skip: 2, ok: 3 };

/** Worst first; equals stay in their order. */
export function worstFirst(findings: readonly Finding[]): readonly Finding[] {
  return findings.toSorted((left, right) => order[left.level] - order[right.level]);
}
