/**
 * What the sidecar remembers between cycles and across restarts: the trust it reached, the list in
 * use, what it tried. One JSON document in a two-generation file, written only after every check
 * has passed; a document that does not parse is damage (E701), never an empty memory.
 */
import type { StoredRoot } from '../applier/memory.ts';
import { decodeBase64Url, encodeBase64Url, encodeUtf8 } from '../bytes.ts';
import { HostError } from '../errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../guards.ts';
import type { Position } from '../list/model.ts';
import type { PollReceipt } from '../list/receipt.ts';
import { parseToken } from '../list/token.ts';

/** A list that passed every check on this host, with what it needs to pass them again. */
export interface AcceptedList {
  readonly envelope: Uint8Array;
  /** `sha256:` tag of its payload. */
  readonly hash: string;
  readonly position: Position;
  /** The root under which it was accepted; a later one may have revoked its keys. */
  readonly root: StoredRoot;
  /** The freshness proof that came with it. */
  readonly receipt?: PollReceipt;
  readonly acceptedAtMs: number;
}

/** One order given to the applier; `begun` when this process never heard how it ended. */
export interface Attempt {
  readonly kind: 'write' | 'move';
  readonly to: string;
  readonly atMs: number;
  readonly outcome: 'begun' | 'done' | 'failed';
}

/** What the applier refused or held, and until when it is not asked again. */
export interface Held {
  readonly key: string;
  readonly untilMs: number;
  /** When it was answered so. */
  readonly atMs?: number;
  readonly why: string;
  /** Reason name of the applier's answer, where it had one. */
  readonly reason?: string;
}

export interface Memory {
  /** The join token, verbatim: organisation, group, site, first publishers. */
  readonly token: string;
  /** `sha256:` tag of the payload of `roots[0]`; it once came from a token. */
  readonly rootPin: string;
  /** Root envelopes in unbroken order, newest last, at most `maxRoots`. */
  readonly roots: readonly Uint8Array[];
  /** The list in use. */
  readonly list?: AcceptedList;
  /** The newest accepted list while its rollout has not reached this host. */
  readonly pending?: AcceptedList;
  /** No earlier instant is believed, whatever the clock says. */
  readonly floorMs: number;
  /** When a receipt last proved that the list is the newest. */
  readonly freshAtMs?: number;
  /** Polls in a row without proof of freshness. */
  readonly stalePolls: number;
  /** When the last of them was counted: quick retries are one poll. */
  readonly staleAtMs?: number;
  /** URL of the publisher that served us last. */
  readonly lastPublisher?: string;
  /** The manager the agent was last seen connected to. */
  readonly lastManager?: string;
  /** Newest last, at most `maxAttempts`. */
  readonly attempts: readonly Attempt[];
  readonly held?: Held;
  /** The same of a write that is for tuning alone. */
  readonly heldTuning?: Held;
}

/** Port: `host/two-generation-file.ts` has this shape. */
export interface MemoryFile {
  /** Undefined before the first write; throws HostError `state_unreadable` when all is damaged. */
  read(): Promise<Uint8Array | undefined>;
  write(bytes: Uint8Array): Promise<void>;
}

export const maxAttempts = 16;
export const maxRoots = 64;

export function newMemory(
  token: string,
  root: { readonly envelope: Uint8Array; readonly pin: string },
  floorMs: number,
): Memory {
  const { envelope, pin } = root;
  return { token, rootPin: pin, roots: [envelope], floorMs, stalePolls: 0, attempts: [] };
}

/** Undefined when this host never joined. Throws HostError `state_unreadable`. */
export async function readMemory(file: MemoryFile): Promise<Memory | undefined> {
  const bytes = await file.read();
  return bytes === undefined ? undefined : parseMemory(bytes);
}

export function encodeMemory(memory: Memory): Uint8Array {
  const { list, pending } = memory;
  const document = {
    ...memory,
    spec: 1,
    roots: memory.roots.map(encodeBase64Url),
    ...(list === undefined ? {} : { list: encodeList(list) }),
    ...(pending === undefined ? {} : { pending: encodeList(pending) }),
  };
  return encodeUtf8(JSON.stringify(document));
}

