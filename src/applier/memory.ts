/**
 * What the applier remembers between runs, in its own root-owned state: the trust it reached, what
 * it wrote, what it spent, and a move it may have been killed in. JSON inside a two-generation
 * file; a document that does not parse is damage (E701), never an empty memory.
 */
import { decodeBase64Url, encodeBase64Url, encodeUtf8 } from '../bytes.ts';
import { HostError } from '../errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../guards.ts';
import type { Audience, Position } from '../list/model.ts';
import type { Restart } from './budget.ts';
import type { FileOwner } from './config-file.ts';
import { type ForeignMemory, nothingForeign } from './foreign.ts';
import type { WrittenServer } from './result.ts';

/** A proven root as bytes, with the hash under which it is read again. */
export interface StoredRoot {
  readonly envelope: Uint8Array;
  /** `sha256:` tag of its payload. */
  readonly hash: string;
}

/** The last good list, with the root under which it was accepted. */
export interface StoredList {
  readonly envelope: Uint8Array;
  readonly position: Position;
  /** `sha256:` tag of its payload. */
  readonly hash: string;
  readonly root: StoredRoot;
}

/** How far this host's trust has come; verification never accepts less. */
export interface TrustMemory {
  readonly org: string;
  /** The newest proven root. */
  readonly root: StoredRoot;
  readonly known?: StoredList;
  /** No earlier instant is believed. */
  readonly floorMs: number;
}

export interface BadChoice {
  /** Hash of list and order. */
  readonly key: string;
  readonly untilMs: number;
}

export interface Written {
  readonly servers: readonly WrittenServer[];
  /** `sha256:` tag of the whole file. */
  readonly hash: string;
}

/** What a write under way would leave. */
export interface Intended extends Written {
  /** An operator puts it back: nobody goes behind it, even once his hold is over. */
  readonly byOperator?: true;
  /** It was tried and failed; what stood there before is being put back. */
  readonly isBad?: true;
}

export interface ApplierMemory {
  readonly trust: TrustMemory;
  /** Group and site of the token that this host joined with. */
  readonly audience?: Audience;
  /** Server entries as we left them, or as we met them when we began to write. */
  readonly written?: Written;
  /** After a kill in the middle of a write either may be in the file. */
  readonly intended?: Intended;
  readonly restarts: readonly Restart[];
  readonly foreign: ForeignMemory;
  readonly badChoices: readonly BadChoice[];
  /** A move was under way: an agent found stopped was stopped by us. */
  readonly unfinishedSinceMs?: number;
  /** Owner and mode of the file when we last wrote it. */
  readonly owner?: FileOwner;
  /** An operator restored the file: lists up to this position are not written until told so. */
  readonly restoredAt?: Position;
}

/** Port: where the memory lives; `host/two-generation-file.ts` has this shape. */
export interface MemoryFile {
  read(): Promise<Uint8Array | undefined>;
  write(bytes: Uint8Array): Promise<void>;
}

export function newMemory(trust: TrustMemory): ApplierMemory {
  return { trust, restarts: [], foreign: nothingForeign, badChoices: [] };
}

/** Throws HostError `not_joined` before the first join, `state_unreadable` when damaged. */
export async function readMemory(file: MemoryFile): Promise<ApplierMemory> {
  const bytes = await file.read();
  if (bytes === undefined)
    throw new HostError('not_joined', 'the applier has no root of trust yet');
  return parseMemory(bytes);
}

export function encodeMemory(memory: ApplierMemory): Uint8Array {
  const { root, known, ...trust } = memory.trust;
  const { restoredAt } = memory;
  const document = {
    ...memory,
    spec: 1,
    ...(restoredAt === undefined ? {} : { restoredAt: encodePosition(restoredAt) }),
    trust: {
      ...trust,
      root: encodeRoot(root),
      ...(known === undefined ? {} : { known: encodeList(known) }),
    },
  };
  return encodeUtf8(JSON.stringify(document));
}

function encodeRoot({ envelope, hash }: StoredRoot): JsonObject {
  return { envelope: encodeBase64Url(envelope), hash };
}

function encodeList({ envelope, position, hash, root }: StoredList): JsonObject {
  return {
    envelope: encodeBase64Url(envelope),
    position: encodePosition(position),
    hash,
    root: encodeRoot(root),
  };
}

