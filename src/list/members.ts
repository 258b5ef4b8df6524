/**
 * The vocabulary of document members: what each may hold, and how a refusal reads. A member that
 * we do not know is refused; `x-` members are ignored (the signature covers them all the same).
 */
import * as z from 'zod';
import { encodeUtf8 } from '../bytes.ts';
import { ListError, type ReasonName } from '../errors.ts';
import { isJsonObject, type JsonValue } from '../guards.ts';
import { addressGrammar, parseAddress } from './address.ts';

/** A schema for an object with exactly these members; `x-` ones that are not named here are dropped. */
export function members<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const isKept = (name: string): boolean => !name.startsWith('x-') || Object.hasOwn(shape, name);
  const dropExtensions = (value: unknown): unknown =>
    isJsonObject(value)
      ? Object.fromEntries(Object.entries(value).filter(([name]) => isKept(name)))
      : value;
  return z.preprocess(dropExtensions, z.strictObject(shape, { error: 'an object' }));
}

export function integer(min: number, max: number) {
  const allowed = `a whole number from ${min} to ${max}`;
  return z.int({ error: allowed }).min(min, allowed).max(max, allowed);
}

export function pattern(shape: RegExp, allowed: string) {
  return z.string({ error: allowed }).regex(shape, allowed);
}

export function list<Item extends z.ZodType>(item: Item, min: number, max: number) {
  const allowed = `a list of ${min} to ${max}`;
  return z.array(item, { error: allowed }).min(min, allowed).max(max, allowed);
}

export const counter = integer(0, Number.MAX_SAFE_INTEGER);
export const percent = integer(0, 100);
export const port = integer(1, 65_535);
export const identifier = pattern(/^[A-Za-z0-9_-]{1,64}$/, '1 to 64 of A-Z a-z 0-9 _ -');
export const scope = pattern(/^(?:\*|[A-Za-z0-9_-]{1,64})$/, '* or 1 to 64 of A-Z a-z 0-9 _ -');
export const keyId = pattern(/^[A-Za-z0-9_-]{43}$/, 'an RFC 7638 thumbprint');
export const hashTag = pattern(/^sha256:[0-9a-f]{64}$/, 'sha256: and 64 hexadecimal digits');
export const keyPin = pattern(
  /^sha256\/[A-Za-z0-9+/]{43}=$/,
  'sha256/ and 44 characters of base64',
);
export const protocol = z.enum(['tcp', 'udp'], { error: '"tcp" or "udp"' });
export const address = z
  .string({ error: addressGrammar })
  .refine((text) => parseAddress(text) !== undefined, addressGrammar);

const instantShape = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{3})?Z$/;
const instantGrammar = 'a time like 2026-11-01T00:00:00Z';
/** RFC 3339 in UTC, to milliseconds since the Unix epoch. */
export const instant = pattern(instantShape, instantGrammar)
  .refine((text) => isInstant(text), instantGrammar)
  .transform((text) => Date.parse(text));

/** False for a 30 February, which `Date` would call 2 March. */
function isInstant(text: string): boolean {
  const atMs = Date.parse(text);
  return atMs >= 0 && new Date(atMs).toISOString().startsWith(text.slice(0, 19));
}

/** The inverse of `instant`. */
export function renderInstant(atMs: number): string {
  return new Date(atMs).toISOString().replace('.000Z', 'Z');
}

const urlGrammar = 'https://HOST or https://HOST:PORT and nothing after it';
/** Where a publisher serves; nothing that could send a client elsewhere (user, path, query). */
export const publisherUrl = z
  .string({ error: urlGrammar })
  .refine((text) => isPublisherUrl(text), urlGrammar);

function isPublisherUrl(text: string): boolean {
  const shape = /^https:\/\/(?:\[([0-9a-f:]+)\]|([A-Za-z0-9.-]+))(?::([1-9][0-9]{0,4}))?$/;
  const [, inBrackets, plain, portText = '443'] = shape.exec(text) ?? [];
  return parseAddress(inBrackets ?? plain ?? '') !== undefined && Number(portText) <= 65_535;
}

/**
 * `value` as the schema types it.
 * @throws ListError with `reason`; the message names the member, what was seen, what is allowed
 */
export function parseMembers<Schema extends z.ZodType>(
  schema: Schema,
  value: JsonValue,
  rules: { readonly what: string; readonly reason: ReasonName },
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const text = issue === undefined ? 'not readable' : describe(issue, value);
  throw new ListError(rules.reason, `${rules.what}: ${text}`);
}

function describe(issue: z.core.$ZodIssue, document: JsonValue): string {
  const where = renderPath(issue.path);
  if (issue.code === 'unrecognized_keys') {
    const unknown = issue.keys.map((name) => JSON.stringify(name).slice(0, 60)).slice(0, 3);
    return `${where} has the unknown member ${unknown.join(', ')}`;
  }
  const seen = valueAt(document, issue.path);
  if (seen === undefined) return `${where} is missing; allowed: ${issue.message}`;
  return `${where} is ${JSON.stringify(seen).slice(0, 60)}; allowed: ${issue.message}`;
}

/** `managers[2].port` */
function renderPath(path: readonly PropertyKey[]): string {
  const text = path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`))
    .join('');
  return text === '' ? 'the document' : text.replace(/^\./, '');
}

function valueAt(document: JsonValue, path: readonly PropertyKey[]): unknown {
  let value: unknown = document;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step))
      return undefined;
    value = Reflect.get(value, step);
  }
  return value;
}

/** A copy without the members that are undefined; `exactOptionalPropertyTypes` wants them absent. */
export function present<Value extends object>(value: Value): Present<Value> {
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(entries) as Present<Value>;
}

type Present<Value> = { [Name in keyof Value]: Exclude<Value[Name], undefined> };

/** A typed document as payload bytes: compact JSON, members in the order given. */
export function renderPayload(members: object): Uint8Array {
  return encodeUtf8(JSON.stringify(members));
}
