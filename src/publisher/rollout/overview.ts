/** `rollout status`: where a rollout stands, as values. Pure. */
import { isInWave, strataOf } from '../../list/rollout.ts';
import type { PublishedList, RolloutMark } from '../history.ts';
import type { AgentRow } from '../reports/agent-book.ts';
import { type State, standingOf, type Target } from '../reports/standing.ts';
import { type CohortStats, countCohort } from './cohort.ts';
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
  const count = countFleet(ground.newest, ground.stable, ground.nowMs);
  for (const row of ground.rows) count.add(row);
  return overviewFrom(ground, count.result());
}

/** From a fleet that was counted before. */
export function overviewFrom(ground: Omit<OverviewGround, 'rows'>, count: FleetCount): Overview {
  const { newest, mark, frozen, settings, nowMs } = ground;
  const record = newest.rollout;
  const { shares, stats } = count;
  const base = { version: newest.version, shares };
  if (record === undefined || stats === undefined)
    return { ...base, state: 'none', next: 'nothing is rolled out in waves' };
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

/** What one walk over all agents tells. */
export interface FleetCount {
  readonly agents: number;
  readonly states: Readonly<Partial<Record<State, number>>>;
  readonly shares: readonly Share[];
  /** Of the wave; absent where nothing is rolled out. */
  readonly stats?: CohortStats;
}

const maxShares = 40;
/** Sites and versions are what agents call themselves: their number is bounded. */
const maxNames = 4_096;

/** Row by row, so that a walk over a large fleet can rest in between. */
export function countFleet(
  newest: PublishedList,
  stable: PublishedList | undefined,
  nowMs: number,
): { add(row: AgentRow): void; result(): FleetCount } {
  const target = targetOf(newest, stable);
  const sinceVersion = newest.rollout?.sinceVersion ?? newest.version;
  const cohort = newest.rollout === undefined ? undefined : countCohort(newest.rollout);
  const states: Partial<Record<State, number>> = {};
  const shares = new Map<string, { agents: number; onNew: number; failed: number }>();
  let agents = 0;
  return {
    add(row) {
      const { report } = row;
      const { state } = standingOf(row, target, nowMs);
      agents += 1;
      states[state] = (states[state] ?? 0) + 1;
      cohort?.add(row);
      const isOn = (report.list?.position.version ?? 0) >= sinceVersion;
      for (const name of ['all', ...strataOf(report)]) {
        const share = shares.get(name) ?? { agents: 0, onNew: 0, failed: 0 };
        share.agents += 1;
        if (isOn) share.onNew += 1;
        if (state === 'failed') share.failed += 1;
        if (share.agents > 1 || shares.size < maxNames) shares.set(name, share);
      }
    },
    result: () => ({
      ...{ agents, states, shares: largest(shares) },
      ...(cohort === undefined ? {} : { stats: cohort.stats }),
    }),
  };
}

function largest(shares: ReadonlyMap<string, Omit<Share, 'name'>>): readonly Share[] {
  return [...shares]
    .map(([name, share]) => ({ name, ...share }))
    .sort(
      (left, right) =>
        Number(right.name === 'all') - Number(left.name === 'all') || right.agents - left.agents,
    )
    .slice(0, maxShares);
}

/** Who is in the wave now: for tests and for people who want to know beforehand. */
export function isMember(record: RolloutRecord, { report }: AgentRow): boolean {
  return isInWave(listedRollout(record), report.place, strataOf(report));
}
