/**
 * What one node has, and what another must change: the JSON that travels as `files_metadata.json`
 * (cluster-protocol.md 3.4.3 and 5.2). Names are checked here, at decode, in every branch.
 */
import { createHash } from 'node:crypto';
import { isJsonObject, type JsonObject, type JsonValue } from '../../guards.ts';
import { parsePlainObject } from '../wire/plain-json.ts';
import { pythonJson } from '../wire/python-json.ts';
import { type FileName, faultOfName, isFileName, keysName } from './name.ts';
import { FileRefusal, shown } from './refusal.ts';

export interface Entry {
  /** Seconds since the epoch; only the node that wrote it compares it. */
  readonly modTime: number;
  readonly itemKey: string;
  /** BLAKE2b-512 of the content, 128 lower-case hex digits; stock leaves it out of merged blobs. */
  readonly hash: string | undefined;
  /** Set: the content is a merged blob of the type (stock sets it for any `*.merged` too). */
  readonly merge: MergeMark | undefined;
}

export interface MergeMark {
  readonly type: string;
  readonly name: string | undefined;
}

export type Manifest = ReadonlyMap<FileName, Entry>;

/** What a worker must do to equal the master. */
export interface Changes {
  readonly missing: Manifest;
  readonly extra: Manifest;
  readonly shared: Manifest;
  /** Of the worker's own files: what the master lacks and wants. Between our own nodes only. */
  readonly wanted?: readonly FileName[];
}

/** The same by name where the files are our own: whoever packs them knows the rest. */
export interface Order {
  readonly missing: readonly FileName[];
  readonly extra: Manifest;
  readonly shared: readonly FileName[];
  readonly wanted?: readonly FileName[];
}

export interface Decoded<Value> {
  readonly value: Value;
  /** Entries that were left out, with the reason; at most `mostProblems`. */
  readonly problems: readonly string[];
}

const mostProblems = 100;
const mostWanted = 10_000;
/** Half a million files of five values; more could cost the thread all the memory it may have. */
const mostValues = 2_600_000;
/** Hashed at once: a call costs as much as hashing some hundred. */
const pieceCharacters = 16_384;
const hexForm = /^[0-9a-f]+$/;

export const noChanges: Changes = { missing: new Map(), extra: new Map(), shared: new Map() };

export const noOrder: Order = { missing: [], extra: new Map(), shared: [] };

export function orderOf({ missing, extra, shared }: Changes): Order {
  return { missing: [...missing.keys()], extra, shared: [...shared.keys()] };
}

/** What is no longer in `own` is left out: it is gone since the order was made. */
export function changesOf(order: Order, own: Manifest): Changes {
  const { missing, shared } = order;
  return { ...order, missing: pick(own, missing), shared: pick(own, shared) };
}

function pick(manifest: Manifest, names: readonly FileName[]): Manifest {
  const picked = new Map<FileName, Entry>();
  for (const name of names) {
    const entry = manifest.get(name);
    if (entry !== undefined) picked.set(name, entry);
  }
  return picked;
}

/** How many files there are of each item kind. */
export function countByItem(manifest: Manifest): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { itemKey } of manifest.values()) counts.set(itemKey, (counts.get(itemKey) ?? 0) + 1);
  return counts;
}

/** SHA-256 in hex of what is compared between two nodes: every name with its hash. */
export function digestOf(manifest: Manifest): string {
  const lines = [...manifest].map(([name, { hash }]) => `${name}\0${hash ?? ''}\n`);
  return createHash('sha256').update(lines.sort().join('')).digest('hex');
}

export function isSameManifest(left: Manifest, right: Manifest): boolean {
  if (left.size !== right.size) return false;
  for (const [name, entry] of right) {
    const other = left.get(name);
    if (other?.hash !== entry.hash || other?.modTime !== entry.modTime) return false;
  }
  return true;
}

/** Of what is to be sent, the keys left out: they have a bundle of their own. */
export function contentOf({ missing, shared }: Changes): string {
  const hash = createHash('sha256');
  let piece = '';
  for (const group of [missing, shared]) {
    for (const [name, entry] of group) {
      if (name !== keysName) piece += `${name}\0${entry.hash}\n`;
      if (piece.length < pieceCharacters) continue;
      hash.update(piece);
      piece = '';
    }
  }
  return hash.update(piece).digest('hex');
}

export function keysHashOf(manifest: Manifest): string | undefined {
  return manifest.get(keysName)?.hash;
}

/** Pieces of the JSON, a few KiB each; together one object, in the spacing stock writes. */
export function* encodeManifest(manifest: Manifest): Generator<string> {
  yield '{';
  let piece = '';
  let separator = '';
  for (const [name, entry] of manifest) {
    piece += `${separator}${pythonJson(name)}: ${entryText(entry)}`;
    separator = ', ';
    if (piece.length < 16_384) continue;
    yield piece;
    piece = '';
  }
  yield `${piece}}`;
}

