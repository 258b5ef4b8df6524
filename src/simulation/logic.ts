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
import {
  isComingBack,
  leaveAtMs,
  plannedFromMs,
  slotsFromMs,
} from '../sidecar/decide-admission.ts';
import type { Connection } from '../sidecar/decide-connection.ts';
import { type Situation, viewOf } from '../sidecar/decide-view.ts';
import { rememberNews, rememberResult, rememberStep } from '../sidecar/remember.ts';
import type { Decision, MoveReason } from '../sidecar/step.ts';

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

/** Moves of choice have their slots in `decide`; these follow a death or a loss. */
const rescues: readonly MoveReason[] = ['manager_down', 'agent_lost', 'agent_unlisted'];

/** Turns a move into a hold until this agent's slot. Harmless where `decide` did so. */
export function admitLeave(situation: Situation, decision: Decision): Decision {
  const { step } = decision;
  if (step.kind !== 'move') return decision;
  const { connection, candidates } = viewOf(situation);
  const leaving = leavingOf(connection);
  const { list, seen, agentId, nowMs } = situation;
  if (leaving === undefined) return decision;
  const health = seen.health.get(leaving.id);
  const isRescue = rescues.includes(step.reason);
  if (
    isRescue &&
    connection.kind === 'listed' &&
    leaving.state !== 'down' &&
    isComingBack(health)
  ) {
    return holdUntil(decision, undefined, 'the manager answers again');
  }
  const sinceAtMs = isRescue
    ? rescueSinceMs(situation, { step, leaving, candidates })
    : plannedFromMs(list.list, seen.health, nowMs);
  if (sinceAtMs === 0) return decision;
  const homeId = list.ranking[0]?.id;
  const question = { agentId, list: list.list, leaving, candidates, sinceAtMs, nowMs, homeId };
  const untilMs = leaveAtMs(question);
  return nowMs >= untilMs ? decision : holdUntil(decision, untilMs, 'its slot has not come');
}

interface Leave {
  readonly step: Extract<Decision['step'], { kind: 'move' }>;
  readonly leaving: Manager;
  readonly candidates: readonly Manager[];
}

function rescueSinceMs(situation: Situation, { step, leaving, candidates }: Leave): number {
  const { list, seen, policy, memory, nowMs } = situation;
  const health = seen.health.get(leaving.id);
  const deadSince = health?.verdict === 'down' ? health.sinceAtMs : list.acceptedAtMs;
  const graceEndsMs = (seen.lostSinceAtMs ?? nowMs) + policy.reconnectGraceMs;
  const knownAtMs = step.reason === 'manager_down' ? deadSince : graceEndsMs;
  const lastMove = memory.attempts.findLast(({ kind, atMs }) => kind === 'move' && atMs <= nowMs);
  return slotsFromMs({
    list: list.list,
    candidates,
    health: seen.health,
    doubtMs: policy.doubtMs,
    nowMs,
    knownAtMs,
    cooldownMs: policy.cooldownMs ?? list.list.client.cooldownSec * 1000,
    lastMoveAtMs: lastMove?.atMs,
  });
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