/** A whole list may pass for its position: only these three are kept. */
function encodePosition({ epoch, term, version }: Position): JsonObject {
  return { epoch, term, version };
}

export function parseMemory(bytes: Uint8Array): ApplierMemory {
  try {
    return readDocument(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch (error) {
    const seen = "the applier's state is not one of ours";
    throw new HostError('state_unreadable', seen, { cause: error });
  }
}

function readDocument(value: unknown): ApplierMemory {
  const document = object(value);
  if (document.spec !== 1) throw new TypeError('unknown spec');
  const { audience, written, intended, unfinishedSinceMs, owner, restoredAt } = document;
  return {
    trust: readTrust(object(document.trust)),
    ...(audience === undefined ? {} : { audience: readAudience(object(audience)) }),
    ...(written === undefined ? {} : { written: readWritten(object(written)) }),
    ...(intended === undefined ? {} : { intended: readIntended(object(intended)) }),
    restarts: list(document.restarts).map(readRestart),
    foreign: readForeign(object(document.foreign)),
    badChoices: list(document.badChoices).map((one) => ({
      key: string(object(one).key),
      untilMs: number(object(one).untilMs),
    })),
    ...(unfinishedSinceMs === undefined ? {} : { unfinishedSinceMs: number(unfinishedSinceMs) }),
    ...(owner === undefined ? {} : { owner: readOwner(object(owner)) }),
    ...(restoredAt === undefined ? {} : { restoredAt: readPosition(object(restoredAt)) }),
  };
}

function readAudience({ group, site }: JsonObject): Audience {
  return { group: string(group), site: string(site) };
}

function readOwner({ uid, gid, mode }: JsonObject): FileOwner {
  return { uid: number(uid), gid: number(gid), mode: number(mode) };
}

function readTrust(trust: JsonObject): TrustMemory {
  const { known } = trust;
  return {
    org: string(trust.org),
    root: readRoot(object(trust.root)),
    ...(known === undefined ? {} : { known: readList(object(known)) }),
    floorMs: number(trust.floorMs),
  };
}

function readRoot(root: JsonObject): StoredRoot {
  return { envelope: base64(root.envelope), hash: string(root.hash) };
}

function readList(stored: JsonObject): StoredList {
  return {
    envelope: base64(stored.envelope),
    position: readPosition(object(stored.position)),
    hash: string(stored.hash),
    root: readRoot(object(stored.root)),
  };
}

function readPosition(position: JsonObject): Position {
  const { epoch, term, version } = position;
  return { epoch: number(epoch), term: number(term), version: number(version) };
}

function readWritten(written: JsonObject): Written {
  return { servers: list(written.servers).map(readServer), hash: string(written.hash) };
}

function readIntended(intended: JsonObject): Intended {
  const { byOperator, isBad } = intended;
  return {
    ...readWritten(intended),
    ...(byOperator === true ? { byOperator } : {}),
    ...(isBad === true ? { isBad } : {}),
  };
}

function readServer(value: JsonValue): WrittenServer {
  const { address, port } = object(value);
  return { address: string(address), port: number(port) };
}

function readRestart(value: JsonValue): Restart {
  const { atMs, kind, blindMs, urgent } = object(value);
  return {
    atMs: number(atMs),
    kind: kind === 'agentd' ? 'agentd' : 'service',
    blindMs: number(blindMs),
    ...(urgent === true ? { urgent } : {}),
  };
}

function readForeign(foreign: JsonObject): ForeignMemory {
  const { accepted } = foreign;
  return {
    revertsAtMs: list(foreign.revertsAtMs).map(number),
    ...(accepted === undefined ? {} : { accepted: list(accepted).map(readServer) }),
  };
}

function object(value: unknown): JsonObject {
  if (isJsonObject(value)) return value;
  throw new TypeError('an object is missing');
}

function list(value: JsonValue | undefined): readonly JsonValue[] {
  if (Array.isArray(value)) return value;
  throw new TypeError('a list is missing');
}

function string(value: JsonValue | undefined): string {
  if (typeof value === 'string') return value;
  throw new TypeError('a string is missing');
}

function number(value: JsonValue | undefined): number {
  if (typeof value === 'number') return value;
  throw new TypeError('a number is missing');
}

function base64(value: JsonValue | undefined): Uint8Array {
  const bytes = decodeBase64Url(string(value));
  if (bytes !== undefined) return bytes;
  throw new TypeError('base64url is missing');
}
