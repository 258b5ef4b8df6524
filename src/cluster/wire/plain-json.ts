/**
 * JSON of a peer becomes plain values, nothing else. Stock wraps callables, exceptions, results
 * and dates in members named `__like_this__`, and reviving them has been its worst source of
 * advisories: here such a member is refused unless the caller names it, and then stays data.
 */
import { decodeUtf8 } from '../../bytes.ts';
import type { JsonObject, JsonValue } from '../../guards.ts';
import { isJsonObject } from '../../guards.ts';
import { PayloadError } from './payload.ts';

const magic = /^__.*__$/s;
const deepest = 64;
/** Values in one document: sixty megabytes can hold ten million, which parsed are gigabytes. */
const defaultMostValues = 4_000_000;
const [quote, backslash, openBracket, openBrace, closeBracket, closeBrace, comma] =
  Buffer.from('"\\[{]},');

/** Members of a wrapped function name; read as data by the closed table of calls. */
export const callableMembers: ReadonlySet<string> = new Set([
  '__callable__',
  '__name__',
  '__module__',
  '__qualname__',
  '__type__',
]);

/** Members of a wrapped error. */
export const faultMembers: ReadonlySet<string> = new Set([
  '__wazuh_exception__',
  '__class__',
  '__object__',
  '__unhandled_exc__',
  '__args__',
]);

/** Members of a call's result. */
export const resultMembers: ReadonlySet<string> = new Set([
  ...faultMembers,
  '__wazuh_result__',
  '__wazuh_datetime__',
]);

const noMembers: ReadonlySet<string> = new Set();

/**
 * Throws `PayloadError` for bad UTF-8, bad JSON, deep nesting, too many values or a member that is
 * not allowed.
 */
export function parsePlainJson(
  bytes: Uint8Array,
  allowed: ReadonlySet<string> = noMembers,
  mostValues = defaultMostValues,
): JsonValue {
  checkShape(bytes, mostValues);
  const text = decodeUtf8(bytes);
  if (text === undefined) throw new PayloadError('not UTF-8');
  const value = parse(text);
  checkMembers(value, allowed);
  return value;
}

export function parsePlainObject(
  bytes: Uint8Array,
  allowed?: ReadonlySet<string>,
  mostValues?: number,
): JsonObject {
  const value = parsePlainJson(bytes, allowed, mostValues);
  if (!isJsonObject(value)) throw new PayloadError('not a JSON object');
  return value;
}

function parse(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    throw new PayloadError('Expecting value: line 1 column 1 (char 0)');
  }
}

/** Before parsing: a peer's nesting and numbers never become work for the parser or for us. */
function checkShape(bytes: Uint8Array, mostValues: number): void {
  let depth = 0;
  let values = 0;
  let isString = false;
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index];
    if (byte === quote) isString = !isString;
    else if (isString) index += byte === backslash ? 1 : 0;
    else if (byte === comma) values += 1;
    else if (byte === openBracket || byte === openBrace) {
      depth += 1;
      values += 1;
    } else if (byte === closeBracket || byte === closeBrace) depth -= 1;
    if (depth > deepest) throw new PayloadError(`JSON nested deeper than ${deepest}`);
    if (values > mostValues) throw new PayloadError(`JSON of more than ${mostValues} values`);
  }
}

/** Throws `PayloadError` when a member at any depth is a wrapped value. */
export function checkPlain(value: JsonValue): void {
  checkMembers(value, noMembers);
}

/** A walk with its own stack. */
function checkMembers(root: JsonValue, allowed: ReadonlySet<string>): void {
  const open: JsonValue[] = [root];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (typeof value !== 'object' || value === null) continue;
    if (Array.isArray(value)) {
      for (const member of value) if (isContainer(member)) open.push(member);
      continue;
    }
    const object = value as JsonObject;
    for (const key of Object.keys(object)) {
      checkMember(key, allowed);
      const member = object[key];
      if (isContainer(member)) open.push(member);
    }
  }
}

/** Nothing else can hold a member. */
function isContainer(value: JsonValue | undefined): value is JsonObject | readonly JsonValue[] {
  return typeof value === 'object' && value !== null;
}

function checkMember(key: string, allowed: ReadonlySet<string>): void {
  if (!key.startsWith('__') || !magic.test(key) || allowed.has(key)) return;
  throw new PayloadError(`the member ${JSON.stringify(key.slice(0, 64))} is not allowed here`);
}
