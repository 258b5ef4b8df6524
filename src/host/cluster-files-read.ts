/**
 * The Wazuh home as the scan and the packer read it. Synchronous: it runs in a thread of its own,
 * where that costs a fraction of the asynchronous calls. A file counts only if it really lies in
 * the home, judged by the open descriptor, not by its path.
 */
import { createHash, hash } from 'node:crypto';
import {
  type BigIntStats,
  closeSync,
  constants,
  type Dirent,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
  statSync,
} from 'node:fs';
import type { FileStamp, HashCache } from '../cluster/files/hash-cache.ts';
import { segmentBytes } from '../cluster/files/member.ts';
import type { FileName } from '../cluster/files/name.ts';
import type { FileSource, OpenFile } from '../cluster/files/pack.ts';
import type { FolderEntry, ScanTree } from '../cluster/files/walk.ts';
import { HostError } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';

const readFlags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
const folderFlags = constants.O_RDONLY | constants.O_DIRECTORY;
const byDescriptor = process.platform === 'linux';

/** The home's own path without symlinks. Throws HostError `not_found`. */
export function realHome(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    throw new HostError('not_found', `${path}: ${messageOf(error)}`, { cause: error });
  }
}

export class ClusterHomeReader implements ScanTree {
  readonly #home: string;
  readonly #buffer = Buffer.allocUnsafe(segmentBytes);
  /** The folder of the file opened last: files come folder by folder. */
  #folder: { readonly path: string; readonly descriptor: number } | undefined;

  /** `home`: as `realHome` gives it. */
  constructor(home: string) {
    this.#home = home;
  }

  list(folder: string): readonly FolderEntry[] {
    return readdirSync(`${this.#home}/${folder}`, { withFileTypes: true }).map((entry) => ({
      name: entry.name,
      kind: kindOf(entry),
    }));
  }

  stamp(name: FileName, kind: FolderEntry['kind']): FileStamp | undefined {
    const path = `${this.#home}/${name}`;
    const options = { bigint: true } as const;
    const stats = kind === 'symlink' ? statSync(path, options) : lstatSync(path, options);
    return stats.isFile() ? stampOf(stats) : undefined;
  }

  hash(name: FileName): { readonly hash: string; readonly stamp: FileStamp } {
    const { file, stamp } = this.#open(name);
    try {
      const digest = this.#digest(file, stamp.sizeBytes);
      const after = stampOf(fstatSync(file, { bigint: true }));
      // Changed meanwhile: its new stamp is too young to be remembered, so it is read again.
      const isSame = stamp.changedNs === after.changedNs && stamp.sizeBytes === after.sizeBytes;
      return { hash: digest, stamp: isSame ? stamp : after };
    } finally {
      closeSync(file);
    }
  }

  /** `buffer`: of the pack alone, which waits between two steps with a part of it in hand. */
  open(name: FileName, buffer: Buffer, known?: KnownHashes): OpenFile | undefined {
    const opened = this.#openPresent(name);
    return opened && new HomeFile(name, opened, buffer, known);
  }

  #openPresent(name: FileName): OpenedFile | undefined {
    try {
      return this.#open(name);
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Ends what is kept between two files; after a job, as folders may be replaced later. */
  release(): void {
    if (this.#folder !== undefined) closeSync(this.#folder.descriptor);
    this.#folder = undefined;
  }

  #open(name: FileName): OpenedFile {
    const below = this.#openBelow(name);
    const path = `${this.#home}/${name}`;
    const file = below ?? openSync(path, readFlags);
    try {
      const stats = fstatSync(file, { bigint: true });
      if (!stats.isFile()) throw new Error(`${name} is not a regular file`);
      if (below === undefined) this.#mustBeInside(name, realPathOf(file, path));
      return { file, stamp: stampOf(stats) };
    } catch (error) {
      closeSync(file);
      throw error;
    }
  }

  /**
   * By its folder's descriptor, which lies in the home, and not through a symlink: so the file
   * does too, and need not be asked where it is. Undefined: to be opened the long way.
   */
  #openBelow(name: FileName): number | undefined {
    if (!byDescriptor) return undefined;
    const end = name.lastIndexOf('/');
    const { descriptor } = this.#enter(name.slice(0, Math.max(0, end)));
    try {
      const path = `/proc/self/fd/${descriptor}/${name.slice(end + 1)}`;
      return openSync(path, readFlags | constants.O_NOFOLLOW);
    } catch (error) {
      if (systemCodeOf(error) === 'ELOOP') return undefined;
      throw error;
    }
  }

