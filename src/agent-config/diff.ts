/** A small unified diff of two files for people: `plan --diff`. Lines are shown as UTF-8. */

const CONTEXT_LINES = 3;
/** Above this many line pairs the changed region is shown as removed and added as a whole. */
const MAX_LINE_PAIRS = 4_000_000;

interface Change {
  readonly mark: ' ' | '-' | '+';
  readonly line: string;
}

interface Region {
  /** 1-based line numbers at which `changes` start. */
  readonly beforeLine: number;
  readonly afterLine: number;
  readonly changes: readonly Change[];
}

/** Unified hunks with three lines of context; empty when the files are equal. */
export function diffLines(before: Uint8Array, after: Uint8Array): string {
  if (Buffer.compare(before, after) === 0) return '';
  const left = toLines(before);
  const right = toLines(after);
  const head = commonHead(left, right);
  const tail = commonTail(left, right, head);
  const start = Math.max(0, head - CONTEXT_LINES);
  const extra = Math.min(tail, CONTEXT_LINES);
  const region = {
    beforeLine: start + 1,
    afterLine: start + 1,
    changes: compare(
      left.slice(start, left.length - tail + extra),
      right.slice(start, right.length - tail + extra),
    ),
  };
  return split(region).map(render).join('');
}

/** Lines with their ends, so that a changed or missing end of line shows. */
function toLines(bytes: Uint8Array): readonly string[] {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  return text === '' ? [] : (text.match(/[^\n]*\n|[^\n]+$/g) ?? []);
}

function commonHead(left: readonly string[], right: readonly string[]): number {
  let count = 0;
  while (count < left.length && count < right.length && left[count] === right[count]) count += 1;
  return count;
}

function commonTail(left: readonly string[], right: readonly string[], head: number): number {
  const most = Math.min(left.length, right.length) - head;
  let count = 0;
  while (count < most && left.at(-1 - count) === right.at(-1 - count)) count += 1;
  return count;
}

function compare(left: readonly string[], right: readonly string[]): readonly Change[] {
  if (left.length * right.length > MAX_LINE_PAIRS) {
    return [
      ...left.map((line) => ({ mark: '-', line }) as const),
      ...right.map((line) => ({ mark: '+', line }) as const),
    ];
  }
  const table = commonLengths(left, right);
  const length = (row: number, column: number): number => table[row]?.[column] ?? 0;
  const changes: Change[] = [];
  let row = 0;
  let column = 0;
  while (row < left.length || column < right.length) {
    const [mine, theirs] = [left[row], right[column]];
    if (mine !== undefined && mine === theirs) {
      changes.push({ mark: ' ', line: mine });
      row += 1;
      column += 1;
    } else if (mine !== undefined && length(row + 1, column) >= length(row, column + 1)) {
      changes.push({ mark: '-', line: mine });
      row += 1;
    } else if (theirs === undefined) {
      changes.push({ mark: '-', line: mine ?? '' });
      row += 1;
    } else {
      changes.push({ mark: '+', line: theirs });
      column += 1;
    }
  }
  return changes;
}

/** `table[i][j]`: length of the longest common subsequence of `left[i..]` and `right[j..]`. */
function commonLengths(left: readonly string[], right: readonly string[]): readonly Uint32Array[] {
  const table = Array.from({ length: left.length + 1 }, () => new Uint32Array(right.length + 1));
  for (let row = left.length - 1; row >= 0; row -= 1) {
    const [here, below] = [table[row], table[row + 1]];
    if (here === undefined || below === undefined) continue;
    for (let column = right.length - 1; column >= 0; column -= 1) {
      const same = left[row] === right[column];
      const skipped = Math.max(below[column] ?? 0, here[column + 1] ?? 0);
      here[column] = same ? (below[column + 1] ?? 0) + 1 : skipped;
    }
  }
  return table;
}

/** Cut long unchanged stretches: each hunk keeps three lines around its changes. */
function split({ beforeLine, afterLine, changes }: Region): readonly Region[] {
  const near = changes.map((_, index) =>
    changes
      .slice(Math.max(0, index - CONTEXT_LINES), index + CONTEXT_LINES + 1)
      .some(({ mark }) => mark !== ' '),
  );
  const regions: { beforeLine: number; afterLine: number; changes: Change[] }[] = [];
  let [left, right] = [beforeLine, afterLine];
  for (const [index, change] of changes.entries()) {
    if (near[index] === true) {
      if (near[index - 1] !== true) {
        regions.push({ beforeLine: left, afterLine: right, changes: [] });
      }
      regions.at(-1)?.changes.push(change);
    }
    if (change.mark !== '+') left += 1;
    if (change.mark !== '-') right += 1;
  }
  return regions;
}

function render({ beforeLine, afterLine, changes }: Region): string {
  const removed = changes.filter(({ mark }) => mark !== '+').length;
  const added = changes.filter(({ mark }) => mark !== '-').length;
  const head = `@@ -${beforeLine},${removed} +${afterLine},${added} @@\n`;
  const body = changes.map(({ mark, line }) => {
    return line.endsWith('\n')
      ? `${mark}${line}`
      : `${mark}${line}\n\\ No newline at end of file\n`;
  });
  return head + body.join('');
}
