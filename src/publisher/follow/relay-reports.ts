/**
 * A follower knows no agent's key: what sidecars report goes on, as it came, to a publisher that does,
 * and its answer goes back. Bounded, so that whoever floods a follower floods nobody behind it.
 */
import { type Clock, deadline } from '../../clock.ts';
import { PilotfishError } from '../../errors.ts';
import { sourceOf } from '../connection-ledger.ts';
import { maxHops, type TellAnswer, type TellPort } from '../reports/forward.ts';
import type {
  IncomingReport,
  ReportCounts,
  ReportTaker,
  ReportVerdict,
} from '../reports/report-desk.ts';
import { Shares } from '../shares.ts';
import { buildTokenBucket } from '../token-bucket.ts';

export interface ReportRelayParts {
  readonly clock: Clock;
  /** In the order in which they are asked. `isPassed`: another publisher handed it on to us. */
  targets(isPassed: boolean): readonly TellPort[];
  readonly maxPerSecond: number;
}

const maxInFlight = 32;
const limitMs = 8_000;
/** Of one address, for reports that the writer found not proven. */
const perStranger = { perSecond: 2, burst: 40 } as const;

type Refused = Extract<ReportVerdict, { kind: 'refused' }>;

export interface ReportRelay extends ReportTaker {
  counts(): ReportCounts;
}

export function buildReportRelay({ clock, targets, maxPerSecond }: ReportRelayParts): ReportRelay {
  const all = buildTokenBucket(maxPerSecond, maxPerSecond);
  const strangers = new Shares(perStranger);
  const refused: Record<string, number> = {};
  let taken = 0;
  let inFlight = 0;

  const pass = async (report: IncomingReport): Promise<ReportVerdict> => {
    const { agent, mac, body, hops: before = 0 } = report;
    const hops = before + 1;
    for (const target of targets(before > 0)) {
      const answer = await tell(clock, target, { agent, mac, body, hops });
      if (answer === undefined || answer.status >= 500 || answer.status === 404) continue;
      if (answer.status === 200) return { kind: 'taken', nextSec: answer.nextSec ?? 300 };
      return refusalOf(answer);
    }
    return refuse(503, 'no_writer', 'no publisher that takes reports answers');
  };
  const judge = async (report: IncomingReport, monotonicMs: number): Promise<ReportVerdict> => {
    if ((report.hops ?? 0) >= maxHops) return refuse(503, 'circle', 'publishers follow each other');
    const { host } = sourceOf(report.ip);
    if (strangers.isEmpty(host, monotonicMs)) return refuse(429, 'too_fast', 'too many not proven');
    const isFull = inFlight >= maxInFlight || !all.take(monotonicMs);
    if (isFull) return refuse(503, 'too_many', 'too many reports; try later');
    inFlight += 1;
    try {
      const verdict = await pass(report);
      if (verdict.kind === 'refused' && verdict.status === 401) {
        strangers.take(host, clock.monotonicMs());
      }
      return verdict;
    } finally {
      inFlight -= 1;
    }
  };
  return {
    async take(report, _nowMs, monotonicMs) {
      const verdict = await judge(report, monotonicMs);
      if (verdict.kind === 'taken') taken += 1;
      else refused[verdict.name] = (refused[verdict.name] ?? 0) + 1;
      return verdict;
    },
    counts: () => ({ taken, refused: { ...refused } }),
  };
}

/** Undefined: no answer. */
async function tell(
  clock: Clock,
  target: TellPort,
  report: Parameters<TellPort['tell']>[0],
): Promise<TellAnswer | undefined> {
  const limit = deadline(clock, limitMs);
  try {
    return await target.tell(report, limit.signal);
  } catch (thrown) {
    if (thrown instanceof PilotfishError || limit.signal.aborted) return undefined;
    throw thrown;
  } finally {
    limit.cancel();
  }
}

const statuses: readonly number[] = [400, 401, 409, 413, 429];

function refusalOf({ status, seq }: TellAnswer): Refused {
  const known = statuses.includes(status) ? (status as Refused['status']) : 400;
  const refusal = refuse(known, `writer_${known}`, 'the writer did not take it');
  return seq === undefined ? refusal : { ...refusal, seq };
}

function refuse(status: Refused['status'], name: string, message: string): Refused {
  return { kind: 'refused', status, name, message };
}