/** Exactly the three members of 4.14; a fourth only where something is wanted of a worker. */
export function* encodeChanges(changes: Changes): Generator<string> {
  yield '{"missing": ';
  yield* encodeManifest(changes.missing);
  yield ', "extra": ';
  yield* encodeManifest(changes.extra);
  yield ', "shared": ';
  yield* encodeManifest(changes.shared);
  const { wanted = [] } = changes;
  if (wanted.length > 0) yield `, "extra_valid": [${wanted.map(pythonJson).join(', ')}]`;
  yield '}';
}

function entryText({ modTime, itemKey, hash, merge }: Entry): string {
  const head = `{"mod_time": ${floatText(modTime)}, "cluster_item_key": ${pythonJson(itemKey)}`;
  const tail = hash === undefined ? '}' : `, "hash": "${hash}"}`;
  if (merge === undefined) return `${head}, "merged": false${tail}`;
  const name = merge.name === undefined ? '' : `, "merge_name": ${pythonJson(merge.name)}`;
  return `${head}, "merged": true, "merge_type": ${pythonJson(merge.type)}${name}${tail}`;
}

/** A Python float keeps its point. */
function floatText(value: number): string {
  return Number.isInteger(value) && Math.abs(value) < 1e16 ? `${value}.0` : pythonJson(value);
}

/** Throws `FileRefusal` where the whole is no manifest; single bad entries are left out. */
export function decodeManifest(bytes: Uint8Array): Decoded<Manifest> {
  const problems = new Problems();
  return { value: manifestOf(parseObject(bytes), problems), problems: problems.list };
}

/** Throws `FileRefusal` 3036 for anything but the three groups (others are ignored). */
export function decodeChanges(bytes: Uint8Array): Decoded<Changes> {
  const problems = new Problems();
  const { missing, extra, shared, extra_valid: wanted } = parseObject(bytes);
  const value = {
    missing: groupOf('missing', missing, problems),
    extra: groupOf('extra', extra, problems),
    shared: groupOf('shared', shared, problems),
    wanted: namesOf(wanted),
  };
  return { value, problems: problems.list };
}

function groupOf(group: string, value: JsonValue | undefined, problems: Problems): Manifest {
  if (!isJsonObject(value)) throw new FileRefusal(3036, `the metadata has no group '${group}'`);
  return manifestOf(value, problems);
}

function namesOf(value: JsonValue | undefined): readonly FileName[] {
  if (!Array.isArray(value)) return [];
  const texts = value.slice(0, mostWanted).filter((one) => typeof one === 'string');
  return texts.filter(isFileName);
}

function parseObject(bytes: Uint8Array): JsonObject {
  try {
    return parsePlainObject(bytes, undefined, mostValues);
  } catch (error) {
    throw new FileRefusal(3036, 'the metadata is not a JSON object', { cause: error });
  }
}

function manifestOf(object: JsonObject, problems: Problems): Manifest {
  const manifest = new Map<FileName, Entry>();
  for (const [name, value] of Object.entries(object)) {
    const entry = entryOf(value);
    if (!isFileName(name)) problems.add(name, faultOfName(name) ?? '');
    else if (entry === undefined) problems.add(name, 'its metadata is not understood');
    else manifest.set(name, entry);
  }
  return manifest;
}

function entryOf(value: JsonValue): Entry | undefined {
  if (!isJsonObject(value)) return undefined;
  const { mod_time: modTime, cluster_item_key: itemKey, merged, hash } = value;
  const isMerged = merged === true;
  if (typeof itemKey !== 'string' || itemKey.length > 4096) return undefined;
  if (hash === undefined ? !isMerged : !isHash(hash)) return undefined;
  const type = value.merge_type ?? value['merge-type'] ?? 'TYPE';
  const name = value.merge_name;
  return {
    modTime: typeof modTime === 'number' ? modTime : 0,
    itemKey,
    hash: typeof hash === 'string' ? hash : undefined,
    merge: isMerged ? { type: textOf(type) ?? '', name: textOf(name) } : undefined,
  };
}

/** BLAKE2b-512 in lower-case hex. */
export function isHash(value: unknown): value is string {
  return typeof value === 'string' && value.length === 128 && hexForm.test(value);
}

function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' && value.length <= 4096 ? value : undefined;
}

/** The first few reasons, whatever a peer sends. */
class Problems {
  readonly list: string[] = [];

  add(name: string, reason: string): void {
    if (this.list.length < mostProblems) this.list.push(`${shown(name)}: ${reason}`);
  }
}
