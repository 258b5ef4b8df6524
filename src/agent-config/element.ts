/** What the scanner finds: elements as byte spans of the file, never copies of it. */

export const LESS = 0x3c;
export const GREATER = 0x3e;
export const SLASH = 0x2f;
export const BANG = 0x21;
export const DASH = 0x2d;

/** The agent's buffer for one name, one value, one attribute (`XML_MAXSIZE`). */
export const MAX_RUN_BYTES = 20_480;

export interface Element {
  /** Latin-1 view of the name's bytes, comments inside it dropped, cut at a NUL. */
  readonly name: string;
  /** 0 for a root. */
  readonly level: number;
  /** Offset of `<`. */
  readonly start: number;
  /** Just after the opening tag. */
  readonly openEnd: number;
  /** Where the bytes that become the value start: after the last child, else `openEnd`. */
  readonly valueStart: number;
  /** Offset of the `<` of the closing tag; the end of a self-closed element. */
  readonly valueEnd: number;
  /** Just after the element. */
  readonly end: number;
  /** Element children as the agent attributes them. Below uninteresting sections: none kept. */
  readonly children: readonly Element[];
  /** How many element children there are, kept or not. */
  readonly childCount: number;
  /** False when it got its parent through a `<var>` trick and lies outside it. */
  readonly inPlace: boolean;
}

/** `isspace` of the C locale. */
export function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || (byte !== undefined && byte >= 0x09 && byte <= 0x0d);
}

/** Latin-1: one character per byte, so nothing is ever lost or transcoded. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  return asBuffer(bytes).toString('latin1', start, end);
}

/** The same memory as a Buffer. */
export function asBuffer(bytes: Uint8Array): Buffer {
  if (bytes instanceof Buffer) return bytes;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A C string ends at its first NUL. */
export function cString(text: string): string {
  const nul = text.indexOf('\0');
  return nul < 0 ? text : text.slice(0, nul);
}

/**
 * A byte the agent puts back becomes a signed char: put back, 0xFF reads as the end of the file.
 * That concerns 0xFF right behind `<`, and behind `!` or `-` inside a comment.
 */
export const FALSE_END = 0xff;

export interface CommentEnd {
  readonly closed: boolean;
  /** Just after the comment, or where the agent gave up looking for its end. */
  readonly end: number;
}

/** The comment whose `<!` starts at `start` ends after the first `!>` or `-->` behind the `!` (1.2). */
export function commentEnd(bytes: Uint8Array, start: number): CommentEnd {
  const body = start + 2;
  const found = markedEnd(bytes, body);
  const end = found < 0 ? bytes.length : found;
  const falseEnd = falseEndIn(bytes, body, end);
  return falseEnd < 0 ? { closed: found >= 0, end } : { closed: false, end: falseEnd };
}

function markedEnd(bytes: Uint8Array, body: number): number {
  for (let close = bytes.indexOf(GREATER, body); close >= 0; ) {
    const before = close > body ? bytes[close - 1] : undefined;
    if (before === BANG) return close + 1;
    if (before === DASH && close - 2 >= body && bytes[close - 2] === DASH) return close + 1;
    close = bytes.indexOf(GREATER, close + 1);
  }
  return -1;
}

function falseEndIn(bytes: Uint8Array, body: number, end: number): number {
  const comment = bytes.subarray(body, end);
  for (let at = comment.indexOf(FALSE_END); at >= 0; at = comment.indexOf(FALSE_END, at + 1)) {
    if (comment[at - 1] === BANG || comment[at - 1] === DASH) return body + at;
  }
  return -1;
}

/** The element's content as the agent stores it: comments dropped, cut at a NUL, not trimmed. */
export function contentOf(bytes: Uint8Array, element: Element): string {
  let text = '';
  let from = element.valueStart;
  for (let at = bytes.indexOf(LESS, from); at >= 0 && at < element.valueEnd; ) {
    if (bytes[at + 1] === BANG) {
      text += latin1(bytes, from, at);
      from = commentEnd(bytes, at).end;
      at = from - 1;
    }
    at = bytes.indexOf(LESS, at + 1);
  }
  return cString(text + latin1(bytes, from, element.valueEnd));
}
