/**
 * How a change is rolled out: which lane, which salt, which share of whom. The share that a list
 * carries is a salted hash over all agents; the publisher knows the fleet from its reports and
 * chooses a salt and shares by which the first wave is small, yet has agents of every kind in it.
 */
import type { RolloutStratum } from '../../list/model.ts';
import { shareOf, strataOf } from '../../list/rollout.ts';
import { type Content, isSameContent, listedManagers, membershipOf } from '../content.ts';
import type { AgentRow } from '../reports/agent-book.ts';
import { isSilent } from '../reports/standing.ts';
import { countFailed } from './cohort.ts';
import type { Lane, RolloutRecord, Stage } from './record.ts';

export interface RolloutSettings {
  readonly isEnabled: boolean;
  /** With fewer agents that reported within a day, a change goes to all at once. */
  readonly minAgents: number;
  readonly stages: readonly Stage[];
  /** From this share on managers are taken away. */
  readonly removalPercent: number;
}

/** As many agents of each kind as the first wave should have, unless that is over a fifth of them. */
const perStratum = 5;
const maxStrata = 32;
/** A wave of no agents proves nothing: it grows to this many, unless that is over a fifth of all. */
const minCohort = 5;
/** Salts tried; fewer in a large fleet, whose waves have agents of every kind anyway. */
const maxTries = 16;
const hashesSpent = 200_000;
const latelyMs = 24 * 3_600_000;

export interface PlanGround {
  readonly version: number;
  readonly stableVersion: number;
  readonly stable: Content;
  readonly content: Content;
  readonly rows: Iterable<AgentRow>;
  readonly settings: RolloutSettings;
  readonly nowMs: number;
  /** Of the rollout that this one takes the place of: the same agents go first. */
  readonly salt?: string;
  newSalt(): string;
}

/** Undefined where the change goes to everybody at once. */
export function planRollout(ground: PlanGround): RolloutRecord | undefined {
  const { settings, stable, content, nowMs } = ground;
  if (!settings.isEnabled || isSameContent(stable, content)) return undefined;
  const known = knownOf(ground);
  if (known.length < settings.minAgents) return undefined;
  const lane = laneOf(stable, content);
  const stages = stagesOf(lane, settings);
  const fleet = known.map(({ report }) => ({ place: report.place, strata: strataOf(report) }));
  const percent = stages[0]?.percent ?? 100;
  const { salt, wave } = chooseSalt(fleet, percent, ground);
  const id = `r-${ground.version}`;
  return {
    ...{ id, salt, lane, stages, stage: 0, pct: wave.pct, strata: wave.strata },
    expected: wave.expected,
    failedBefore: countFailed(known, { sinceVersion: ground.version }, nowMs),
    stageStartedAtMs: nowMs,
    startedAtMs: nowMs,
    sinceVersion: ground.version,
    stableVersion: ground.stableVersion,
  };
}

/**
 * Those that report. Where these are too few for waves, those that did within the last day: a fleet that is
 * cut off or asleep, or whose publisher was away, takes the change when it is back.
 */
function knownOf({ rows, settings, nowMs }: PlanGround): readonly AgentRow[] {
  const lately = [...rows].filter(({ receivedAtMs }) => nowMs - receivedAtMs < latelyMs);
  const alive = lately.filter((row) => !isSilent(row, nowMs));
  return alive.length < settings.minAgents ? lately : alive;
}

/** The next wave of the same rollout; undefined after the last. */
export function nextStage(
  record: RolloutRecord,
  rows: Iterable<AgentRow>,
  nowMs: number,
): RolloutRecord | undefined {
  const stage = record.stages[record.stage + 1];
  if (stage === undefined) return undefined;
  const fleet = [...rows]
    .filter((row) => !isSilent(row, nowMs))
    .map(({ report }) => ({ place: report.place, strata: strataOf(report) }));
  const wave = waveOf(fleet, record.salt, Math.max(stage.percent, record.pct), 'all');
  const { pct, strata, expected } = wave;
  const failedBefore = countFailed(rows, record, nowMs);
  const started = { stage: record.stage + 1, stageStartedAtMs: nowMs, failedBefore };
  return { ...record, pct, strata, expected, ...started };
}

