/** Where one agent stands against what it should hold, with the reason. Pure. */
import type { AgentReport } from '../../list/agent-report.ts';
import type { Position, Rollout } from '../../list/model.ts';
import { comparePositions, renderPosition } from '../../list/position.ts';
import { isInWave, strataOf } from '../../list/rollout.ts';
import type { AgentRow } from './agent-book.ts';

/** What agents should hold now. */
export interface Target {
  readonly newest: Position;
  /** While a rollout is under way: who takes `newest` already. */
  readonly rollout?: Rollout;
  /** What everybody else holds meanwhile. */
  readonly stable?: Position;
}

export type State = 'on_target' | 'waiting' | 'behind' | 'failed' | 'away' | 'silent';

export interface Standing {
  readonly state: State;
  /** The position this agent should hold. */
  readonly target: Position;
  readonly reason: string;
}

/** So many intervals without a report, and an agent counts as silent. */
export const silentIntervals = 3;

export function isSilent({ report, receivedAtMs }: AgentRow, nowMs: number): boolean {
  return nowMs - receivedAtMs > silentIntervals * report.everySec * 1_000;
}

export function standingOf(row: AgentRow, target: Target, nowMs: number): Standing {
  const { report } = row;
  const isWaiting =
    target.stable !== undefined && !isInWave(target.rollout, report.place, strataOf(report));
  const wanted = isWaiting ? (target.stable ?? target.newest) : target.newest;
  const told = (state: State, reason: string): Standing => ({ state, target: wanted, reason });
  if (isSilent(row, nowMs)) {
    return told('silent', `no report for ${Math.round((nowMs - row.receivedAtMs) / 1_000)} s`);
  }
  const fault = faultOf(report);
  if (fault !== undefined) return told('failed', fault);
  if (!report.connected) return told('away', `the agent is not connected (${report.step})`);
  if (holds(report, wanted)) {
    return isWaiting
      ? told('waiting', `its wave has not come (${target.rollout?.pct ?? 0} %)`)
      : told('on_target', 'holds what it should');
  }
  return told('behind', behindReason(report, wanted));
}

/** It dials a load balancer that its list names; managers may well be out of its reach. */
export function isBehindBalancer({ step }: AgentReport): boolean {
  return step === 'stay:behind_balancer';
}

/** A list that was taken and did harm, or would have. */
export function faultOf(report: AgentReport): string | undefined {
  const { result, errors, health } = report;
  if (result?.outcome === 'restored') return `put its old configuration back${codeOf(result.code)}`;
  if (result?.outcome === 'refused') return `its applier refused${codeOf(result.code)}`;
  const bad = errors.filter((code) => /^E(2|30|40|41|50[3457]|51|6)/.test(code) && code !== 'E406');
  if (bad.length > 0) return bad.join(' ');
  if (isBehindBalancer(report)) return undefined;
  const isDark = health.length > 0 && health.every(({ verdict }) => verdict === 'down');
  return isDark ? 'no manager of its list answers it' : undefined;
}

function codeOf(code: string | undefined): string {
  return code === undefined ? '' : ` (${code})`;
}

function holds({ list }: AgentReport, wanted: Position): boolean {
  return list !== undefined && comparePositions(list.position, wanted) >= 0;
}

function behindReason({ list, errors, stalePolls }: AgentReport, wanted: Position): string {
  if (list === undefined) return 'never accepted a list';
  const at = `holds ${renderPosition(list.position)}, should hold ${renderPosition(wanted)}`;
  if (errors.length > 0) return `${at}: ${errors.join(' ')}`;
  return stalePolls > 0 ? `${at}: ${stalePolls} polls without an answer` : `${at}: next poll`;
}
