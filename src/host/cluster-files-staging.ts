/** Received content on its way: files of our own names in a folder that only we may enter. */
import { createHash, type Hash, hash } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import type { Staging } from '../cluster/files/apply.ts';
import { type Catalogue, findItem, itemOf } from '../cluster/files/catalogue.ts';
import type { Entry } from '../cluster/files/manifest.ts';
import { type MemberSink, twice } from '../cluster/files/member-count.ts';
import type { FileName } from '../cluster/files/name.ts';
import { FileRefusal } from '../cluster/files/refusal.ts';
import {
  pathIn,
  type StagedFile,
  type StagedFolder,
  type ToldFolder,
  type Whole,
} from '../cluster/files/staged.ts';
import { systemCodeOf } from '../guards.ts';
import type { Owner } from './cluster-files-copy.ts';
import { flushFiles } from './cluster-files-flush.ts';
import type { StagingFolder } from './cluster-files-folder.ts';
import { stampOf } from './cluster-files-read.ts';

/** A merged blob is held in memory while it is taken apart. */
const largestBlobBytes = 64 * 1024 * 1024;
const defaultMode = 0o600;
const algorithm = 'blake2b512';
const readBytes = 256 * 1024;
const createFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;

export class ClusterStaging implements Staging {
  readonly files = new Map<FileName, StagedFile>();
  /** By their place in the home. */
  readonly told = new Map<string, ToldFolder>();
  readonly #folder: StagingFolder;
  readonly #catalogue: Catalogue;
  readonly #owner: Owner | undefined;

  constructor(folder: StagingFolder, catalogue: Catalogue, owner: Owner | undefined) {
    this.#folder = folder;
    this.#catalogue = catalogue;
    this.#owner = owner;
  }

  /** A small file with its proven hash, at once; as `sink` in every other respect. */
  put(name: FileName, content: Uint8Array, hash: string): void {
    const sink = this.sink(name, 'proven');
    try {
      sink.write(content);
    } catch (error) {
      sink.abort();
      throw error;
    }
    sink.end(hash);
  }