/** Managers only leave, or are taken less of: they are unusable anyway, so this is not held up long. */
export function laneOf(before: Content, after: Content): Lane {
  const old = new Map(listedManagers(before).map((manager) => [manager.id, manager]));
  const now = listedManagers(after);
  const isLess = now.every((manager) => {
    const was = old.get(manager.id);
    if (was === undefined) return false;
    const { state: _a, weight: weightNow, ...is } = manager;
    const { state: _b, weight: weightWas, ...had } = was;
    const isSameElse = JSON.stringify(is) === JSON.stringify(had);
    return isSameElse && rank[manager.state] >= rank[was.state] && weightNow <= weightWas;
  });
  const isSettingSame = isSameContent(settingsIn(before), settingsIn(after));
  return isLess && isSettingSame ? 'removal' : 'normal';
}

/** Everything but the managers. */
function settingsIn(content: Content): Content {
  const { weights: _, ...rest } = membershipOf(content);
  return { ...rest, managers: [], drained: [] };
}

const rank = { up: 0, drain: 1, down: 2 } as const;

function stagesOf(lane: Lane, { stages, removalPercent }: RolloutSettings): readonly Stage[] {
  if (lane === 'normal') return stages;
  const first = stages[0]?.bakeMs ?? 0;
  return [
    { percent: removalPercent, bakeMs: first },
    { percent: 100, bakeMs: first },
  ];
}

interface Member {
  readonly place: string;
  readonly strata: readonly string[];
}

interface Wave {
  readonly pct: number;
  readonly strata: readonly RolloutStratum[];
  readonly expected: number;
  /** Strata with fewer agents in the wave than they should have. */
  readonly missed: number;
}

/** The salt by which the wave is no larger than it should be and misses the fewest strata. */
function chooseSalt(
  fleet: readonly Member[],
  percent: number,
  { salt, newSalt }: PlanGround,
): { readonly salt: string; readonly wave: Wave } {
  if (salt !== undefined) return { salt, wave: waveOf(fleet, salt, percent, 'fitting') };
  const allowed = Math.max(floorCohort(fleet.length), Math.floor((fleet.length * percent) / 100));
  const worth = ({ expected, missed }: Wave): number =>
    Math.max(0, expected - allowed) * 1_000 + missed;
  const tries = Math.min(maxTries, Math.max(2, Math.floor(hashesSpent / fleet.length)));
  const tried = Array.from({ length: tries }, () => {
    const candidate = newSalt();
    return { salt: candidate, wave: waveOf(fleet, candidate, percent, 'fitting') };
  });
  return tried.reduce((best, one) => (worth(one.wave) < worth(best.wave) ? one : best));
}

function floorCohort(agents: number): number {
  return Math.min(minCohort, Math.ceil(agents / 5));
}

/**
 * `fitting`: strata get agents of their own only as far as the whole stays within the share; `all`:
 * later waves are large enough for every one of them.
 */
function waveOf(
  fleet: readonly Member[],
  salt: string,
  percent: number,
  mode: 'fitting' | 'all',
): Wave {
  const shares = fleet
    .map((member) => ({ ...member, share: shareOf({ salt }, member.place) }))
    .sort((left, right) => left.share - right.share);
  const least = shares[floorCohort(fleet.length) - 1]?.share ?? 0;
  const pct = Math.min(100, Math.max(percent, Math.floor(least) + 1));
  const allowed = mode === 'all' ? fleet.length : Math.floor((fleet.length * percent) / 100);
  let expected = shares.filter(({ share }) => share < pct).length;
  const strata: RolloutStratum[] = [];
  let missed = 0;
  const reach = new Map<string, number>();
  for (const [key, members] of byStratum(shares)) {
    const wanted = Math.min(perStratum, Math.ceil(members.length / 5));
    const need = Math.floor(members[wanted - 1]?.share ?? 0) + 1;
    if (need <= pct) continue;
    const more = members.filter(
      ({ share, strata: own }) => share >= reachOf(own, reach, pct) && share < need,
    );
    if (expected + more.length > allowed || strata.length >= maxStrata) {
      missed += 1;
      continue;
    }
    expected += more.length;
    reach.set(key, need);
    strata.push({ key, pct: need });
  }
  return { pct, strata, expected, missed };
}

type Placed = Member & { readonly share: number };

function reachOf(own: readonly string[], reach: ReadonlyMap<string, number>, pct: number): number {
  return Math.max(pct, ...own.map((key) => reach.get(key) ?? 0));
}

/** The largest first: they stand for the most agents. */
function byStratum(shares: readonly Placed[]): readonly (readonly [string, readonly Placed[]])[] {
  const strata = new Map<string, Placed[]>();
  for (const member of shares) {
    for (const key of member.strata) {
      const members = strata.get(key) ?? [];
      members.push(member);
      strata.set(key, members);
    }
  }
  return [...strata].sort(([, left], [, right]) => right.length - left.length);
}
