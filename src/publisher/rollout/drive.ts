/**
 * One look at a rollout under way and the order that follows from it. Pure: the newest version, the
 * reports and the operators' marks come in. Called again and again; the same world gives the same
 * order, and an order that came too late finds that the newest version is no longer the one judged.
 */
import { asFoundNow, takenBack, withBalance, withinReach } from '../content.ts';
import type { PublishedList, RolloutMark } from '../history.ts';
import type { PublishOrder } from '../publish.ts';
import type { AgentRow } from '../reports/agent-book.ts';
import { cohortStats } from './cohort.ts';
import { type GateSettings, judgeWave, type Verdict } from './gate.ts';
import { nextStage } from './plan.ts';
import type { RolloutRecord } from './record.ts';

export interface DriveGround {
  readonly newest: PublishedList;
  /** The version to go back to; undefined when the history no longer has it. */
  readonly stable: PublishedList | undefined;
  readonly rows: Iterable<AgentRow>;
  readonly mark: RolloutMark | undefined;
  /** The name of the freeze window that holds now. */
  readonly frozen: string | undefined;
  readonly settings: GateSettings;
  /** Of the root. */
  readonly maxRemovedPct: number;
  readonly nowMs: number;
}

export type Drive =
  | { readonly kind: 'idle' }
  | { readonly kind: 'wait'; readonly why: string }
  | { readonly kind: 'publish'; readonly order: PublishOrder; readonly event: string };

export function driveRollout(ground: DriveGround): Drive {
  const { newest, rows, settings, nowMs, mark } = ground;
  const record = newest.rollout;
  if (record === undefined) return { kind: 'idle' };
  if (mark?.kind === 'aborted')
    return goBack(ground, record, `aborted by ${mark.who}: ${mark.why}`);
  // A clock that was set back: the wave is as old as it looks, not younger.
  const verdict = judgeWave(
    cohortStats(rows, record),
    record,
    settings,
    Math.max(nowMs, record.stageStartedAtMs),
  );
  return followVerdict(ground, record, verdict);
}

function followVerdict(ground: DriveGround, record: RolloutRecord, verdict: Verdict): Drive {
  if (verdict.kind === 'halt') return goBack(ground, record, `${verdict.gate}: ${verdict.why}`);
  if (verdict.kind === 'wait') return verdict;
  const { mark, frozen, rows, nowMs } = ground;
  if (mark?.kind === 'paused') return { kind: 'wait', why: `paused by ${mark.who}: ${mark.why}` };
  if (frozen !== undefined && record.lane === 'normal')
    return { kind: 'wait', why: `frozen: ${frozen}` };
  const next = nextStage(record, rows, nowMs);
  const event = next === undefined ? 'rollout.done' : 'rollout.advanced';
  const detail = next === undefined ? `${record.id} done` : `${record.id} ${next.pct} %`;
  return { kind: 'publish', event, order: waveOrder(record, next, detail) };
}

/** The same content to more agents; without a record: to all, for good. */
function waveOrder(
  judged: RolloutRecord,
  next: RolloutRecord | undefined,
  detail: string,
): PublishOrder {
  return {
    reason: 'rollout',
    detail,
    evenIfSame: false,
    want: (newest) => {
      const now = requireNewest(newest);
      const { content, source } = now;
      const isJudged = now.rollout?.id === judged.id && now.rollout.stage === judged.stage;
      return { content, source, rollout: isJudged ? next : now.rollout };
    },
  };
}

/** Never an older version again: a higher one with the old content, for everybody, at once. */
function goBack({ stable, maxRemovedPct }: DriveGround, judged: RolloutRecord, why: string): Drive {
  if (stable === undefined) {
    return {
      kind: 'wait',
      why: `${why}; version ${judged.stableVersion} is no longer kept, roll back by hand`,
    };
  }
  const order: PublishOrder = {
    reason: 'halt',
    detail: `${judged.id} back to ${stable.version}: ${why}`,
    evenIfSame: false,
    want: (newest) => {
      const now = requireNewest(newest);
      const isJudged = now.rollout?.id === judged.id;
      if (!isJudged) return { content: now.content, source: now.source, rollout: now.rollout };
      // What the roster has found since then still holds.
      const settled = withBalance(stable.content, now.content.balance);
      const content = takenBack(asFoundNow(settled, now.content), now.content);
      const accepted = withinReach(content, now.content, maxRemovedPct);
      return { content: accepted, source: now.source, rollout: undefined };
    },
  };
  return { kind: 'publish', event: 'rollout.halted', order };
}

function requireNewest(newest: PublishedList | undefined): PublishedList {
  if (newest !== undefined) return newest;
  throw new TypeError('a rollout without a version');
}
