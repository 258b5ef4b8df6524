/**
 * Which node stands behind an address. A virtual IP moves between nodes, and `#pong` is the same
 * everywhere; what only one node has is its key. The publisher's key comes first: the authority that
 * the root pins has signed it. The enrollment port shows a key that nobody vouches for. So a change
 * proves nothing alone: it ends no connection that still works. Pure.
 */

/** What a node showed; `sha256/…` of its keys. Empty: nothing could be seen. */
export interface Marks {
  /** Of the publisher on that node, under an authority of the root. */
  readonly publisher?: string;
  /** Of the enrollment port (4.x), or of the agents' own port (5.x). */
  readonly server?: string;
}

export interface Holding {
  readonly marks: Marks;
  /** When another node answered for the first time; absent while it has always been one. */
  readonly movedAtMs?: number;
  /** For how long nobody, or nobody well, answered before that. */
  readonly goneMs?: number;
  /** Instants of the last changes, oldest first. */
  readonly changes: readonly number[];
  /** When two questions side by side met two nodes. */
  readonly splitAtMs?: number;
}

/** The same node, another one, or nothing that both have shown. */
export function compareMarks(left: Marks, right: Marks): 'same' | 'other' | 'unknown' {
  for (const mark of ['publisher', 'server'] as const) {
    const [before, now] = [left[mark], right[mark]];
    if (before !== undefined && now !== undefined) return before === now ? 'same' : 'other';
  }
  return 'unknown';
}

const keptChanges = 8;

/** Add what one look showed, confirmed where it differs. */
export function judgeHolder(
  before: Holding | undefined,
  seen: { readonly marks: Marks; readonly goneMs: number },
  nowMs: number,
): Holding | undefined {
  const { marks, goneMs } = seen;
  if (marks.publisher === undefined && marks.server === undefined) return before;
  if (before === undefined) return { marks, changes: [] };
  if (compareMarks(before.marks, marks) !== 'other') {
    return { ...before, marks: { ...before.marks, ...marks } };
  }
  const changes = [...before.changes, nowMs].slice(-keptChanges);
  return { ...before, marks, movedAtMs: nowMs, goneMs, changes };
}

/** Two questions in a row met the old node and another one. */
export function judgeSplit(before: Holding, nowMs: number): Holding {
  return { ...before, splitAtMs: nowMs };
}

const contestedMs = 120_000;
const contestedChanges = 3;

/**
 * Two nodes claim the address at once, or a balancer stands there: whoever leaves a node for the
 * other would leave it again a moment later, so nobody does.
 */
export function isContested({ changes, splitAtMs }: Holding, nowMs: number): boolean {
  const isYoung = (atMs: number): boolean => nowMs - atMs < contestedMs;
  const isSplit = splitAtMs !== undefined && isYoung(splitAtMs);
  return isSplit || changes.filter(isYoung).length >= contestedChanges;
}

/** One entry of the host's neighbour table, and since when it says so. */
export interface Neighbour {
  /** Hardware address, `02:42:0a:00:00:02`. */
  readonly mac: string;
  readonly sinceAtMs: number;
}

const complete = 0x2;

/** `/proc/net/arp`: hardware addresses of complete entries, by IPv4 address. */
export function parseArpTable(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split('\n').slice(1)) {
    const [address = '', , flags = '', mac = ''] = line.trim().split(/\s+/);
    if ((Number.parseInt(flags, 16) & complete) === 0) continue;
    if (/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(mac)) found.set(address, mac.toLowerCase());
  }
  return found;
}
