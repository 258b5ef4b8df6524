/** How memory grows: by proven news, by what was seen, by what was ordered and how it ended. Pure. */
import type { ApplyResult } from '../applier/result.ts';
import { sha256Tag } from '../bytes.ts';
import type { ReasonName } from '../errors.ts';
import { parseEnvelope } from '../list/envelope.ts';
import { raiseFloorMs } from '../list/freshness.ts';
import { isInWave } from '../list/rollout.ts';
import { isTuning } from './held.ts';
import { type Attempt, type Held, type Memory, maxAttempts, maxRoots } from './memory.ts';
import type { News } from './source.ts';
import { type Step, stepKey } from './step.ts';

/** Only proven things are in `news`, so nothing unproven is ever persisted. */
export function rememberNews(
  memory: Memory,
  news: News,
  agentId: string,
  nowMs: number,
  strata: readonly string[] = [],
): Memory {
  const next = {
    ...rememberRoots(memory, news),
    floorMs: raiseFloorMs(memory.floorMs, news.seenAtMs ?? 0, nowMs),
    ...countStale(memory, news, nowMs),
    ...(news.freshness === 'fresh' ? { freshAtMs: nowMs } : {}),
    ...(news.publisher === undefined ? {} : { lastPublisher: news.publisher }),
  };
  if (news.list === undefined) return next;
  const { pending: _, ...rest } = next;
  // A host without any list has nothing to wait with: it takes what there is.
  const isOurs = memory.list === undefined || isInWave(news.rollout, agentId, strata);
  return isOurs ? { ...rest, list: news.list } : { ...rest, pending: news.list };
}

/** Retries while nobody can be reached come quickly: in half a minute they are one poll. */
const staleEveryMs = 30_000;

function countStale(
  { stalePolls, staleAtMs = Number.NEGATIVE_INFINITY }: Memory,
  { freshness }: News,
  nowMs: number,
): Pick<Memory, 'stalePolls' | 'staleAtMs'> {
  if (freshness === 'fresh' || freshness === 'static') return { stalePolls: 0 };
  const isRetry = nowMs >= staleAtMs && nowMs - staleAtMs < staleEveryMs;
  if (isRetry) return { stalePolls, staleAtMs };
  return { stalePolls: Math.min(stalePolls + 1, 1_000_000), staleAtMs: nowMs };
}

/**
 * Long chains lose their oldest links and no more: an applier may be some roots behind, and follows
 * only an unbroken chain from its own. The pin moves up with the first root that is kept.
 */
function rememberRoots(memory: Memory, { roots }: News): Memory {
  if (roots.length === 0) return memory;
  const chain = [...memory.roots, ...roots.map(({ envelope }) => envelope)];
  const kept = chain.slice(-maxRoots);
  const [first] = kept;
  if (first === undefined || kept.length === chain.length) return { ...memory, roots: chain };
  return { ...memory, rootPin: sha256Tag(parseEnvelope(first).payloadBytes), roots: kept };
}

/** Intent before the act: a crash in between is seen in the file, not here. */
export function rememberStep(memory: Memory, step: Step, nowMs: number): Memory {
  if (step.kind !== 'move' && step.kind !== 'write') return memory;
  const to = step.kind === 'move' ? step.to : (step.order[0] ?? '');
  const attempt: Attempt = { kind: step.kind, to, atMs: nowMs, outcome: 'begun' };
  return { ...memory, attempts: [...memory.attempts, attempt].slice(-maxAttempts) };
}

export interface Ending {
  readonly step: Step;
  readonly listHash: string;
  readonly result: ApplyResult;
  readonly nowMs: number;
}

export function rememberResult(memory: Memory, ending: Ending): Memory {
  const { step, result, listHash, nowMs } = ending;
  const isMove = step.kind === 'move';
  const isBack = step.kind === 'restore' && result.outcome === 'restored';
  const isDone = isBack || ['unchanged', 'written', 'moved'].includes(result.outcome);
  // Kept although unconfirmed: the file is right, the target did not take the agent.
  const isGood = isDone && !(isMove && result.outcome === 'written' && !result.connected);
  // Held back before anything was done: that says nothing about the target, unless it is known to
  // have failed before (E610).
  const isHeld = ['held', 'refused'].includes(result.outcome) && result.restarts === 0;
  const isUntried = isHeld && result.reason?.name !== 'not_connected';
  const attempts = endAttempt(memory.attempts, isUntried ? undefined : outcomeOf(isGood));
  const place = isTuning(step) ? 'heldTuning' : 'held';
  const { [place]: _, ...rest } = memory;
  return {
    ...rest,
    attempts,
    ...(isMove && isGood ? { lastManager: step.to } : {}),
    ...(isDone ? {} : { [place]: heldOf(step, listHash, result, nowMs) }),
  };
}

/** The last order ends so; without an outcome it never was. */
function endAttempt(
  attempts: Memory['attempts'],
  outcome: Attempt['outcome'] | undefined,
): Memory['attempts'] {
  const begun = attempts.at(-1);
  if (begun?.outcome !== 'begun') return attempts;
  const earlier = attempts.slice(0, -1);
  return outcome === undefined ? earlier : [...earlier, { ...begun, outcome }];
}

function outcomeOf(isGood: boolean): Attempt['outcome'] {
  return isGood ? 'done' : 'failed';
}

/** How long the applier is not asked for the same thing again. */
const retryMs: Readonly<Partial<Record<ReasonName, number>>> = {
  lock_held: 5_000,
  changed_meanwhile: 5_000,
  upgrade_running: 30_000,
  restart_budget: 60_000,
  write_failed: 300_000,
};
const heldMs = 30_000;
const refusedMs = 600_000;

function heldOf(
  step: Step,
  listHash: string,
  { outcome, reason }: ApplyResult,
  nowMs: number,
): Held {
  const fallbackMs = outcome === 'held' ? heldMs : refusedMs;
  const waitMs = reason === undefined ? fallbackMs : (retryMs[reason.name] ?? fallbackMs);
  const why = reason === undefined ? outcome : `${reason.code} ${reason.message}`;
  return {
    key: stepKey(step, listHash),
    untilMs: nowMs + waitMs,
    atMs: nowMs,
    why,
    ...(reason === undefined ? {} : { reason: reason.name }),
  };
}
