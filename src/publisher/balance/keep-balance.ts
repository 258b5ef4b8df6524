/** Looks at the loads again and again, and publishes what the list should ask. */
import { type Clock, sleep } from '../../clock.ts';
import { PilotfishError } from '../../errors.ts';
import type { Balance } from '../../list/model.ts';
import type { Log } from '../../log.ts';
import type { Complaints } from '../complaints.ts';
import { listedManagers } from '../content.ts';
import type { History } from '../history.ts';
import type { AgentRow } from '../reports/agent-book.ts';
import { LoadCounter } from './count-loads.ts';
import { type BalanceSettings, judgeBalance, type SkewBook } from './judge-balance.ts';

export interface BalanceParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly complaints: Complaints;
  readonly history: Pick<History, 'newest'>;
  rows(): Iterable<AgentRow>;
  settings(): BalanceSettings;
  /** Another publisher may be the one that keeps the balance. */
  leads(): boolean;
  publish(asked: Balance | undefined, why: string): Promise<void>;
}

const topic = 'balance.publish';

/** Until `signal` aborts. */
export async function keepBalance(
  parts: BalanceParts,
  lookEveryMs: number,
  signal: AbortSignal,
): Promise<void> {
  const counter = new LoadCounter();
  let since: SkewBook = new Map();
  while (!signal.aborted) {
    since = await lookOnce(parts, counter, since);
    await sleep(parts.clock, lookEveryMs, signal).catch(() => undefined);
  }
}

/** One look; returns since when each manager has held too many. */
export async function lookOnce(
  parts: BalanceParts,
  counter: LoadCounter,
  since: SkewBook,
): Promise<SkewBook> {
  if (!parts.leads()) return new Map();
  const newest = parts.history.newest();
  // A change under way moves agents by itself; one thing after the other.
  if (newest === undefined || newest.rollout !== undefined) return new Map();
  const nowMs = parts.clock.nowMs();
  const loads = counter.count(listedManagers(newest.content), parts.rows(), nowMs);
  if (loads === undefined) return since;
  const { balance: asked } = newest.content;
  const version = newest.version + 1;
  const ground = { loads, since, asked, settings: parts.settings(), nowMs, version };
  const verdict = judgeBalance(ground);
  if (verdict.asked !== asked) await tell(parts, verdict.asked, verdict.why);
  return verdict.since;
}

async function tell(
  { publish, complaints, log }: BalanceParts,
  asked: Balance | undefined,
  why: string,
): Promise<void> {
  try {
    await publish(asked, why);
    complaints.end(topic);
    const fields = { why, from: asked?.from.join(' '), pct: asked?.pct };
    log.info(asked === undefined ? 'balance.done' : 'balance.asked', fields);
  } catch (thrown) {
    if (!(thrown instanceof PilotfishError)) throw thrown;
    complaints.begin(topic, thrown.message);
  }
}
