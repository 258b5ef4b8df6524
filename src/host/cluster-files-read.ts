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
import type { FileStamp } from '../cluster/files/hash-cache.ts';
import { segmentBytes } from '../cluster/files/member.ts';
import type { FileName } from '../cluster/files/name.ts';
import type { FileSource, OpenFile } from '../cluster/files/pack.ts';
import type { FolderEntry, ScanTree } from '../cluster/files/walk.ts';
import { HostError } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';

const readFlags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

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

  open(name: FileName): OpenFile | undefined {
    const opened = this.#openPresent(name);
    if (opened === undefined) return undefined;
    const { file, stamp } = opened;
    let isAtEnd = false;
    const read = (): Buffer => {
      const bytes = isAtEnd ? this.#buffer.subarray(0, 0) : this.#read(file);
      isAtEnd = bytes.length < segmentBytes;
      return bytes;
    };
    return { sizeBytes: stamp.sizeBytes, read, close: () => closeSync(file) };
  }

  #openPresent(name: FileName): OpenedFile | undefined {
    try {
      return this.#open(name);
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  #open(name: FileName): OpenedFile {
    const path = `${this.#home}/${name}`;
    const file = openSync(path, readFlags);
    try {
      const stats = fstatSync(file, { bigint: true });
      if (!stats.isFile()) throw new Error(`${name} is not a regular file`);
      const real = realPathOf(file, path);
      if (!real.startsWith(`${this.#home}/`)) throw new Error(`${name} leads out of the home`);
      return { file, stamp: stampOf(stats) };
    } catch (error) {
      closeSync(file);
      throw error;
    }
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
