/** The agent's reading of what follows a name inside an opening tag (agent-side.md 1.3). */
import { cString, GREATER, isSpace, latin1, MAX_RUN_BYTES, SLASH } from './element.ts';
import { brokenSyntax, type Refusal } from './refusal.ts';

/** Forty-eight recursions of the agent after the first call. */
const MAX_ATTRIBUTES = 49;
const EQUALS = 0x3d;
const DOUBLE_QUOTE = 0x22;
const SINGLE_QUOTE = 0x27;

export interface AttributesEnd {
  /** Just after the `>` or `/` that ended the attributes. */
  readonly end: number;
  /** True when a `/` ended them; the `>` after it is then text to the agent. */
  readonly closed: boolean;
}

interface Name {
  readonly text: string;
  /** Just after the `=`. */
  readonly end: number;
}

/** Attributes from `from` (just after the blank behind the element name) to the end of the tag. */
export function readAttributes(bytes: Uint8Array, from: number): AttributesEnd {
  let at = from;
  let seen: string[] = [];
  for (let count = 0; ; count += 1) {
    if (count >= MAX_ATTRIBUTES) throw tooMany(bytes, at);
    const name = readName(bytes, at);
    if ('closed' in name) return name;
    if (seen.includes(name.text)) {
      throw broken(bytes, at, name.end, `Attribute '${name.text}' already defined.`);
    }
    const valueStart = openQuote(bytes, name);
    const valueEnd = readValue(bytes, valueStart, name);
    seen = name.text.toLowerCase() === 'var' ? [] : [...seen, name.text];
    const after = bytes[valueEnd + 1];
    if (after === GREATER || after === SLASH) {
      return { end: valueEnd + 2, closed: after === SLASH };
    }
    if (!isSpace(after)) {
      const value = cString(latin1(bytes, valueStart, valueEnd));
      const what = `Bad attribute closing for '${name.text}'='${value}'.`;
      throw broken(bytes, valueEnd + 1, valueEnd + 2, what);
    }
    at = valueEnd + 2;
  }
}

function readName(bytes: Uint8Array, from: number): Name | AttributesEnd {
  let start = from;
  for (let at = from; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (at - start >= MAX_RUN_BYTES)
      throw overflow(bytes, start, at, latin1(bytes, start, start + 20));
    if (byte === EQUALS) return { text: cString(latin1(bytes, start, at)), end: at + 1 };
    const ends = byte === GREATER || byte === SLASH;
    if (ends && at === start) return { end: at + 1, closed: byte === SLASH };
    if (ends || (isSpace(byte) && at > start)) {
      const name = cString(latin1(bytes, start, at));
      throw broken(bytes, start, at + 1, `Attribute '${name}' has no value.`);
    }
    if (isSpace(byte)) start = at + 1;
  }
  throw broken(bytes, from, bytes.length, 'End of file while reading an attribute.');
}

/** Offset just after the quote that follows `name=`; blanks are allowed between them. */
function openQuote(bytes: Uint8Array, name: Name): number {
  let at = name.end;
  while (isSpace(bytes[at])) at += 1;
  const byte = bytes[at];
  if (byte === DOUBLE_QUOTE || byte === SINGLE_QUOTE) return at + 1;
  const what = `Attribute '${name.text}' not followed by a " or '.`;
  throw broken(bytes, at, at + 1, what);
}

/** Offset of the quote that ends the value starting at `start`. */
function readValue(bytes: Uint8Array, start: number, name: Name): number {
  const quote = bytes[start - 1];
  for (let at = start; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (at - start >= MAX_RUN_BYTES) throw overflow(bytes, start, at, name.text.slice(0, 20));
    if (byte === GREATER) {
      throw broken(bytes, at, at + 1, `Attribute '${name.text}' not closed.`);
    }
    if (byte === quote) return at;
  }
  throw broken(bytes, start, bytes.length, 'End of file while reading an attribute.');
}

function broken(bytes: Uint8Array, offset: number, consumed: number, what: string): Refusal {
  const fix = 'write attributes as name="value", one blank between two, no blank before =, no >';
  return brokenSyntax(bytes, { offset, consumed, what, fix, ruleNumber: 33 });
}

function tooMany(bytes: Uint8Array, at: number): Refusal {
  const fix = 'keep at most 48 attributes on one element';
  return brokenSyntax(bytes, { offset: at, consumed: at, what: 'Too many attributes.', fix });
}

function overflow(bytes: Uint8Array, start: number, at: number, name: string): Refusal {
  const what = `Overflow attempt at attribute '${cString(name)}'.`;
  const fix = 'attribute names and values must stay below 20480 bytes';
  return brokenSyntax(bytes, { offset: start, consumed: at + 1, what, fix, ruleNumber: 70 });
}
