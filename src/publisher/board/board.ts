/**
 * The whole picture for those who look at a running publisher: what is wrong, every manager, where
 * the agents stand, the rollout. Everything is read when it is asked for, but for one walk over all
 * agents, which is shared by everybody who looks and takes a tenth of the time at most.
 */
import type { Clock } from '../../clock.ts';
import type { Health } from '../../health/judge.ts';
import type { Manager } from '../../list/model.ts';
import type { ManagerAnswer, Origin, OverviewAnswer, RolloutAnswer } from '../api/answers.ts';
import type { Complaint } from '../complaints.ts';
import { listedManagers } from '../content.ts';
import { listExpiresAtMs, type PublishedList, type RolloutMark, versionOf } from '../history.ts';
import type { AgentRow } from '../reports/agent-book.ts';
import type { GateSettings } from '../rollout/gate.ts';
import { countFleet, type FleetCount, overviewFrom } from '../rollout/overview.ts';
import { walkInSlices } from '../slices.ts';
import { maxComplaintsTold, type RunningStatus, toldComplaints } from '../status/running.ts';

export interface BoardParts {
  readonly clock: Clock;
  readonly org: string;
  /** Name and version of this program. */
  readonly program: string;
  served(): PublishedList | undefined;
  /** Throws HostError `store_failed`, as `markOf` does. */
  find(version: number): PublishedList | undefined;
  markOf(id: string): RolloutMark | undefined;
  /** The freeze window that holds now. */
  frozen(): string | undefined;
  gate(agents: number): GateSettings;
  rows(): Iterable<AgentRow>;
  agents(): number;
  loads(): ReadonlyMap<string, number>;
  healths(): ReadonlyMap<string, Health>;
  roster(): RunningStatus['roster'];
  /** Its node in the cluster. */
  nodeOf(manager: string): string | undefined;
  complaints(): readonly Complaint[];
  waiting(): number;
  origin(): Origin;
}

export interface Board {
  /** Without the time of day, so that two that are alike are equal. */
  look(): Omit<OverviewAnswer, 'atMs'>;
  /** Agents of every manager of the list. */
  loads(): ReadonlyMap<string, number>;
  /** Counts all agents, unless that was done less than `maxAgeMs` ago or took longer than a tenth of that. */
  count(maxAgeMs: number): Promise<void>;
}

const emptyCount: FleetCount = { agents: 0, states: {}, shares: [] };
/** A walk may take so much of the time. */
const costFactor = 10;

export function buildBoard(parts: BoardParts): Board {
  const { clock } = parts;
  let counted = emptyCount;
  let countedVersion = 0;
  let startedMs = Number.NEGATIVE_INFINITY;
  let costMs = 0;
  let walking: Promise<void> | undefined;
  const stable = keepStable(parts);

  const walk = async (served: PublishedList): Promise<void> => {
    startedMs = clock.monotonicMs();
    const count = countFleet(served, stable(served), clock.nowMs());
    await walkInSlices(parts.rows(), (row) => count.add(row), clock);
    costMs = clock.monotonicMs() - startedMs;
    counted = count.result();
    countedVersion = served.version;
  };
  return {
    look: () => lookOf(parts, counted, stable),
    loads() {
      const served = parts.served();
      const loads = parts.loads();
      const managers = served === undefined ? [] : listedManagers(served.content);
      return new Map(managers.map(({ id }) => [id, loads.get(id) ?? 0]));
    },
    async count(maxAgeMs) {
      const served = parts.served();
      if (served === undefined) return;
      const ageMs = clock.monotonicMs() - startedMs;
      const isFresh = ageMs < Math.max(maxAgeMs, costMs * costFactor);
      if (walking === undefined && (!isFresh || countedVersion !== served.version)) {
        walking = walk(served).finally(() => {
          walking = undefined;
        });
      }
      await walking;
    },
  };
}

/** The version before a rollout does not change while it goes on. */
function keepStable({ find }: BoardParts): (served: PublishedList) => PublishedList | undefined {
  let kept: PublishedList | undefined;
  return ({ rollout }) => {
    if (rollout === undefined) return undefined;
    if (kept?.version !== rollout.stableVersion) kept = find(rollout.stableVersion);
    return kept;
  };
}

