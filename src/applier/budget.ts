/**
 * Restarts are the expensive actuator: a full one makes file integrity monitoring blind and then
 * re-scan, any of them loses the agent's memory buffer. So they are counted over a sliding hour
 * and day, and the remembered stamps are the whole state. Pure.
 */

export interface Restart {
  readonly atMs: number;
  /** agentd: the other daemons went on, integrity monitoring saw everything. */
  readonly kind: 'agentd' | 'service';
  /** From stopping to connected: how long integrity monitoring was blind; 0 for `agentd`. */
  readonly blindMs: number;
  /** Spent from the emergency allowance: the agent had lost its manager, or was about to. */
  readonly urgent?: boolean;
}

export interface BudgetLimits {
  readonly restartsPerHour: number;
  readonly restartsPerDay: number;
}

export interface UrgentLimits extends BudgetLimits {
  readonly urgentRestartsPerHour: number;
}

/** What one more restart would be spent from. */
export type Purse = 'normal' | 'urgent';

export type BudgetVerdict =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'used_up'; readonly untilMs: number; readonly why: string };

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** May one more restart be spent? A move of choice asks; putting a broken agent back never does. */
export function judgeBudget(
  restarts: readonly Restart[],
  limits: BudgetLimits,
  nowMs: number,
): BudgetVerdict {
  const chosen = forgetOld(restarts, nowMs).filter(({ urgent }) => urgent !== true);
  const windows = [
    { name: 'restarts in the last hour', lengthMs: hourMs, limit: limits.restartsPerHour },
    { name: 'restarts in the last day', lengthMs: dayMs, limit: limits.restartsPerDay },
  ];
  return judgeWindows(chosen, windows, nowMs);
}

/**
 * An agent without a manager must not wait for a budget, so emergencies have an allowance of their
 * own, on top of the normal one. It has an end too: who can claim emergencies at will gets so many
 * restarts an hour and no more. When it is used up the normal budget serves.
 */
export function judgeUrgentBudget(
  restarts: readonly Restart[],
  limits: UrgentLimits,
  nowMs: number,
): BudgetVerdict & { readonly purse: Purse } {
  const urgent = forgetOld(restarts, nowMs).filter((restart) => restart.urgent === true);
  const limit = limits.urgentRestartsPerHour;
  const window = { name: 'urgent restarts in the last hour', lengthMs: hourMs, limit };
  const verdict = judgeWindows(urgent, [window], nowMs);
  if (verdict.kind === 'allowed') return { ...verdict, purse: 'urgent' };
  const normal = judgeBudget(restarts, limits, nowMs);
  if (normal.kind === 'allowed') return { ...normal, purse: 'normal' };
  const sooner = normal.untilMs < verdict.untilMs ? normal : verdict;
  return { ...sooner, purse: 'urgent' };
}

interface Window {
  readonly name: string;
  readonly lengthMs: number;
  readonly limit: number;
}

function judgeWindows(
  restarts: readonly Restart[],
  windows: readonly Window[],
  nowMs: number,
): BudgetVerdict {
  for (const { name, lengthMs, limit } of windows) {
    const spent = restarts.filter(({ atMs }) => atMs > nowMs - lengthMs).toSorted(newestFirst);
    if (spent.length < limit) continue;
    const freedBy = spent[limit - 1]?.atMs ?? nowMs;
    return { kind: 'used_up', untilMs: freedBy + lengthMs, why: `${spent.length} ${name}` };
  }
  return { kind: 'allowed' };
}

/** Drops what no window counts; a stamp of the future (the clock went back) counts as now. */
export function forgetOld(restarts: readonly Restart[], nowMs: number): readonly Restart[] {
  return restarts
    .map((restart) => ({ ...restart, atMs: Math.min(restart.atMs, nowMs) }))
    .filter(({ atMs }) => atMs > nowMs - dayMs);
}

/** How long integrity monitoring was blind in the last day because of us, in milliseconds. */
export function blindMsToday(restarts: readonly Restart[], nowMs: number): number {
  return forgetOld(restarts, nowMs).reduce((total, { blindMs }) => total + blindMs, 0);
}

function newestFirst(left: Restart, right: Restart): number {
  return right.atMs - left.atMs;
}
