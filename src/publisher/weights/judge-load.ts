/**
 * Which share of its weight a manager gets for now, from how busy its host is. Pure.
 *
 * Live load only takes away from what was configured, never adds: as HAProxy's agent-check does, and
 * unlike weighted round robin by ORCA reports (gRPC A58), which divides requests by utilisation once a
 * second. A request is over in milliseconds; an agent stays for weeks, and what a weight did shows only
 * when agents have come and gone. So the steps are few, small and late, and the band in which nothing
 * is done is wider than what one step can change: there is no cycle.
 *
 * Invariants: a share is 50 to 100, in tens; one step of ten at a time; at least half of the managers
 * keep their whole weight; what is not known takes nothing away; connected agents stay where they are.
 */

/** How busy one host is: the busiest of its processors and of Wazuh's own queues, 0 to 1. */
export interface LoadSample {
  readonly id: string;
  readonly busy: number;
}

/** What is remembered of one manager. Times are monotonic. */
export interface LoadTrack {
  /** Smoothed. */
  readonly busy: number;
  readonly seenMs: number;
  readonly hotSinceMs?: number;
  readonly coolSinceMs?: number;
}

/** Per cent of its weight by manager id; those that keep all of it are left out. */
export type Shares = Readonly<Record<string, number>>;

export interface LoadGround {
  /** Ids of the managers that are offered now. */
  readonly managers: readonly string[];
  /** Of the list. */
  readonly shares: Shares;
  /** Taken now; of who is silent there is none. */
  readonly samples: readonly LoadSample[];
  readonly tracks: ReadonlyMap<string, LoadTrack>;
  /** When a share last changed; undefined: not since this publisher looks. */
  readonly changedMs: number | undefined;
  /** How long a manager must be too busy. */
  readonly afterMs: number;
  readonly monotonicMs: number;
}

export interface LoadVerdict {
  readonly tracks: ReadonlyMap<string, LoadTrack>;
  /** The same value while nothing changes. */
  readonly shares: Shares;
  readonly why: string;
}

export const loadLimits = {
  step: 10,
  least: 50,
  /** Below the first nobody is too busy; above the second it is known how hosts compare. */
  busyAt: 0.6,
  comparableAt: 0.45,
  /** Times the others: too busy from the first on, no busier up to the second. */
  hotter: 1.3,
  level: 1.02,
} as const;

/** A track this old says nothing. */
const freshMs = 60_000;
/** Taking back is slower than taking away. */
const coolFactor = 2;

export function judgeLoad(ground: LoadGround): LoadVerdict {
  const { managers, shares, monotonicMs, afterMs, changedMs } = ground;
  const known = followSamples(ground);
  const tracks = new Map([...known].map(([id, one]) => [id, timed(id, one, known, ground)]));
  const pausedMs = changedMs === undefined ? Number.POSITIVE_INFINITY : monotonicMs - changedMs;
  if (pausedMs < afterMs) return { tracks, shares, why: 'a change is still at work' };
  const lasts = (sinceMs: number | undefined, ms: number): boolean =>
    sinceMs !== undefined && monotonicMs - sinceMs >= ms;
  const now = new Map(managers.map((id) => [id, shareOf(shares, id)]));
  const told: string[] = [];
  for (const id of managers) {
    if (!lasts(tracks.get(id)?.coolSinceMs, afterMs * coolFactor)) continue;
    const share = now.get(id) ?? 100;
    if (share === 100) continue;
    now.set(id, share + loadLimits.step);
    told.push(`${id} is no busier than others (${percent(tracks.get(id)?.busy)})`);
  }
  const hot = managers
    .filter((id) => lasts(tracks.get(id)?.hotSinceMs, afterMs))
    .sort((left, right) => (tracks.get(right)?.busy ?? 0) - (tracks.get(left)?.busy ?? 0));
  for (const id of hot) {
    const share = now.get(id) ?? 100;
    const reduced = [...now.values()].filter((one) => one < 100).length;
    const isRoom = share < 100 || (reduced + 1) * 2 <= managers.length;
    if (share <= loadLimits.least || !isRoom) continue;
    now.set(id, share - loadLimits.step);
    told.push(`${id} is busy (${percent(tracks.get(id)?.busy)}), others less`);
  }
  if (told.length === 0) return { tracks, shares, why: 'no lasting difference' };
  const left = [...now].filter(([, share]) => share < 100);
  return { tracks, shares: Object.fromEntries(left), why: told.join('; ') };
}

export function shareOf(shares: Shares, id: string): number {
  return shares[id] ?? 100;
}

/** Smoothed over a third of `afterMs`; a gap begins anew. */
function followSamples({ samples, tracks, monotonicMs, afterMs, managers }: LoadGround) {
  const next = new Map<string, LoadTrack>();
  for (const id of managers) {
    const before = tracks.get(id);
    const isFresh = before !== undefined && monotonicMs - before.seenMs <= freshMs;
    const sample = samples.find((one) => one.id === id && one.busy >= 0);
    if (sample === undefined) {
      if (isFresh) next.set(id, before);
      continue;
    }
    const busy = Math.min(1, sample.busy);
    if (!isFresh) {
      next.set(id, { busy, seenMs: monotonicMs });
      continue;
    }
    const part = 1 - Math.exp((before.seenMs - monotonicMs) / (afterMs / 3));
    next.set(id, {
      ...before,
      busy: before.busy + (busy - before.busy) * part,
      seenMs: monotonicMs,
    });
  }
  return next;
}

/** Since when it has been too busy, or no busier than the others. */
function timed(
  id: string,
  track: LoadTrack,
  all: ReadonlyMap<string, LoadTrack>,
  { monotonicMs }: LoadGround,
): LoadTrack {
  const { busy, seenMs } = track;
  const others = [...all].filter(([one]) => one !== id).map(([, one]) => one.busy);
  if (others.length === 0) return { busy, seenMs };
  const mean = others.reduce((sum, one) => sum + one, 0) / others.length;
  const isHot = busy >= loadLimits.busyAt && busy >= mean * loadLimits.hotter;
  const isCool = mean >= loadLimits.comparableAt && busy <= mean * loadLimits.level;
  return {
    ...{ busy, seenMs },
    ...(isHot ? { hotSinceMs: track.hotSinceMs ?? monotonicMs } : {}),
    ...(isCool ? { coolSinceMs: track.coolSinceMs ?? monotonicMs } : {}),
  };
}

function percent(busy: number | undefined): string {
  return `${Math.round((busy ?? 0) * 100)} %`;
}
