/**
 * How fresh is a proven list? A receipt answers without a clock; without one only the wall clock is
 * left, and it must not be expired by it (trust-and-safety 1.6 step 7).
 */
import { ListError } from '../errors.ts';
import { listLimits, type ManagerList, type Receipt, type Root } from './model.ts';
import { type PollReceipt, verifyReceipt } from './receipt.ts';

export type Freshness =
  | { readonly kind: 'fresh'; readonly receipt: Receipt }
  | {
      readonly kind: 'clock-only';
      /** Count these: three in a row are an alarm. Never where lists travel as files. */
      readonly isAlarming: boolean;
      /** Why the receipt that came does not count. */
      readonly receiptFault?: ListError;
    };

export interface FreshnessQuestion {
  readonly list: ManagerList;
  readonly hash: string;
  readonly root: Root;
  /** No list was ever accepted here. */
  readonly isFirst: boolean;
  readonly receipt: PollReceipt | undefined;
  readonly nowMs: number;
}

/** @throws ListError `stale`, `expired_at_join`, `clock_implausible` */
export async function judgeFreshness(question: FreshnessQuestion): Promise<Freshness> {
  const outcome = await tryReceipt(question);
  if (outcome !== undefined && !(outcome instanceof ListError)) {
    return { kind: 'fresh', receipt: outcome };
  }
  checkClock(question, outcome);
  const isAlarming = !question.root.staticDelivery;
  if (outcome === undefined) return { kind: 'clock-only', isAlarming };
  return { kind: 'clock-only', isAlarming, receiptFault: outcome };
}

const maxFloorLeadMs = 24 * 3_600_000;

/**
 * The time this host is known to have reached, after a document said `seenAtMs`. What lies more than
 * a day ahead of this host's clock and floor proves nothing but a wrong clock somewhere: it must not
 * make every later list look expired for ever.
 */
export function raiseFloorMs(floorMs: number, seenAtMs: number, nowMs: number): number {
  const latestMs = Math.max(floorMs, nowMs) + maxFloorLeadMs;
  return seenAtMs > latestMs ? floorMs : Math.max(floorMs, seenAtMs);
}

/** The instant from which a list needs a receipt to be believed. */
export function expiresAtMs(list: ManagerList): number {
  return list.issuedAtMs + list.validFor * 1_000;
}

/** A receipt that does not count is no reason to refuse the list: somebody may only have cut it off. */
async function tryReceipt(question: FreshnessQuestion): Promise<Receipt | ListError | undefined> {
  const { receipt, list, hash, root } = question;
  if (receipt === undefined) return undefined;
  try {
    const seen = await verifyReceipt(receipt, { position: list, hash }, root);
    if (seen.nowMs < expiresAtMs(list)) return seen;
    return new ListError('receipt_invalid', 'receipt: given after the list had expired');
  } catch (thrown) {
    if (thrown instanceof ListError) return thrown;
    throw thrown;
  }
}

function checkClock(question: FreshnessQuestion, receiptFault: ListError | undefined): void {
  const { list, isFirst, nowMs } = question;
  const endsAtMs = expiresAtMs(list);
  const because = receiptFault === undefined ? 'no receipt came' : receiptFault.message;
  if (nowMs >= endsAtMs) {
    const seen = `list ${list.version} expired at ${at(endsAtMs)}; it is ${at(nowMs)} here`;
    throw new ListError(isFirst ? 'expired_at_join' : 'stale', `${seen}; ${because}`);
  }
  if (list.issuedAtMs > nowMs + listLimits.clockSkewMs) {
    const seen = `list ${list.version} is issued at ${at(list.issuedAtMs)}`;
    throw new ListError('clock_implausible', `${seen}; it is ${at(nowMs)} here; ${because}`);
  }
}

/** Any number of milliseconds, also those no calendar holds. */
function at(atMs: number): string {
  const date = new Date(atMs);
  return Number.isNaN(date.getTime()) ? `${atMs} ms` : date.toISOString();
}
