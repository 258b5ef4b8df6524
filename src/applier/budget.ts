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
}

export interface BudgetLimits {
  readonly restartsPerHour: number;
  readonly restartsPerDay: number;
}

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
  const known = forgetOld(restarts, nowMs);
  const windows = [
    { name: 'hour', lengthMs: hourMs, limit: limits.restartsPerHour },
    { name: 'day', lengthMs: dayMs, limit: limits.restartsPerDay },
  ];
  for (const { name, lengthMs, limit } of windows) {
    const spent = known.filter(({ atMs }) => atMs > nowMs - lengthMs).toSorted(newestFirst);
    if (spent.length < limit) continue;
    const freedBy = spent[limit - 1]?.atMs ?? nowMs;
    const untilMs = freedBy + lengthMs;
    return { kind: 'used_up', untilMs, why: `${spent.length} restarts in the last ${name}` };
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
