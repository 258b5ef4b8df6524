/** Edits of a byte file: spans of the original and what stands there afterwards. */

/** Replace `[start, end)` of the original with `text`. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: Uint8Array;
}

/** Sorted by place; two at one offset keep their given order, insertions before the rest. */
export function inOrder(edits: readonly Edit[]): readonly Edit[] {
  return edits.toSorted((left, right) => left.start - right.start || left.end - right.end);
}

/** The file after `edits`, which must be sorted; throws `RangeError` when two overlap. */
export function applyEdits(bytes: Uint8Array, edits: readonly Edit[]): Buffer {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const edit of edits) {
    if (edit.start < at || edit.end < edit.start || edit.end > bytes.length) {
      throw new RangeError(`edit [${edit.start}, ${edit.end}) overlaps or leaves the file`);
    }
    parts.push(bytes.subarray(at, edit.start), edit.text);
    at = edit.end;
  }
  parts.push(bytes.subarray(at));
  return Buffer.concat(parts);
}

/** Where each edit's text lies in the edited file. */
export function editedSpans(
  edits: readonly Edit[],
): readonly { readonly start: number; readonly end: number }[] {
  let shift = 0;
  return edits.map((edit) => {
    const start = edit.start + shift;
    shift += edit.text.length - (edit.end - edit.start);
    return { start, end: start + edit.text.length };
  });
}

/** True when `after` is `before` with exactly the spans of `edits` replaced. */
export function onlyDiffersIn(
  before: Uint8Array,
  after: Uint8Array,
  edits: readonly Edit[],
): boolean {
  const spans = editedSpans(edits);
  let beforeAt = 0;
  let afterAt = 0;
  for (const [index, edit] of edits.entries()) {
    const span = spans[index] ?? { start: -1, end: -1 };
    const kept = before.subarray(beforeAt, edit.start);
    if (Buffer.compare(kept, after.subarray(afterAt, span.start)) !== 0) return false;
    beforeAt = edit.end;
    afterAt = span.end;
  }
  return Buffer.compare(before.subarray(beforeAt), after.subarray(afterAt)) === 0;
}
