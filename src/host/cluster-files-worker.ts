/** The thread for files: keeps the last scan and its hashes, does one job after the other. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { applyChanges } from '../cluster/files/apply.ts';
import { findItem } from '../cluster/files/catalogue.ts';
import { compareManifests } from '../cluster/files/compare.ts';
import { HashCache } from '../cluster/files/hash-cache.ts';
import type {
  ApplyReport,
  CheckReport,
  FilesSettings,
  ScanReport,
  SealOrder,
  Unpacked,
} from '../cluster/files/jobs.ts';
import {
  type Changes,
  changesOf,
  contentOf,
  countByItem,
  type Decoded,
  decodeChanges,
  decodeManifest,
  digestOf,
  type Entry,
  encodeManifest,
  isSameManifest,
  keysHashOf,
  type Manifest,
  noChanges,
  noOrder,
  orderOf,
} from '../cluster/files/manifest.ts';
import type { MemberSink } from '../cluster/files/member-count.ts';
import type { FileName } from '../cluster/files/name.ts';
import { ownForm, unpackOwn } from '../cluster/files/own-form.ts';
import {
  chunked,
  endEarly,
  type Packed,
  type PackLimits,
  packChanges,
  packFiles,
  packMetadata,
} from '../cluster/files/pack.ts';
import type { Origin } from '../cluster/files/place.ts';
import { listedIn, mustNotContradict, summaryOf } from '../cluster/files/received.ts';
import { FileRefusal } from '../cluster/files/refusal.ts';
import { squeeze, squeezedBytes, unsqueezed } from '../cluster/files/squeeze.ts';
import { unpackBundle } from '../cluster/files/unpack.ts';
import { scanFiles } from '../cluster/files/walk.ts';
import { createSeal, type Seal } from '../cluster/wire/seal.ts';
import { HostError } from '../errors.ts';
import { bundleSource } from './cluster-files-bundle.ts';
import { StagingFolder } from './cluster-files-folder.ts';
import type { ApplyAsk, Chunk, SealedPart, UnpackAsk } from './cluster-files-messages.ts';
import { Packs } from './cluster-files-packs.ts';
import { ClusterHomeReader, packSource, realHome } from './cluster-files-read.ts';
import { ClusterStaging } from './cluster-files-staging.ts';
import { droppedMember, ToldMembers } from './cluster-files-told.ts';
import { ClusterHomeWriter } from './cluster-files-write.ts';

const chunkBytes = 1024 * 1024;
/** What one of our own nodes is sent at once: a link that breaks loses this at most, or one file. */
const shareBytes = 128 * 1024 * 1024;

interface Pending {
  readonly staging: ClusterStaging;
  readonly changes: Changes;
  readonly origin: Origin;
}

interface ReadBundle {
  readonly metadata: Buffer;
  /** Of a bundle of our own form. */
  readonly told: ToldMembers | undefined;
}

export class FilesWorker {
  readonly #settings: FilesSettings;
  readonly #home: string;
  readonly #reader: ClusterHomeReader;
  readonly #cache: HashCache;
  readonly #packs = new Packs();
  readonly #seal: Seal;
  readonly #pending = new Map<number, Pending>();
  #manifest: Manifest | undefined;
  #digest: string | undefined;
  /** What the scan of `#manifest` could not read. */
  #blind: readonly string[] = [];
  /** What all files together are called, of the generation that was asked for last. */
  #all: { readonly generation: number; readonly content: string } | undefined;
  #generation: number;
  #lastId = 0;

  constructor(settings: FilesSettings, generation: number) {
    this.#settings = settings;
    this.#home = realHome(settings.home);
    this.#reader = new ClusterHomeReader(this.#home);
    this.#cache = readCache(settings.hashCachePath);
    this.#seal = createSeal(settings.clusterKey);
    this.#generation = generation;
  }

