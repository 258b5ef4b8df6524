/** Looks at the load of the managers' hosts again and again, and publishes the shares that follow. */
import { type Clock, sleep } from '../../clock.ts';
import { PilotfishError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { Complaints } from '../complaints.ts';
import { listedManagers } from '../content.ts';
import type { History } from '../history.ts';
import { judgeLoad, type LoadSample, type LoadTrack, type Shares } from './judge-load.ts';

export interface WeightParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly complaints: Complaints;
  readonly history: Pick<History, 'newest'>;
  /** Of hosts that are heard now. */
  samples(): readonly LoadSample[];
  /** `isOn` false: what was taken away is given back at once. */
  settings(): { readonly isOn: boolean; readonly afterMs: number };
  /** Another publisher may be the one that keeps the weights. */
  leads(): boolean;
  publish(shares: Shares, why: string): Promise<void>;
}

/** What one look leaves to the next. */
export interface WeightMemory {
  readonly tracks: ReadonlyMap<string, LoadTrack>;
  readonly changedMs?: number;
}

const topic = 'weights.publish';
const lookEveryMs = 10_000;
const none: WeightMemory = { tracks: new Map() };

/** Until `signal` aborts. */
export async function keepWeights(parts: WeightParts, signal: AbortSignal): Promise<void> {
  let memory = none;
  while (!signal.aborted) {
    memory = await weighOnce(parts, memory);
    const pauseMs = Math.min(lookEveryMs, parts.settings().afterMs / 3);
    await sleep(parts.clock, pauseMs, signal).catch(() => undefined);
  }
}

/** One look. */
export async function weighOnce(parts: WeightParts, memory: WeightMemory): Promise<WeightMemory> {
  const { isOn, afterMs } = parts.settings();
  const newest = parts.history.newest();
  if (newest === undefined || !parts.leads()) return none;
  const { shares = {} } = newest.content;
  if (!isOn) {
    if (Object.keys(shares).length > 0) await tell(parts, {}, 'balance.followLoad is off');
    return none;
  }
  const samples = parts.samples();
  const offered = listedManagers(newest.content).filter(({ state }) => state === 'up');
  const managers = offered.map(({ id }) => id);
  const monotonicMs = parts.clock.monotonicMs();
  const ground = { managers, shares, samples, tracks: memory.tracks, afterMs, monotonicMs };
  const verdict = judgeLoad({ ...ground, changedMs: memory.changedMs });
  // A change under way moves agents by itself; one thing after the other.
  if (verdict.shares === shares || newest.rollout !== undefined) {
    return { ...memory, tracks: verdict.tracks };
  }
  await tell(parts, verdict.shares, verdict.why);
  return { tracks: verdict.tracks, changedMs: monotonicMs };
}

async function tell(parts: WeightParts, shares: Shares, why: string): Promise<void> {
  try {
    await parts.publish(shares, why);
    parts.complaints.end(topic);
    parts.log.info('weights.changed', { why });
  } catch (thrown) {
    if (!(thrown instanceof PilotfishError)) throw thrown;
    parts.complaints.begin(topic, thrown.message);
  }
}
