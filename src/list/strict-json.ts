/**
 * JSON without room for two readings: valid UTF-8, no duplicate members, integers JavaScript can
 * hold, NFC strings without control characters, bounded depth and lengths. One pass, linear time.
 * Objects have no prototype, so a member named `__proto__` is data like any other.
 * Source: trust-and-safety 1.2, row "JSON differential".
 */
import { decodeUtf8 } from '../bytes.ts';
import { ListError, type ReasonName } from '../errors.ts';
import type { JsonValue } from '../guards.ts';
import { listLimits } from './model.ts';

export interface StrictJsonRules {
  /** What is being read, for messages: `list`, `envelope`. */
  readonly what: string;
  /** Reason of every refusal but duplicate members (`duplicate_member`) and size (`too_big`). */
  readonly reason: ReasonName;
  /** Default 64 KiB. */
  readonly maxBytes?: number;
  /** Default 256 UTF-16 units; member names never exceed 256. */
  readonly maxStringLength?: number;
}

/** The one value in `bytes`. Throws ListError and nothing else. */
export function parseStrictJson(bytes: Uint8Array, rules: StrictJsonRules): JsonValue {
  const maxBytes = rules.maxBytes ?? listLimits.maxEnvelopeBytes;
  if (bytes.length > maxBytes) {
    throw new ListError(
      'too_big',
      `${rules.what}: ${bytes.length} bytes; allowed: at most ${maxBytes}`,
    );
  }
  const text = decodeUtf8(bytes);
  if (text === undefined) throw new ListError(rules.reason, `${rules.what}: not valid UTF-8`);
  return new Scanner(text, rules).document();
}

const literals: Readonly<Record<string, { readonly text: string; readonly value: JsonValue }>> = {
  t: { text: 'true', value: true },
  f: { text: 'false', value: false },
  n: { text: 'null', value: null },
};
const escapes: Readonly<Record<string, string>> = { '"': '"', '\\': '\\', '/': '/' };
// C0, DEL and C1.
const controlCharacter = /\p{Cc}/u;
const integerShape = /-?(?:0|[1-9][0-9]{0,15})(?![0-9.eE])/y;

class Scanner {
  readonly #text: string;
  readonly #rules: StrictJsonRules;
  #at = 0;

  constructor(text: string, rules: StrictJsonRules) {
    this.#text = text;
    this.#rules = rules;
  }

  document(): JsonValue {
    const value = this.#value(0);
    this.#skipBlanks();
    if (this.#at < this.#text.length) throw this.#fault('something follows the document');
    return value;
  }

  #value(depth: number): JsonValue {
    this.#skipBlanks();
    const first = this.#text[this.#at];
    if (first === '{') return this.#object(this.#deeper(depth));
    if (first === '[') return this.#array(this.#deeper(depth));
    if (first === '"') return this.#string(this.#rules.maxStringLength);
    const literal = first === undefined ? undefined : literals[first];
    if (literal !== undefined) return this.#literal(literal.text, literal.value);
    return this.#integer();
  }

  #deeper(depth: number): number {
    if (depth >= listLimits.maxDepth) {
      throw this.#fault(`nested deeper than ${listLimits.maxDepth} levels`);
    }
    this.#at += 1;
    return depth + 1;
  }

  #object(depth: number): JsonValue {
    const members: Record<string, JsonValue> = Object.create(null);
    if (this.#take('}')) return members;
    do {
      this.#skipBlanks();
      const startAt = this.#at;
      const name = this.#string(listLimits.maxStringLength);
      if (Object.hasOwn(members, name)) {
        const seen = `${this.#rules.what}: member ${JSON.stringify(name)} occurs twice`;
        throw new ListError('duplicate_member', `${seen} (character ${startAt})`);
      }
      if (!this.#take(':')) throw this.#fault('":" expected');
      members[name] = this.#value(depth);
    } while (this.#take(','));
    if (!this.#take('}')) throw this.#fault('"," or "}" expected');
    return members;
  }

  #array(depth: number): JsonValue {
    const items: JsonValue[] = [];
    if (this.#take(']')) return items;
    do items.push(this.#value(depth));
    while (this.#take(','));
    if (!this.#take(']')) throw this.#fault('"," or "]" expected');
    return items;
  }

  #literal(text: string, value: JsonValue): JsonValue {
    if (!this.#text.startsWith(text, this.#at)) throw this.#fault('a value expected');
    this.#at += text.length;
    return value;
  }

  #integer(): number {
    integerShape.lastIndex = this.#at;
    const digits = integerShape.exec(this.#text)?.[0];
    const value = Number(digits);
    if (digits === undefined || !Number.isSafeInteger(value) || Object.is(value, -0)) {
      throw this.#fault('a value expected; numbers are integers from -(2^53-1) to 2^53-1');
    }
    this.#at += digits.length;
    return value;
  }

  #string(maxLength: number = listLimits.maxStringLength): string {
    if (this.#text[this.#at] !== '"') throw this.#fault('a string expected');
    const startAt = this.#at;
    const parts: string[] = [];
    for (this.#at += 1; ; ) {
      parts.push(this.#plainRun());
      const stop = this.#text[this.#at];
      if (stop === undefined) throw this.#fault('a string without end');
      this.#at += 1;
      if (stop === '"') break;
      parts.push(this.#escape());
    }
    const value = parts.join('');
    this.#checkString(value, maxLength, startAt);
    return value;
  }

  /** Everything up to the next quote or backslash. */
  #plainRun(): string {
    const startAt = this.#at;
    while (this.#at < this.#text.length && !'"\\'.includes(this.#text[this.#at] ?? '')) {
      this.#at += 1;
    }
    return this.#text.slice(startAt, this.#at);
  }

  #escape(): string {
    const letter = this.#text[this.#at] ?? '';
    this.#at += 1;
    if (letter !== 'u') {
      const meant = escapes[letter];
      if (meant === undefined) throw this.#fault('an escape that is not allowed here');
      return meant;
    }
    const digits = this.#text.slice(this.#at, this.#at + 4);
    if (!/^[0-9A-Fa-f]{4}$/.test(digits)) throw this.#fault('four hexadecimal digits expected');
    this.#at += 4;
    return String.fromCharCode(Number.parseInt(digits, 16));
  }

  #checkString(value: string, maxLength: number, startAt: number): void {
    if (value.length > maxLength) {
      throw this.#fault(`a string of ${value.length} characters; at most ${maxLength}`, startAt);
    }
    if (controlCharacter.test(value))
      throw this.#fault('a string with a control character', startAt);
    if (!value.isWellFormed()) throw this.#fault('a string with half a surrogate pair', startAt);
    if (value.normalize('NFC') !== value) throw this.#fault('a string that is not NFC', startAt);
  }

  #take(mark: string): boolean {
    this.#skipBlanks();
    if (this.#text[this.#at] !== mark) return false;
    this.#at += 1;
    return true;
  }

  #skipBlanks(): void {
    while (this.#at < this.#text.length && ' \t\n\r'.includes(this.#text[this.#at] ?? 'x')) {
      this.#at += 1;
    }
  }

  #fault(problem: string, at: number = this.#at): ListError {
    return new ListError(this.#rules.reason, `${this.#rules.what}: ${problem} (character ${at})`);
  }
}