function lookOf(
  parts: BoardParts,
  counted: FleetCount,
  stable: (served: PublishedList) => PublishedList | undefined,
): Omit<OverviewAnswer, 'atMs'> {
  const served = parts.served();
  const guarded = parts.roster()?.guarded;
  const troubles = toldComplaints(parts.complaints()).slice(0, maxComplaintsTold);
  return {
    org: parts.org,
    program: parts.program,
    origin: parts.origin(),
    ...(served === undefined
      ? {}
      : { list: { ...versionOf(served), expiresAtMs: listExpiresAtMs(served) } }),
    agents: parts.agents(),
    states: { ...counted.states },
    managers: served === undefined ? [] : managersOf(parts, listedManagers(served.content)),
    ...(guarded === undefined ? {} : { guarded }),
    rollout: served === undefined ? noRollout : rolloutOf(parts, served, stable(served), counted),
    troubles: troubles.map(({ topic, message, sinceAtMs }) => ({ topic, message, sinceAtMs })),
    waiting: parts.waiting(),
  };
}

const noRollout: RolloutAnswer = {
  state: 'none',
  next: 'nothing was published yet',
  stages: [],
  pct: 100,
  shares: [],
};

function managersOf(parts: BoardParts, managers: readonly Manager[]): ManagerAnswer[] {
  const healths = parts.healths();
  const loads = parts.loads();
  const roster = new Map(parts.roster()?.managers.map((one) => [one.id, one]));
  const open = managers.filter(({ state }) => state === 'up');
  const weights = open.reduce((total, { weight }) => total + weight, 0);
  const agents = managers.reduce((total, { id }) => total + (loads.get(id) ?? 0), 0);
  return managers.map(({ id, address, port, zone, weight, prio, state }) => {
    const seen = roster.get(id);
    const share = state === 'up' && weights > 0 ? Math.round((agents * weight) / weights) : 0;
    return {
      ...{ id, address, port, zone, weight, prio, state, share },
      probe: healths.get(id)?.verdict ?? 'unknown',
      agents: loads.get(id) ?? 0,
      node: parts.nodeOf(id) ?? id,
      ...(seen === undefined ? {} : seenOf(seen)),
    };
  });
}

type Seen = NonNullable<RunningStatus['roster']>['managers'][number];

function seenOf(seen: Seen): Pick<ManagerAnswer, 'role' | 'ready' | 'lags'> {
  const { isReady, why, sinceAtMs, isDamped, cluster, step, sites, publishers, role, lags } = seen;
  return {
    ready: {
      ...{ isReady, why, sinceAtMs, isDamped, cluster, step, sites },
      ...(publishers === undefined ? {} : { publishers }),
    },
    ...(role === undefined ? {} : { role }),
    ...(lags === undefined ? {} : { lags }),
  };
}

function rolloutOf(
  parts: BoardParts,
  newest: PublishedList,
  stable: PublishedList | undefined,
  counted: FleetCount,
): RolloutAnswer {
  const { rollout: record } = newest;
  const told = overviewFrom(
    {
      ...{ newest, stable, nowMs: parts.clock.nowMs() },
      mark: record && parts.markOf(record.id),
      frozen: parts.frozen(),
      settings: parts.gate(parts.agents()),
    },
    counted,
  );
  const { state, next, shares, stats, mark } = told;
  return {
    ...{ state, next, shares: [...shares] },
    ...(record === undefined ? { stages: [], pct: 100 } : recordOf(record)),
    ...(stats === undefined ? {} : { wave: waveOf(stats) }),
    ...(mark === undefined ? {} : { mark: { kind: mark.kind, who: mark.who, why: mark.why } }),
  };
}

function waveOf({ known, reported, failed, restored }: NonNullable<FleetCount['stats']>) {
  return { known, reported, failed, restored };
}

function recordOf(record: NonNullable<PublishedList['rollout']>) {
  const { id, lane, stage, stages, pct, startedAtMs, stageStartedAtMs, stableVersion } = record;
  const told = stages.map(({ percent, bakeMs }) => ({ percent, bakeMs }));
  return { id, lane, stage, stages: told, pct, startedAtMs, stageStartedAtMs, stableVersion };
}
