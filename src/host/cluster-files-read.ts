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
    const file = this.#open(name);
    try {
      const before = stampOf(fstatSync(file, { bigint: true }));
      const digest = this.#digest(file);
      const after = stampOf(fstatSync(file, { bigint: true }));
      // Changed meanwhile: its new stamp is too young to be remembered, so it is read again.
      const isSame = before.changedNs === after.changedNs && before.sizeBytes === after.sizeBytes;
      return { hash: digest, stamp: isSame ? before : after };
    } finally {
      closeSync(file);
    }
  }

  open(name: FileName): OpenFile | undefined {
    const file = this.#openPresent(name);
    if (file === undefined) return undefined;
    return {
      sizeBytes: fstatSync(file).size,
      read: () => this.#read(file),
      close: () => closeSync(file),
    };
  }

  #openPresent(name: FileName): number | undefined {
    try {
      return this.#open(name);
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  #open(name: FileName): number {
    const path = `${this.#home}/${name}`;
    const file = openSync(path, readFlags);
    try {
      if (!fstatSync(file).isFile()) throw new Error(`${name} is not a regular file`);
      const real = realPathOf(file, path);
      if (!real.startsWith(`${this.#home}/`)) throw new Error(`${name} leads out of the home`);
      return file;
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

  /** The next bytes, as many as fit; fewer only at the end. */
  #read(file: number): Buffer {
    let filled = 0;
    while (filled < this.#buffer.length) {
      const got = readSync(file, this.#buffer, filled, this.#buffer.length - filled, null);
      if (got === 0) break;
      filled += got;
    }
    return this.#buffer.subarray(0, filled);
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
