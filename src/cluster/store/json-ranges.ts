/**
 * Where the members of an object and the items of a list lie in JSON bytes, without parsing them:
 * a body of a hundred thousand agents is taken apart while others get their turn. Finds ranges;
 * whoever parses a range finds out whether it is JSON.
 */
import { PayloadError } from '../wire/payload.ts';

/** `start` inclusive, `end` exclusive. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

export interface Member extends Range {
  readonly key: string;
}

const deepest = 16;
const longestKey = 256;
const [quote, backslash, comma, colon, openBracket, closeBracket, openBrace, closeBrace] =
  Buffer.from('"\\,:[]{}');

/** Members of the object that begins at `start`. Throws `PayloadError`. */
export function* membersOf(bytes: Buffer, start = 0): Generator<Member> {
  let at = expect(bytes, skipSpace(bytes, start), openBrace);
  if (bytes[skipSpace(bytes, at)] === closeBrace) return;
  for (;;) {
    const keyStart = skipSpace(bytes, at);
    if (bytes[keyStart] !== quote) throw broken(keyStart);
    const keyEnd = endOfString(bytes, keyStart);
    const value = skipSpace(bytes, expect(bytes, skipSpace(bytes, keyEnd), colon));
    const end = endOfValue(bytes, value);
    yield { key: keyOf(bytes, keyStart, keyEnd), start: value, end };
    at = skipSpace(bytes, end);
    if (bytes[at] === closeBrace) return;
    at = expect(bytes, at, comma);
  }
}

/** Items of the list that begins at `start`. Throws `PayloadError`. */
export function* itemsOf(bytes: Buffer, start: number): Generator<Range> {
  let at = expect(bytes, skipSpace(bytes, start), openBracket);
  if (bytes[skipSpace(bytes, at)] === closeBracket) return;
  for (;;) {
    const value = skipSpace(bytes, at);
    const end = endOfValue(bytes, value);
    yield { start: value, end };
    at = skipSpace(bytes, end);
    if (bytes[at] === closeBracket) return;
    at = expect(bytes, at, comma);
  }
}

/** Whether a list begins at `start`. */
export function isListAt(bytes: Buffer, start: number): boolean {
  return bytes[start] === openBracket;
}

function keyOf(bytes: Buffer, start: number, end: number): string {
  if (end - start > longestKey) throw broken(start);
  try {
    return String(JSON.parse(bytes.toString('utf8', start, end)));
  } catch {
    throw broken(start);
  }
}

function endOfValue(bytes: Buffer, start: number): number {
  const byte = bytes[start];
  if (byte === quote) return endOfString(bytes, start);
  if (byte === openBrace || byte === openBracket) return endOfNested(bytes, start);
  let at = start;
  while (at < bytes.length && !isEnd(bytes[at])) at += 1;
  if (at === start || at === bytes.length) throw broken(at);
  return at;
}

function isEnd(byte: number | undefined): boolean {
  return byte === comma || byte === closeBrace || byte === closeBracket || isSpace(byte);
}

function endOfNested(bytes: Buffer, start: number): number {
  let depth = 0;
  for (let at = start; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === quote) {
      at = endOfString(bytes, at) - 1;
    } else if (byte === openBrace || byte === openBracket) {
      depth += 1;
      if (depth > deepest) throw new PayloadError(`JSON nested deeper than ${deepest}`);
    } else if (byte === closeBrace || byte === closeBracket) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  throw broken(bytes.length);
}

function endOfString(bytes: Buffer, start: number): number {
  for (let at = start + 1; at < bytes.length; at++) {
    if (bytes[at] === quote) return at + 1;
    if (bytes[at] === backslash) at += 1;
  }
  throw broken(bytes.length);
}

function skipSpace(bytes: Buffer, start: number): number {
  let at = start;
  while (isSpace(bytes[at])) at += 1;
  return at;
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function expect(bytes: Buffer, at: number, byte: number | undefined): number {
  if (bytes[at] !== byte) throw broken(at);
  return at + 1;
}

function broken(at: number): PayloadError {
  return new PayloadError(`Expecting value: line 1 column ${at + 1} (char ${at})`);
}
