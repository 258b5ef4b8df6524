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

export class ClusterHomeReader implements ScanTree, FileSource {
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
      const digest = this.#digest(file);
      const after = stampOf(fstatSync(file, { bigint: true }));
      // Changed meanwhile: its new stamp is too young to be remembered, so it is read again.
      const isSame = stamp.changedNs === after.changedNs && stamp.sizeBytes === after.sizeBytes;
      return { hash: digest, stamp: isSame ? stamp : after };
    } finally {
      closeSync(file);
    }
  }

  open(name: FileName): StampedFile | undefined {
    const opened = this.#openPresent(name);
    if (opened === undefined) return undefined;
    const { file, stamp } = opened;
    let isAtEnd = false;
    const read = (): Buffer => {
      const bytes = isAtEnd ? this.#buffer.subarray(0, 0) : this.#read(file);
      isAtEnd = bytes.length < segmentBytes;
      return bytes;
    };
    const stampNow = (): FileStamp => stampOf(fstatSync(file, { bigint: true }));
    return {
      ...{ sizeBytes: stamp.sizeBytes, stamp, stampNow, read },
      isAtEnd: () => isAtEnd,
      close: () => closeSync(file),
    };
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

  #digest(file: number): string {
    const first = this.#read(file);
    if (first.length < segmentBytes) return hash('blake2b512', first, 'hex');
    const digest = createHash('blake2b512');
    for (let part = first; part.length > 0; part = this.#read(file)) digest.update(part);
    return digest.digest('hex');
  }

  /** The next bytes, as many as fit; a regular file gives fewer only at its end. */
  #read(file: number): Buffer {
    return this.#buffer.subarray(0, readSync(file, this.#buffer, 0, this.#buffer.length, null));
  }
}

/**
 * Files whose hash is known from a scan tell it once they were read: their stamp was the scan's
 * before and is so still, the very rule by which a scan does not hash them again.
 */
export function provenSource(reader: ClusterHomeReader, cache: HashCache): FileSource {
  return {
    open: (name) => {
      const file = reader.open(name);
      const before = file && cache.find(name, file.stamp);
      if (file === undefined || before === undefined) return file;
      const provenHash = (): string | undefined =>
        cache.find(name, file.stampNow()) === before ? before : undefined;
      return { ...file, provenHash };
    },
  };
}

/** A file to be packed, with what tells whether it changed meanwhile. */
interface StampedFile extends OpenFile {
  readonly stamp: FileStamp;
  stampNow(): FileStamp;
}

interface OpenedFile {
  readonly file: number;
  readonly stamp: FileStamp;
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
