/**
 * Who did what: entries that each name the hash of the one before, so that nothing in between can be
 * changed, removed or put in without showing (trust-and-safety 6.8). Pure.
 */
import { createHash } from 'node:crypto';

export interface AuditFacts {
  readonly atMs: number;
  /** Name of the token, or user of the command line. */
  readonly who: string;
  readonly role: string;
  /** Where from: an address, or `command line`. */
  readonly from: string;
  /** `drain wm1`. */
  readonly action: string;
  /** `done`, `unchanged`, or the code of the refusal. */
  readonly outcome: string;
}

export interface AuditEntry extends AuditFacts {
  readonly seq: number;
  /** Of the entry before; of the first one, `start`. */
  readonly prev: string;
  readonly hash: string;
}

export const chainStart = 'start';

export function nextEntry(before: AuditEntry | undefined, facts: AuditFacts): AuditEntry {
  const bare = { seq: (before?.seq ?? 0) + 1, prev: before?.hash ?? chainStart, ...facts };
  return { ...bare, hash: hashOf(bare) };
}

/** One JSON array of all members in a fixed order: nothing can move from one to another. */
function hashOf(entry: Omit<AuditEntry, 'hash'>): string {
  const { seq, prev, atMs, who, role, from, action, outcome } = entry;
  const text = JSON.stringify([seq, prev, atMs, who, role, from, action, outcome]);
  return createHash('sha256').update(text).digest('hex');
}

export type ChainVerdict =
  | { readonly kind: 'whole'; readonly entries: number; readonly head: string }
  | { readonly kind: 'broken'; readonly seq: number; readonly why: string };

/** `head`: what the last entry must be, as kept apart; a chain that was cut at its end shows by it. */
export function verifyChain(
  entries: Iterable<AuditEntry>,
  head: { readonly seq: number; readonly hash: string } | undefined,
): ChainVerdict {
  let before: AuditEntry | undefined;
  let count = 0;
  for (const entry of entries) {
    const seq = before === undefined ? entry.seq : before.seq + 1;
    const broken = (why: string): ChainVerdict => ({ kind: 'broken', seq, why });
    if (entry.seq !== seq) return broken(`entry ${seq} is missing`);
    const { hash, ...bare } = entry;
    if (hashOf(bare) !== hash) return broken('its content is not what was written');
    const isFirst = before === undefined && entry.seq === 1;
    const expected = isFirst ? chainStart : before?.hash;
    if (expected !== undefined && entry.prev !== expected)
      return broken('it follows another entry');
    before = entry;
    count += 1;
  }
  const last = before ?? { seq: 0, hash: chainStart };
  if (head !== undefined && (head.seq !== last.seq || head.hash !== last.hash)) {
    return { kind: 'broken', seq: head.seq, why: 'the last entries are missing or were replaced' };
  }
  return { kind: 'whole', entries: count, head: last.hash };
}
