/**
 * Who may report, and what of it is believed: the sender proves itself with its agent's key, its
 * number must grow (a replay does not), and no agent gets more than its share. What is not proven
 * takes nothing from anybody: many agents come from one address, that of a NAT or of a publisher that
 * hands their reports on. Nothing a report says goes further than the book.
 */
import { ListError } from '../../errors.ts';
import { isReportMac, maxReportBytes, parseAgentReport } from '../../list/agent-report.ts';
import { Shares } from '../shares.ts';
import { buildTokenBucket } from '../token-bucket.ts';
import type { AgentBook } from './agent-book.ts';

/** Port: the agents' keys as `client.keys` has them now. */
export interface KeyRing {
  /** Undefined for an agent that is not enrolled or was removed. */
  keyOf(agent: string): string | undefined;
  size(): number;
}

export interface ReportDeskParts {
  readonly org: string;
  readonly keys: KeyRing;
  readonly book: AgentBook;
  readonly maxPerSecond: number;
  /** Between two reports of one agent while nothing changes, seconds. */
  readonly everySec: number;
  /** Told of every report that was proven and is news. */
  onTaken?(report: IncomingReport): void;
}

export interface IncomingReport {
  readonly agent: string;
  readonly mac: string;
  readonly body: Uint8Array;
  /** Where it came from. */
  readonly ip: string;
  /** So many publishers have handed it on; absent: it comes from the sidecar itself. */
  readonly hops?: number;
}

export type ReportVerdict =
  | { readonly kind: 'taken'; readonly nextSec: number }
  | {
      readonly kind: 'refused';
      readonly status: 400 | 401 | 409 | 413 | 429 | 503;
      readonly name: string;
      readonly message: string;
      /** The newest number known, for a sender that proved itself. */
      readonly seq?: number;
    };

export interface ReportCounts {
  readonly taken: number;
  /** By name of the refusal. */
  readonly refused: Readonly<Record<string, number>>;
}

/** What a route asks. */
export interface ReportTaker {
  take(
    report: IncomingReport,
    nowMs: number,
    monotonicMs: number,
  ): ReportVerdict | Promise<ReportVerdict>;
}

export interface ReportDesk extends ReportTaker {
  take(report: IncomingReport, nowMs: number, monotonicMs: number): ReportVerdict;
  counts(): ReportCounts;
}

const perAgent = { perSecond: 0.2, burst: 6 } as const;
/** A key that no agent has: a stranger costs and learns what a wrong key does. */
const noKey = '-';

export function buildReportDesk(parts: ReportDeskParts): ReportDesk {
  const { org, keys, book } = parts;
  const all = buildTokenBucket(parts.maxPerSecond, parts.maxPerSecond);
  const shares = new Shares(perAgent);
  const refused: Record<string, number> = {};
  let taken = 0;

  const judge = (given: IncomingReport, nowMs: number, monotonicMs: number): ReportVerdict => {
    if (keys.size() === 0) return refuse(503, 'no_keys', 'no agent keys are known here');
    if (given.body.length > maxReportBytes) return refuse(413, 'too_big', 'report: too long');
    const { agent } = given;
    const key = keys.keyOf(agent);
    const isRight = isReportMac(key ?? noKey, { org, agent }, given.body, given.mac);
    if (key === undefined || !isRight) return refuse(401, 'wrong_mac', 'not proven');
    if (!shares.take(agent, monotonicMs)) return refuse(429, 'too_fast', 'too many of one agent');
    if (!all.take(monotonicMs)) return refuse(503, 'too_many', 'too many reports; try later');
    return read(given, nowMs);
  };
  const read = ({ agent, body }: IncomingReport, nowMs: number): ReportVerdict => {
    try {
      const report = parseAgentReport(body);
      if (report.agent !== agent)
        return refuse(400, 'bad_report', 'agent: not the one that signed');
      const seq = book.seqOf(agent);
      if (report.seq <= seq) return { ...refuse(409, 'replayed', 'an older number'), seq };
      book.take({ report, receivedAtMs: nowMs });
      return { kind: 'taken', nextSec: nextSec(parts, book.size()) };
    } catch (thrown) {
      if (thrown instanceof ListError) return refuse(400, 'bad_report', thrown.message);
      throw thrown;
    }
  };
  return {
    take(report, nowMs, monotonicMs) {
      const verdict = judge(report, nowMs, monotonicMs);
      if (verdict.kind === 'taken') taken += 1;
      else refused[verdict.name] = (refused[verdict.name] ?? 0) + 1;
      if (verdict.kind === 'taken') parts.onTaken?.(report);
      return verdict;
    },
    counts: () => ({ taken, refused: { ...refused } }),
  };
}

/** A fleet that grows reports more rarely, so that all of them use at most a tenth of the rate. */
function nextSec({ everySec, maxPerSecond }: ReportDeskParts, agents: number): number {
  return Math.max(everySec, Math.ceil((agents * 10) / maxPerSecond));
}

function refuse(
  status: Extract<ReportVerdict, { kind: 'refused' }>['status'],
  name: string,
  message: string,
): Extract<ReportVerdict, { kind: 'refused' }> {
  return { kind: 'refused', status, name, message };
}
