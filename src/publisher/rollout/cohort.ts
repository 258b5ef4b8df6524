/** What the reports say about the agents of a wave and about all others. Pure. */
import type { Rollout } from '../../list/model.ts';
import { isInWave, shareOf, strataOf } from '../../list/rollout.ts';
import type { AgentRow } from '../reports/agent-book.ts';
import { faultOf, isSilent, silentIntervals } from '../reports/standing.ts';
import { listedRollout, type RolloutRecord } from './record.ts';

export interface CohortStats {
  /** Agents of the wave that reported shortly before it began, or since. */
  readonly known: number;
  /** Of them, those that have told since it began how they fare under the new list. */
  readonly reported: number;
  /** Of those, not connected or with a fault. */
  readonly failed: number;
  /** Of those, put their old configuration back. */
  readonly restored: number;
  /** Of the rest, those that fared badly before it began, by what they told last. */
  readonly stillFailed: number;
  /** All other agents, and how many of them fare badly, by what each told last: it tells changes at once. */
  readonly others: number;
  readonly othersFailed: number;
}

export function cohortStats(rows: Iterable<AgentRow>, record: RolloutRecord): CohortStats {
  const count = countCohort(record);
  for (const row of rows) count.add(row);
  return count.stats;
}

/** The same, row by row. */
export function countCohort(record: RolloutRecord): {
  readonly stats: CohortStats;
  add(row: AgentRow): void;
} {
  const stats = {
    ...{ known: 0, reported: 0, failed: 0, restored: 0, stillFailed: 0 },
    ...{ others: 0, othersFailed: 0 },
  };
  const rollout = listedRollout(record);
  const addMember = (row: AgentRow): void => {
    stats.known += 1;
    const how = fares(row, record);
    if (row.receivedAtMs <= record.stageStartedAtMs) {
      if (how === 'badly') stats.stillFailed += 1;
      return;
    }
    if (how === 'unknown') return;
    stats.reported += 1;
    if (how !== 'well') stats.failed += 1;
    if (how === 'restored') stats.restored += 1;
  };
  return {
    stats,
    add(row) {
      if (!wasThere(row, record.stageStartedAtMs)) return;
      if (isMember(rollout, row.report)) return addMember(row);
      stats.others += 1;
      if (fares(row, record) === 'badly') stats.othersFailed += 1;
    },
  };
}

/** Agents that fare badly for reasons of their own: no wave that begins now is to blame for them. */
export function countFailed(
  rows: Iterable<AgentRow>,
  record: Pick<RolloutRecord, 'sinceVersion'>,
  nowMs: number,
): number {
  let count = 0;
  for (const row of rows) if (!isSilent(row, nowMs) && fares(row, record) === 'badly') count += 1;
  return count;
}

/** Shares under one salt do not change: a hundred thousand hashes are not made every second. */
let known = { salt: '', shares: new Map<string, number>() };
const maxKnown = 500_000;

function isMember(rollout: Rollout, report: AgentRow['report']): boolean {
  if (known.salt !== rollout.salt || known.shares.size > maxKnown) {
    known = { salt: rollout.salt, shares: new Map() };
  }
  let share = known.shares.get(report.place);
  if (share === undefined) {
    share = shareOf(rollout, report.place);
    known.shares.set(report.place, share);
  }
  if (share < rollout.pct) return true;
  return rollout.strata !== undefined && isInWave(rollout, report.place, strataOf(report));
}

/** Not silent when the wave began: who was gone before says nothing about it. */
function wasThere({ report, receivedAtMs }: AgentRow, startedAtMs: number): boolean {
  return receivedAtMs > startedAtMs - silentIntervals * report.everySec * 1_000;
}

/** `unknown`: has not got the list of this rollout yet. */
function fares(
  { report }: AgentRow,
  { sinceVersion }: Pick<RolloutRecord, 'sinceVersion'>,
): 'well' | 'badly' | 'restored' | 'unknown' {
  const { result } = report;
  const isOurs = (result?.position?.version ?? 0) >= sinceVersion;
  if (result?.outcome === 'restored' && isOurs) return 'restored';
  // What an older list did to this agent is not the fault of this one.
  const fault = faultOf(isOurs ? report : withoutResult(report));
  if (fault !== undefined || !report.connected) return 'badly';
  return (report.list?.position.version ?? 0) >= sinceVersion ? 'well' : 'unknown';
}

function withoutResult(report: AgentRow['report']): AgentRow['report'] {
  const { result: _, ...rest } = report;
  return rest;
}
