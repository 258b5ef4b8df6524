/**
 * The product's own code as the world calls it. Tests hand the world a changed copy to see whether
 * a bug would be found; the product itself has no hooks.
 */
import { forgetOld, judgeBudget, judgeUrgentBudget, type Restart } from '../applier/budget.ts';
import { confirmBudgetMs } from '../applier/confirm.ts';
import { judgeOutcome, judgeSign } from '../health/judge.ts';
import { checkConstraints, checkRemoved } from '../list/constraints.ts';
import { judgePosition } from '../list/position.ts';
import { isInWave } from '../list/rollout.ts';
import { rankManagers } from '../list/select.ts';
import { driveRollout } from '../publisher/rollout/drive.ts';
import { planRollout } from '../publisher/rollout/plan.ts';
import { decide } from '../sidecar/decide.ts';
import type { Situation } from '../sidecar/decide-view.ts';
import { admissionWaitMs, chooseManagers, patienceMs } from '../sidecar/relay-choice.ts';
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
  readonly sign: typeof judgeSign;
  readonly rank: typeof rankManagers;
  /** Whom the relay leads to, and when. */
  readonly relay: {
    readonly choose: typeof chooseManagers;
    readonly admissionWaitMs: typeof admissionWaitMs;
    /** How long it keeps an agent that nobody answers. */
    readonly patienceMs: typeof patienceMs;
  };
  readonly decide: (situation: Situation) => Decision;
  readonly budget: typeof judgeBudget;
  readonly urgentBudget: typeof judgeUrgentBudget;
  readonly spend: (restarts: readonly Restart[], one: Restart) => readonly Restart[];
  readonly confirmBudgetMs: typeof confirmBudgetMs;
  readonly position: typeof judgePosition;
  readonly constraints: typeof checkConstraints;
  readonly removed: typeof checkRemoved;
  readonly isInWave: typeof isInWave;
  readonly rememberNews: typeof rememberNews;
  readonly rememberStep: typeof rememberStep;
  readonly rememberResult: typeof rememberResult;
  /** How the publisher rolls a change out, and when it takes it back. */
  readonly rollout: { readonly plan: typeof planRollout; readonly drive: typeof driveRollout };
  readonly acceptOps: readonly AcceptOp[];
  /** Bounds of one update cycle (I10). */
  readonly poll: { readonly limitMs: number; readonly limitBytes: number };
  /** Factor on the time between two cycles, from a chance in [0, 1). */
  readonly cycleJitter: (chance: number) => number;
}

export const productLogic: Logic = {
  judge: judgeOutcome,
  sign: judgeSign,
  rank: rankManagers,
  relay: { choose: chooseManagers, admissionWaitMs, patienceMs },
  decide,
  budget: judgeBudget,
  urgentBudget: judgeUrgentBudget,
  spend: (restarts, one) => [...forgetOld(restarts, one.atMs), one].slice(-1_024),
  confirmBudgetMs,
  position: judgePosition,
  constraints: checkConstraints,
  removed: checkRemoved,
  isInWave,
  rememberNews,
  rememberStep,
  rememberResult,
  rollout: { plan: planRollout, drive: driveRollout },
  acceptOps: ['check', 'persist'],
  poll: { limitMs: 60_000, limitBytes: 256 * 1024 },
  cycleJitter: (chance) => 0.9 + 0.2 * chance,
};
