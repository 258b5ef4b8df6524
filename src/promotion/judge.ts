/**
 * May this node take the master's role now? Values in, a verdict out: no clock, no disk, no socket.
 * A node that is not sure does not; whoever may is decided by the engine alone.
 */
import type { KeysFacts } from './client-keys.ts';
import { completeKeys, hasGrownFrom, type TextSeal } from './keys-steps.ts';
import type { RoleRecord } from './record.ts';

export type PromotionMode = 'off' | 'manual' | 'automatic';

/** How this node's `client.keys` stands to the one on record. */
export type Freshness =
  /** The same bytes, or the same and what came after. */
  | { readonly kind: 'fresh' }
  /** Older, and the changes on record make it whole. */
  | { readonly kind: 'completable'; readonly content: Buffer }
  | {
      readonly kind: 'behind';
      readonly why: string;
      /** No id of the record could be given a second time from here. */
      readonly hasGreatestId: boolean;
    };

export function judgeFreshness(
  bytes: Buffer,
  own: KeysFacts,
  record: RoleRecord,
  seal: TextSeal,
): Freshness {
  const { keys } = record;
  if (own.digest === keys.digest) return { kind: 'fresh' };
  const content = tryComplete(bytes, record, seal);
  if (content !== undefined) return { kind: 'completable', content };
  if (hasGrownFrom(bytes, keys.digest)) return { kind: 'fresh' };
  const here = `${own.count} keys up to id ${own.greatestId}`;
  const there = `${keys.count} keys up to id ${keys.greatestId} (generation ${keys.generation})`;
  const why = `client.keys here has ${here}, on record are ${there}`;
  return { kind: 'behind', why, hasGreatestId: own.greatestId >= keys.greatestId };
}

/** A step that another key sealed proves nothing, and is no reason to stop. */
function tryComplete(bytes: Buffer, { keys }: RoleRecord, seal: TextSeal): Buffer | undefined {
  try {
    return completeKeys(bytes, keys.steps, keys.digest, seal);
  } catch {
    return undefined;
  }
}

/** An operator's word. */
export interface PromoteOrder {
  /** Also with keys that are behind. */
  readonly force: boolean;
}

export interface Situation {
  readonly mode: PromotionMode;
  readonly node: string;
  readonly isCandidate: boolean;
  /** The manager's own configuration says so: it matters before the first record. */
  readonly isConfiguredMaster: boolean;
  /** Who has the seat. */
  readonly holder: string | undefined;
  readonly record: RoleRecord | undefined;
  /** There is one that this program cannot read. */
  readonly isRecordUnknown: boolean;
  /** Tokens: the last one this node held, by its own memory; 0: none. */
  readonly ownToken: number;
  readonly freshness: Freshness | undefined;
  readonly order: PromoteOrder | undefined;
  /** Why not for a while: a failed try, an operator's `demote`. */
  readonly pausedFor: string | undefined;
  /** What this host lacks: a port, a hook. */
  readonly fault: string | undefined;
  readonly nowMs: number;
  readonly minIntervalMs: number;
  /** The longest that a master that was stopped may go on without noticing. */
  readonly pauseMs: number;
}

export type Verdict =
  | {
      readonly kind: 'take';
      /** Between the taking of the seat and the first act as a master. */
      readonly pauseMs: number;
      readonly why: string;
    }
  /** `isFinal`: waiting alone changes nothing about it. */
  | { readonly kind: 'wait'; readonly why: string; readonly isFinal: boolean };

export function judgePromotion(now: Situation): Verdict {
  const { holder, record, order, node } = now;
  if (holder !== undefined) return waiting(`${holder} has the role`);
  if (now.isRecordUnknown) return refuse('the record in the engine is of another version');
  if (now.pausedFor !== undefined && order === undefined) return waiting(now.pausedFor);
  if (record === undefined) return judgeFirst(now);
  const verdict = record.node === node ? judgeReturn(now, record) : judgeMove(now, record);
  if (verdict.kind === 'wait' || now.fault === undefined) return verdict;
  return refuse(now.fault);
}

/** Before the first record: the node that is the master by configuration. */
function judgeFirst({ isConfiguredMaster, order, fault, pauseMs }: Situation): Verdict {
  if (!isConfiguredMaster && order?.force !== true) {
    return refuse('no master was ever recorded: the node that is configured as master begins');
  }
  if (fault !== undefined) return refuse(fault);
  return { kind: 'take', pauseMs: isConfiguredMaster ? 0 : pauseMs, why: 'the first master' };
}

/** The last master again: its own file is the newest there is, unless it was put back. */
function judgeReturn(now: Situation, record: RoleRecord): Verdict {
  const { freshness, order, ownToken, pauseMs } = now;
  if (freshness === undefined) return waiting('client.keys was not looked at yet');
  const isBack = freshness.kind === 'behind' && !freshness.hasGreatestId;
  if (isBack && order?.force !== true) return refuse(behindText(freshness.why));
  const isSure = ownToken === record.token;
  return { kind: 'take', pauseMs: isSure ? 0 : pauseMs, why: 'this node was the master before' };
}

function judgeMove(now: Situation, record: RoleRecord): Verdict {
  const { mode, isCandidate, order, freshness, nowMs, minIntervalMs, pauseMs } = now;
  if (!isCandidate) return refuse('this node is no candidate (cluster.promotion.candidate)');
  if (mode === 'manual' && order === undefined) {
    return waiting(`${record.node} is gone; \`promotion promote\` gives the role to this node`);
  }
  const sinceMs = nowMs - record.movedAtMs;
  // A clock that is behind must not hold the role back for ever.
  const isRecent = sinceMs < minIntervalMs && sinceMs > -minIntervalMs;
  if (isRecent && order === undefined) {
    const moved = Math.round(sinceMs / 1_000);
    return waiting(`the role moved ${moved} s ago, less than cluster.promotion.minInterval`);
  }
  if (freshness === undefined) return waiting('client.keys was not looked at yet');
  if (freshness.kind === 'behind' && order?.force !== true) {
    return refuse(behindText(freshness.why));
  }
  return { kind: 'take', pauseMs, why: `${record.node} is gone` };
}

function behindText(why: string): string {
  return `${why}: promote a node that has them, or lose them with \`promotion promote --force\``;
}

/** Time or another node may change it. */
export function waiting(why: string): Verdict {
  return { kind: 'wait', why, isFinal: false };
}

function refuse(why: string): Verdict {
  return { kind: 'wait', why, isFinal: true };
}
