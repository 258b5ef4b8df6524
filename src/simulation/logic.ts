/**
 * The product's own code as the world calls it. Tests hand the world a changed copy to see whether
 * a bug would be found; the product itself has no hooks.
 */
import { judgeBudget, type Restart } from '../applier/budget.ts';
import { confirmBudgetMs } from '../applier/confirm.ts';
import { judgeOutcome } from '../health/judge.ts';
import { checkConstraints, checkRemoved } from '../list/constraints.ts';
import type { Manager } from '../list/model.ts';
import { judgePosition } from '../list/position.ts';
import { isInWave } from '../list/rollout.ts';
import { rankManagers } from '../list/select.ts';
import { decide } from '../sidecar/decide.ts';
import { firstChanceAtMs, isComingBack, leaveAtMs } from '../sidecar/decide-admission.ts';
import { type Connection, type Situation, viewOf } from '../sidecar/decide-view.ts';
import { rememberNews, rememberResult, rememberStep } from '../sidecar/remember.ts';
import type { Decision } from '../sidecar/step.ts';

/** One visible step of replacing ossec.conf; `replace-trace.ts` records it from the real code. */
export type DiskOp =
  | 'create'
  | 'write_synced'
  | 'write_unsynced'
  | 'read_back'
  | 'backup'
  | 'rename'
  | 'sync_folder'
  | 'truncate_target'
  | 'write_target'
  | 'discard';

/** How a sidecar takes a list in: in this order. */
export type AcceptOp = 'check' | 'persist';

export interface Logic {
  readonly judge: typeof judgeOutcome;
  readonly rank: typeof rankManagers;
  readonly decide: (situation: Situation) => Decision;
  /** When a move that follows a death may happen. */
  readonly admit: (situation: Situation, decision: Decision) => Decision;
  readonly budget: typeof judgeBudget;
  readonly spend: (restarts: readonly Restart[], one: Restart) => readonly Restart[];
  readonly confirmBudgetMs: typeof confirmBudgetMs;
  readonly position: typeof judgePosition;
  readonly constraints: typeof checkConstraints;
  readonly removed: typeof checkRemoved;
  readonly isInWave: typeof isInWave;
  readonly rememberNews: typeof rememberNews;
  readonly rememberStep: typeof rememberStep;
  readonly rememberResult: typeof rememberResult;
  readonly acceptOps: readonly AcceptOp[];
  /** Bounds of one update cycle (I10). */
  readonly poll: { readonly limitMs: number; readonly limitBytes: number };
  /** Factor on the time between two cycles, from a chance in [0, 1). */
  readonly cycleJitter: (chance: number) => number;
}

export const productLogic: Logic = {
  judge: judgeOutcome,
  rank: rankManagers,
  decide,
  admit: admitLeave,
  budget: judgeBudget,
  spend: (restarts, one) => [...restarts, one].slice(-64),
  confirmBudgetMs,
  position: judgePosition,
  constraints: checkConstraints,
  removed: checkRemoved,
  isInWave,
  rememberNews,
  rememberStep,
  rememberResult,
  acceptOps: ['check', 'persist'],
  poll: { limitMs: 60_000, limitBytes: 256 * 1024 },
  cycleJitter: (chance) => 0.9 + 0.2 * chance,
};

/** Turns a move after a death into a hold until this agent's slot. Harmless where `decide` did so. */
export function admitLeave(situation: Situation, decision: Decision): Decision {
  const { step } = decision;
  if (step.kind !== 'move') return decision;
  if (step.reason === 'manager_draining' || step.reason === 'manager_unlisted') return decision;
  const { connection, candidates } = viewOf(situation);
  const leaving = leavingOf(connection);
  if (leaving === undefined) return decision;
  const { list, agentId, nowMs, seen, policy } = situation;
  const { doubtMs } = policy;
  const health = seen.health.get(leaving.id);
  if (connection.kind === 'listed' && leaving.state !== 'down' && isComingBack(health)) {
    return holdUntil(decision, undefined, 'the manager answers again');
  }
  const deadSince = health?.verdict === 'down' ? health.sinceAtMs : list.acceptedAtMs;
  const knownAtMs = step.reason === 'manager_down' ? deadSince : (seen.lostSinceAtMs ?? nowMs);
  const chance = { list: list.list, candidates, health: seen.health, doubtMs, nowMs };
  const sinceAtMs = Math.max(knownAtMs, firstChanceAtMs(chance));
  const question = { agentId, list: list.list, leaving, candidates, sinceAtMs, nowMs };
  const untilMs = leaveAtMs(question);
  return nowMs >= untilMs ? decision : holdUntil(decision, untilMs, 'its slot has not come');
}

function leavingOf(connection: Connection): Manager | undefined {
  if (connection.kind === 'listed') return connection.manager;
  return connection.kind === 'none' ? connection.last : undefined;
}

function holdUntil({ trace }: Decision, untilMs: number | undefined, why: string): Decision {
  return {
    step: { kind: 'hold', reason: 'slot', ...(untilMs === undefined ? {} : { untilMs }) },
    trace: [...trace, `admission: ${why}`],
  };
}