  /** For new files of `folder` that have this entry; undefined where each is to be put by itself. */
  toldFolder(folder: string, entry: Entry): ToldFolder | undefined {
    const known = this.told.get(folder);
    if (known !== undefined) return known.entry.itemKey === entry.itemKey ? known : undefined;
    const item = findItem(this.#catalogue, entry.itemKey);
    const whole = item === undefined ? undefined : this.#folder.wholeOf(folder);
    if (item === undefined || whole === undefined) return undefined;
    const told = { folder: whole, entry, mode: item.permissions, files: [] };
    this.told.set(folder, told);
    return told;
  }

  /** A file that its item takes, into such a folder. */
  toldSink(told: ToldFolder, name: FileName): MemberSink {
    const { folder: whole, mode } = told;
    const [path, owner] = [pathIn(told, name), this.#owner];
    const file = new StagingFile({ path, mode, owner, mustHash: false, whole }, name);
    return {
      write: (bytes) => file.write(bytes),
      end: (known) => {
        const { hash, whole: at } = file.end(known);
        if (at !== undefined) told.files.push({ name, stamp: at.stamp, hash });
      },
      abort: () => file.abort(),
    };
  }

  /** The same for a small one. */
  putTold(told: ToldFolder, name: FileName, content: Uint8Array, hash: string): void {
    const file = create(pathIn(told, name), name);
    try {
      writeAll(file, content);
      give(file, told.mode, this.#owner);
      told.files.push({ name, stamp: stampOf(fstatSync(file, { bigint: true })), hash });
      told.folder.files += 1;
    } finally {
      closeSync(file);
    }
  }

  /** Content that no item takes is read and dropped: what it was for fails by itself later. */
  sink(name: FileName, hashes: 'proven' | 'unproven' = 'unproven'): MemberSink {
    if (this.files.has(name)) throw twice(name);
    const file = new StagingFile({ ...this.#target(name), mustHash: hashes === 'unproven' }, name);
    return {
      write: (bytes) => file.write(bytes),
      end: (known) => void this.files.set(name, file.end(known)),
      abort: () => file.abort(),
    };
  }

  #target(name: FileName): Omit<StagingTarget, 'mustHash'> {
    const mode = itemOf(this.#catalogue, name)?.permissions ?? defaultMode;
    const end = name.lastIndexOf('/');
    const whole = end > 0 ? this.#folder.wholeOf(name.slice(0, end)) : undefined;
    const path = whole ? `${whole.path}/${name.slice(end + 1)}` : this.#folder.next();
    return { path, mode, owner: this.#owner, whole };
  }

  read(file: StagedFile): Buffer {
    if (file.sizeBytes > largestBlobBytes) {
      throw new FileRefusal(3053, `a merged file above ${largestBlobBytes} bytes`);
    }
    return readFileSync(file.path);
  }

  add(content: Uint8Array): StagedFile {
    const [path, owner] = [this.#folder.next(), this.#owner];
    const file = new StagingFile({ path, mode: defaultMode, owner, mustHash: true });
    try {
      file.write(content);
      const staged = file.end();
      flushFiles(this.#folder.path, 1, [staged.path]);
      return staged;
    } catch (error) {
      file.abort();
      throw error;
    }
  }

  /** After this a power cut cannot take content from under a name, nor files out of a folder. */
  flush(): void {
    const folders = this.#folder.wholePaths;
    const told = [...this.told.values()].reduce((sum, { files }) => sum + files.length, 0);
    const count = this.files.size + told + folders.length;
    flushFiles(this.#folder.path, count, this.#paths(folders));
  }

  *#paths(folders: readonly string[]): Generator<string> {
    for (const { path } of this.files.values()) yield path;
    for (const one of this.told.values()) for (const { name } of one.files) yield pathIn(one, name);
    yield* folders;
  }

  discard(): void {
    this.#folder.remove();
  }
}

interface StagingTarget {
  readonly path: string;
  readonly mode: number;
  readonly owner: Owner | undefined;
  readonly mustHash: boolean;
  /** The folder that `path` lies in, where it may be moved as one. */
  readonly whole?: StagedFolder | undefined;
}

class StagingFile {
  readonly #target: StagingTarget;
  readonly #descriptor: number;
  /** The first bytes while they are the only ones: one write is hashed in one call. */
  #only: Uint8Array = new Uint8Array();
  #hash: Hash | undefined;
  #sizeBytes = 0;
  #isOpen = true;

  /** `name`: where another member may be called the same. */
  constructor(target: StagingTarget, name?: FileName) {
    this.#target = target;
    this.#descriptor = create(target.path, name);
  }

  write(bytes: Uint8Array): void {
    writeAll(this.#descriptor, bytes);
    if (this.#target.mustHash) this.#digest(bytes);
    this.#sizeBytes += bytes.length;
  }

  /** `bytes` stay as they are until the next write or `end`. */
  #digest(bytes: Uint8Array): void {
    if (this.#sizeBytes === 0) {
      this.#only = bytes;
      return;
    }
    this.#hash ??= createHash(algorithm).update(this.#only);
    this.#hash.update(bytes);
  }

  /** `known`: the hash, where whoever sent the content has proved it. */
  end(known?: string): StagedFile {
    const { path, mode, mustHash } = this.#target;
    const whole = this.#settle();
    const digest = known ?? (mustHash ? this.#digested() : hashOf(path));
    const staged = { path, mode, sizeBytes: this.#sizeBytes, hash: digest };
    return whole === undefined ? staged : { ...staged, whole };
  }

  /** Its mode and owner, then nothing of it changes any more. */
  #settle(): Whole | undefined {
    const { mode, owner, whole } = this.#target;
    try {
      give(this.#descriptor, mode, owner);
      if (whole === undefined) return undefined;
      whole.files += 1;
      return { folder: whole, stamp: stampOf(fstatSync(this.#descriptor, { bigint: true })) };
    } finally {
      this.#close();
    }
  }

  /** Once: by then the number may be another thread's. */
  #close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.#descriptor);
  }

  #digested(): string {
    return this.#hash?.digest('hex') ?? hash(algorithm, this.#only, 'hex');
  }

  abort(): void {
    this.#close();
    unlinkSync(this.#target.path);
  }
}

/** In a folder that is ours alone, so that only a member of the same name can be there. */
function create(path: string, name: FileName | undefined): number {
  try {
    return openSync(path, createFlags, 0o600);
  } catch (error) {
    throw name !== undefined && systemCodeOf(error) === 'EEXIST' ? twice(name) : error;
  }
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(file, bytes, done, bytes.length - done);
}

function give(file: number, mode: number, owner: Owner | undefined): void {
  fchmodSync(file, mode);
  if (owner !== undefined) fchownSync(file, owner.uid, owner.gid);
}

/** What was not hashed on its way, because its hash was expected to come with it. */
function hashOf(path: string): string {
  const digest = createHash(algorithm);
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  const buffer = Buffer.allocUnsafe(readBytes);
  try {
    for (let got = readSync(file, buffer); got > 0; got = readSync(file, buffer)) {
      digest.update(buffer.subarray(0, got));
    }
  } finally {
    closeSync(file);
  }
  return digest.digest('hex');
}
