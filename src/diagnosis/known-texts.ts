/**
 * Where any of very many known texts stands in another text, in one pass: a fleet has a hundred
 * thousand keys. Pure.
 */

/** Shorter ones are not looked for: they would be found in every sentence. */
export const leastLength = 8;

export interface Span {
  readonly start: number;
  /** Behind its last character. */
  readonly end: number;
}

/** Known texts by their first `leastLength` characters. */
export type KnownTexts = ReadonlyMap<string, readonly string[]>;

export function indexTexts(texts: Iterable<string>): KnownTexts {
  const index = new Map<string, string[]>();
  for (const text of new Set(texts)) {
    if (text.length < leastLength) continue;
    const head = text.slice(0, leastLength);
    const others = index.get(head);
    if (others === undefined) index.set(head, [text]);
    else others.push(text);
  }
  return index;
}

/** In order; what overlaps or touches is one span. */
export function* findKnown(text: string, known: KnownTexts): Generator<Span> {
  if (known.size === 0) return;
  let open: Span | undefined;
  for (let start = 0; start + leastLength <= text.length; start += 1) {
    const longest = longestAt(text, start, known);
    if (longest === 0) continue;
    const end = start + longest;
    if (open !== undefined && start <= open.end) {
      open = { start: open.start, end: Math.max(open.end, end) };
      continue;
    }
    if (open !== undefined) yield open;
    open = { start, end };
  }
  if (open !== undefined) yield open;
}

function longestAt(text: string, start: number, known: KnownTexts): number {
  let longest = 0;
  for (const one of known.get(text.slice(start, start + leastLength)) ?? []) {
    if (one.length > longest && text.startsWith(one, start)) longest = one.length;
  }
  return longest;
}
