/** `rollout status`: where a rollout stands, as values. Pure. */
import { isInWave, strataOf } from '../../list/rollout.ts';
import type { PublishedList, RolloutMark } from '../history.ts';
import type { AgentRow } from '../reports/agent-book.ts';
import { standingOf, type Target } from '../reports/standing.ts';
import { type CohortStats, cohortStats } from './cohort.ts';
import { type GateSettings, judgeWave } from './gate.ts';
import { listedRollout, type RolloutRecord } from './record.ts';

export interface Share {
  readonly name: string;
  readonly agents: number;
  /** On the newest version. */
  readonly onNew: number;
  readonly failed: number;
}

export interface Overview {
  readonly state: 'none' | 'running' | 'paused' | 'aborting' | 'frozen';
  readonly version: number;
  readonly record?: RolloutRecord;
  readonly stats?: CohortStats;
  /** What it waits for, or what comes next. */
  readonly next: string;
  readonly mark?: RolloutMark;
  /** The whole fleet, then every site and system. */
  readonly shares: readonly Share[];
}

export interface OverviewGround {
  readonly newest: PublishedList;
  readonly stable: PublishedList | undefined;
  readonly rows: readonly AgentRow[];
  readonly mark: RolloutMark | undefined;
  readonly frozen: string | undefined;
  readonly settings: GateSettings;
  readonly nowMs: number;
}

/** What agents should hold, from the newest version and the one before its rollout. */
export function targetOf(newest: PublishedList, stable: PublishedList | undefined): Target {
  if (newest.rollout === undefined || stable === undefined) return { newest };
  return { newest, stable, rollout: listedRollout(newest.rollout) };
}

export function overviewOf(ground: OverviewGround): Overview {
  const { newest, rows, mark, frozen, settings, nowMs } = ground;
  const record = newest.rollout;
  const shares = sharesOf(ground);
  const base = { version: newest.version, shares };
  if (record === undefined)
    return { ...base, state: 'none', next: 'nothing is rolled out in waves' };
  const stats = cohortStats(rows, record);
  const verdict = judgeWave(stats, record, settings, nowMs);
  const next = verdict.kind === 'advance' ? nextText(record) : verdict.why;
  const known = { ...base, record, stats, ...(mark === undefined ? {} : { mark }) };
  if (mark?.kind === 'aborted') return { ...known, state: 'aborting', next: 'goes back at once' };
  if (mark?.kind === 'paused') return { ...known, state: 'paused', next };
  if (frozen !== undefined && record.lane === 'normal')
    return { ...known, state: 'frozen', next: frozen };
  return { ...known, state: 'running', next };
}

function nextText(record: RolloutRecord): string {
  const stage = record.stages[record.stage + 1];
  return stage === undefined ? 'done at the next look' : `goes on to ${stage.percent} %`;
}

function sharesOf({ newest, stable, rows, nowMs }: OverviewGround): readonly Share[] {
  const shares = new Map<string, { agents: number; onNew: number; failed: number }>();
  const target = targetOf(newest, stable);
  const sinceVersion = newest.rollout?.sinceVersion ?? newest.version;
  for (const row of rows) {
    const { report } = row;
    const isOn = (report.list?.position.version ?? 0) >= sinceVersion;
    const isFailed = standingOf(row, target, nowMs).state === 'failed';
    for (const name of ['all', ...strataOf(report)]) {
      const share = shares.get(name) ?? { agents: 0, onNew: 0, failed: 0 };
      share.agents += 1;
      if (isOn) share.onNew += 1;
      if (isFailed) share.failed += 1;
      shares.set(name, share);
    }
  }
  return [...shares]
    .map(([name, share]) => ({ name, ...share }))
    .sort(
      (left, right) =>
        Number(right.name === 'all') - Number(left.name === 'all') || right.agents - left.agents,
    )
    .slice(0, 40);
}

/** Who is in the wave now: for tests and for people who want to know beforehand. */
export function isMember(record: RolloutRecord, { report }: AgentRow): boolean {
  return isInWave(listedRollout(record), report.place, strataOf(report));
}