  #enter(path: string): { readonly path: string; readonly descriptor: number } {
    if (this.#folder?.path === path) return this.#folder;
    this.release();
    const descriptor = openSync(`${this.#home}/${path}`, folderFlags);
    try {
      this.#mustBeInside(path, `${readlinkSync(`/proc/self/fd/${descriptor}`)}/`);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    this.#folder = { path, descriptor };
    return this.#folder;
  }

  #mustBeInside(name: string, real: string): void {
    if (!real.startsWith(`${this.#home}/`)) throw new Error(`${name} leads out of the home`);
  }

  #digest(file: number, sizeBytes: number): string {
    const first = readInto(this.#buffer, file, sizeBytes);
    if (first.length < segmentBytes) return hash('blake2b512', first, 'hex');
    const digest = createHash('blake2b512');
    for (let part = first; part.length > 0; part = readInto(this.#buffer, file))
      digest.update(part);
    return digest.digest('hex');
  }
}

/**
 * The next bytes, as many as fit; fewer only at the end. A read that stops short of `expected` goes
 * on: before what the disk cannot read it stops without an error, and throws with the next.
 */
function readInto(buffer: Buffer, file: number, expected = buffer.length): Buffer {
  const enough = Math.min(expected, buffer.length);
  let filled = 0;
  do {
    const got = readSync(file, buffer, filled, buffer.length - filled, null);
    if (got === 0) break;
    filled += got;
  } while (filled < enough);
  return buffer.subarray(0, filled);
}

/** For one pack. Files whose hash is known from a scan (`cache`) tell it once they were read. */
export function packSource(reader: ClusterHomeReader, cache?: HashCache): FileSource {
  const buffer = Buffer.allocUnsafe(segmentBytes);
  return { open: (name) => reader.open(name, buffer, cache) };
}

type KnownHashes = Pick<HashCache, 'find' | 'forget'>;

interface OpenedFile {
  readonly file: number;
  readonly stamp: FileStamp;
}

/** A file to be packed. */
class HomeFile implements OpenFile {
  readonly #name: FileName;
  readonly #opened: OpenedFile;
  readonly #buffer: Buffer;
  readonly #known: KnownHashes | undefined;
  #isAtEnd = false;
  #bytes = 0;

  constructor(name: FileName, opened: OpenedFile, buffer: Buffer, known: KnownHashes | undefined) {
    this.#name = name;
    this.#opened = opened;
    this.#buffer = buffer;
    this.#known = known;
  }

  get sizeBytes(): number {
    return this.#opened.stamp.sizeBytes;
  }

  read(): Uint8Array {
    if (this.#isAtEnd) return this.#buffer.subarray(0, 0);
    const bytes = this.#readOn();
    this.#bytes += bytes.length;
    this.#isAtEnd = bytes.length < segmentBytes;
    return bytes;
  }

  /** What cannot be read is read again by the next scan, which then says so. */
  #readOn(): Buffer {
    try {
      return readInto(this.#buffer, this.#opened.file, this.sizeBytes - this.#bytes);
    } catch (error) {
      this.#known?.forget(this.#name);
      throw error;
    }
  }

  isAtEnd(): boolean {
    return this.#isAtEnd;
  }

  /** Its stamp was the scan's before and is so still: the rule by which a scan does not hash again. */
  provenHash(): string | undefined {
    const before = this.#known?.find(this.#name, this.#opened.stamp);
    if (before === undefined) return undefined;
    const now = stampOf(fstatSync(this.#opened.file, { bigint: true }));
    return this.#known?.find(this.#name, now) === before ? before : undefined;
  }

  close(): void {
    closeSync(this.#opened.file);
  }
}

/** Where an open file is now; without `/proc` only its path can tell. */
function realPathOf(file: number, path: string): string {
  if (process.platform === 'linux') return readlinkSync(`/proc/self/fd/${file}`);
  return realpathSync(path);
}

export function stampOf(stats: BigIntStats): FileStamp {
  return {
    device: stats.dev,
    inode: stats.ino,
    sizeBytes: Number(stats.size),
    modifiedNs: stats.mtimeNs,
    changedNs: stats.ctimeNs,
  };
}

function kindOf(entry: Dirent): FolderEntry['kind'] {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'folder';
  return entry.isSymbolicLink() ? 'symlink' : 'other';
}