  scan(): ScanReport {
    const { catalogue, hashCachePath } = this.#settings;
    const before = this.#manifest;
    const request = { catalogue, tree: this.#reader, cache: this.#cache, before };
    const scan = scanFiles({ ...request, nowMs: Date.now() });
    this.#reader.release();
    if (before === undefined || !isSameManifest(before, scan.manifest)) {
      this.#generation += 1;
      this.#digest = digestOf(scan.manifest);
    }
    this.#manifest = scan.manifest;
    this.#blind = scan.blind;
    if (scan.hashedFiles > 0) writeCache(hashCachePath, this.#cache);
    return {
      generation: this.#generation,
      files: scan.manifest.size,
      present: countByItem(scan.manifest),
      blind: scan.blind,
      problems: scan.problems,
      hashedFiles: scan.hashedFiles,
      digest: scan.blind.length === 0 ? this.#digest : undefined,
      keysHash: keysHashOf(scan.manifest),
    };
  }

  hashes(itemKeys: readonly string[]): Readonly<Record<string, string>> {
    const wanted = [...(this.#manifest ?? [])].filter(([, entry]) =>
      itemKeys.includes(entry.itemKey),
    );
    return Object.fromEntries(wanted.map(([name, { hash }]) => [name, hash ?? '']));
  }

  startManifest(): number {
    const { compressLevel: level } = this.#settings;
    const pieces = packMetadata(encodeManifest(this.#scanned()), { level });
    return this.#packs.start(chunked(nothingPacked(pieces), chunkBytes));
  }

  startSealed({ order, zipBytes, isOwn, path, descriptor }: SealOrder): number {
    const changes = changesOf(order, this.#scanned());
    const { compressLevel: level } = this.#settings;
    const limits: PackLimits = {
      zipBytes,
      level,
      ...(isOwn ? { form: ownForm(), shareBytes } : {}),
    };
    const source = packSource(this.#reader, this.#cache);
    const block = new Uint8Array(isOwn ? squeezedBytes : chunkBytes);
    const pieces = chunked(packChanges(changes, source, limits), block.length, block);
    const messages = isOwn ? squeeze(pieces) : alone(pieces);
    return this.#packs.startSealed(messages, this.#seal, { path, descriptor });
  }

  /** Only what both the scan and our own catalogue say may be sent to a master. */
  startFiles(names: readonly FileName[]): number {
    const { catalogue, compressLevel: level, unpackLimits } = this.#settings;
    const own = this.#scanned();
    const may = ({ itemKey }: Entry): boolean => findItem(catalogue, itemKey)?.extraValid === true;
    const wanted = [...changesOf({ ...noOrder, missing: names }, own).missing];
    const allowed = new Map(wanted.filter(([, entry]) => may(entry)));
    const limits: PackLimits = { zipBytes: unpackLimits.totalBytes, level };
    return this.#packs.start(
      chunked(packFiles(allowed, packSource(this.#reader), limits), chunkBytes),
    );
  }

  nextChunk(id: number): Chunk {
    try {
      return this.#packs.next(id);
    } finally {
      this.#reader.release();
    }
  }

  nextSealed(id: number): SealedPart {
    try {
      return this.#packs.nextSealed(id);
    } finally {
      this.#reader.release();
    }
  }

  stopPack(id: number): null {
    this.#packs.stop(id);
    return null;
  }

  async check(bundlePath: string): Promise<CheckReport> {
    const good = this.#scanned();
    const [generation, blind] = [this.#generation, this.#blind];
    const { metadata } = await this.#read(bundlePath, 'worker', undefined);
    const { value, problems } = decodeManifest(metadata);
    const compared = compareManifests(good, value, this.#settings.catalogue);
    const unknown = compared.unknown.slice(0, 20).map((name) => `${name}: of no known item kind`);
    return {
      generation,
      blind,
      content: this.#contentOf(compared.changes, good, generation),
      order: orderOf(compared.changes),
      created: countByItem(compared.changes.missing),
      present: countByItem(value),
      receivedFiles: value.size,
      extraValid: [...compared.extraValid.keys()],
      problems: [...problems, ...unknown],
    };
  }

  /** Workers that come with nothing all lack the same: that is hashed once. */
  #contentOf(changes: Changes, good: Manifest, generation: number): string {
    if (changes.missing.size < good.size) return contentOf(changes);
    if (this.#all?.generation !== generation)
      this.#all = { generation, content: contentOf(changes) };
    return this.#all.content;
  }

  async unpack({ bundlePath, stagingFolder, origin }: UnpackAsk): Promise<Unpacked> {
    this.#lastId += 1;
    const id = this.#lastId;
    const { catalogue, owner } = this.#settings;
    const folder = new StagingFolder(`${stagingFolder}/unpacked-${id}`, this.#home, owner);
    const staging = new ClusterStaging(folder, catalogue, owner);
    try {
      const { metadata, told } = await this.#read(bundlePath, origin, staging);
      const { value, problems } = decodeFor(origin, metadata, told);
      mustNotContradict(value, staging.told.values());
      staging.flush();
      this.#pending.set(id, { staging, changes: value, origin });
      return { id, ...summaryOf(value, staging, catalogue), problems };
    } catch (error) {
      staging.discard();
      throw error;
    }
  }

  apply({ id, extra }: ApplyAsk): ApplyReport {
    const pending = this.#pending.get(id);
    if (pending === undefined) throw new HostError('not_found', `no bundle ${id} is unpacked`);
    let tree: ClusterHomeWriter | undefined;
    try {
      tree = new ClusterHomeWriter(this.#home, this.#settings.owner);
      const { staging, origin } = pending;
      const changes = { ...pending.changes, extra: listedIn(extra, pending.changes.extra) };
      const { catalogue } = this.#settings;
      const staged = staging.files;
      const told = [...staging.told.values()];
      const applied = applyChanges({ changes, staged, told, origin, catalogue, tree, staging });
      tree.flush();
      for (const { name, stamp, hash } of applied.placed) {
        this.#cache.remember(name, stamp, hash, Date.now());
      }
      const { placed, removed, faults } = applied;
      return { placedFiles: placed.length, removed, faults };
    } finally {
      tree?.close();
      this.discard(id);
    }
  }

  discard(id: number): null {
    this.#pending.get(id)?.staging.discard();
    this.#pending.delete(id);
    return null;
  }

  #scanned(): Manifest {
    if (this.#manifest !== undefined) return this.#manifest;
    throw new HostError('store_failed', 'the first scan of the files is not finished');
  }

  /** Without `staging` members are read past. */
  async #read(
    bundlePath: string,
    origin: Origin,
    staging: ClusterStaging | undefined,
  ): Promise<ReadBundle> {
    const source = bundleSource(bundlePath);
    try {
      const { isOwn, read } = unsqueezed(source.read);
      if (isOwn && origin === 'worker') {
        throw new FileRefusal(3003, 'a worker sends no bundle of this form');
      }
      const { catalogue, unpackLimits } = this.#settings;
      const told = new ToldMembers(catalogue, staging);
      if (isOwn) return { metadata: unpackOwn(read, told, unpackLimits), told };
      const open = (name: FileName): MemberSink => staging?.sink(name) ?? droppedMember;
      return { metadata: await unpackBundle(read, open, unpackLimits), told: undefined };
    } finally {
      source.close();
    }
  }
}

/** A worker's files come with a flat manifest, a master's with the three groups or in our own form. */
function decodeFor(
  origin: Origin,
  metadata: Buffer,
  told: ToldMembers | undefined,
): Decoded<Changes> {
  if (origin === 'master') {
    const { value, problems } = decodeChanges(metadata);
    return { value: told?.added(value) ?? value, problems };
  }
  const { value, problems } = decodeManifest(metadata);
  return { value: { ...noChanges, missing: value }, problems };
}

/** Each piece a message. */
function* alone<Result>(
  pieces: Generator<Uint8Array, Result>,
): Generator<readonly Uint8Array[], Result> {
  try {
    for (let next = pieces.next(); ; next = pieces.next()) {
      if (next.done === true) return next.value;
      yield [next.value];
    }
  } finally {
    endEarly(pieces);
  }
}

function* nothingPacked(pieces: Generator<Uint8Array>): Generator<Uint8Array, Packed> {
  let bytes = 0;
  for (const piece of pieces) {
    bytes += piece.length;
    yield piece;
  }
  return { files: 0, left: [], bytes };
}

function readCache(path: string | undefined): HashCache {
  if (path === undefined) return new HashCache();
  try {
    return HashCache.from(JSON.parse(readFileSync(path, 'utf8')));
  } catch {
    return new HashCache(); // absent or damaged: everything is hashed again
  }
}

/** Merely a cache: failing to keep it costs time, nothing else. */
function writeCache(path: string | undefined, cache: HashCache): void {
  if (path === undefined) return;
  try {
    writeFileSync(`${path}.tmp`, JSON.stringify(cache), { mode: 0o600 });
    renameSync(`${path}.tmp`, path);
  } catch {
    return;
  }
}