function encodeList(list: AcceptedList): object {
  const root = { envelope: encodeBase64Url(list.root.envelope), hash: list.root.hash };
  return { ...list, envelope: encodeBase64Url(list.envelope), root };
}

export function parseMemory(bytes: Uint8Array): Memory {
  try {
    return readDocument(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch (error) {
    const seen = "the sidecar's state is not one of ours";
    throw new HostError('state_unreadable', seen, { cause: error });
  }
}

function readDocument(value: unknown): Memory {
  const document = object(value);
  if (document.spec !== 1) throw new TypeError('unknown spec');
  const token = text(document.token);
  parseToken(token);
  const { list, pending, freshAtMs, staleAtMs, lastPublisher, lastManager } = document;
  const { held, heldTuning } = document;
  return {
    token,
    rootPin: text(document.rootPin),
    roots: array(document.roots).map(base64),
    ...(list === undefined ? {} : { list: readList(object(list)) }),
    ...(pending === undefined ? {} : { pending: readList(object(pending)) }),
    floorMs: number(document.floorMs),
    ...(freshAtMs === undefined ? {} : { freshAtMs: number(freshAtMs) }),
    stalePolls: number(document.stalePolls),
    ...(staleAtMs === undefined ? {} : { staleAtMs: number(staleAtMs) }),
    ...(lastPublisher === undefined ? {} : { lastPublisher: text(lastPublisher) }),
    ...(lastManager === undefined ? {} : { lastManager: text(lastManager) }),
    attempts: array(document.attempts).map(readAttempt),
    ...(held === undefined ? {} : { held: readHeld(object(held)) }),
    ...(heldTuning === undefined ? {} : { heldTuning: readHeld(object(heldTuning)) }),
  };
}

function readList(list: JsonObject): AcceptedList {
  const { epoch, term, version } = object(list.position);
  const root = object(list.root);
  const { receipt } = list;
  return {
    envelope: base64(list.envelope),
    hash: text(list.hash),
    position: { epoch: number(epoch), term: number(term), version: number(version) },
    root: { envelope: base64(root.envelope), hash: text(root.hash) },
    ...(receipt === undefined ? {} : { receipt: readReceipt(object(receipt)) }),
    acceptedAtMs: number(list.acceptedAtMs),
  };
}

function readReceipt({ compact, nonce }: JsonObject): PollReceipt {
  return { compact: text(compact), nonce: text(nonce) };
}

function readAttempt(value: JsonValue): Attempt {
  const { kind, to, atMs, outcome } = object(value);
  return {
    kind: kind === 'move' ? 'move' : 'write',
    to: text(to),
    atMs: number(atMs),
    outcome: outcome === 'done' || outcome === 'failed' ? outcome : 'begun',
  };
}

function readHeld({ key, untilMs, atMs, why, reason }: JsonObject): Held {
  return {
    key: text(key),
    untilMs: number(untilMs),
    ...(atMs === undefined ? {} : { atMs: number(atMs) }),
    why: text(why),
    ...(reason === undefined ? {} : { reason: text(reason) }),
  };
}

function object(value: unknown): JsonObject {
  if (isJsonObject(value)) return value;
  throw new TypeError('an object is missing');
}

function array(value: JsonValue | undefined): readonly JsonValue[] {
  if (Array.isArray(value)) return value;
  throw new TypeError('a list is missing');
}

function text(value: JsonValue | undefined): string {
  if (typeof value === 'string') return value;
  throw new TypeError('a string is missing');
}

function number(value: JsonValue | undefined): number {
  if (typeof value === 'number') return value;
  throw new TypeError('a number is missing');
}

function base64(value: JsonValue | undefined): Uint8Array {
  const bytes = decodeBase64Url(text(value));
  if (bytes !== undefined) return bytes;
  throw new TypeError('base64url is missing');
}
