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
import { type Catalogue, itemOf } from '../cluster/files/catalogue.ts';
import type { MemberSink } from '../cluster/files/member-count.ts';
import type { FileName } from '../cluster/files/name.ts';
import { FileRefusal } from '../cluster/files/refusal.ts';
import type { StagedFile, Whole } from '../cluster/files/staged.ts';
import type { Owner } from './cluster-files-copy.ts';
import { flushFiles } from './cluster-files-flush.ts';
import type { CountedFolder, StagingFolder } from './cluster-files-folder.ts';
import { stampOf } from './cluster-files-read.ts';

/** A merged blob is held in memory while it is taken apart. */
const largestBlobBytes = 64 * 1024 * 1024;
const defaultMode = 0o600;
const algorithm = 'blake2b512';
const readBytes = 256 * 1024;
const createFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;

export class ClusterStaging implements Staging {
  readonly files = new Map<FileName, StagedFile>();
  readonly #folder: StagingFolder;
  readonly #catalogue: Catalogue;
  readonly #owner: Owner | undefined;

  constructor(folder: StagingFolder, catalogue: Catalogue, owner: Owner | undefined) {
    this.#folder = folder;
    this.#catalogue = catalogue;
    this.#owner = owner;
  }

  /** Content that no item takes is read and dropped: what it was for fails by itself later. */
  sink(name: FileName, hashes: 'proven' | 'unproven' = 'unproven'): MemberSink {
    const mode = itemOf(this.#catalogue, name)?.permissions ?? defaultMode;
    const end = name.lastIndexOf('/');
    const whole = end > 0 ? this.#folder.wholeOf(name.slice(0, end)) : undefined;
    const path = whole ? `${whole.path}/${name.slice(end + 1)}` : this.#folder.next();
    const owner = this.#owner;
    const file = new StagingFile({ path, mode, owner, mustHash: hashes === 'unproven', whole });
    return {
      write: (bytes) => file.write(bytes),
      end: (known) => void this.files.set(name, file.end(known)),
      abort: () => file.abort(),
    };
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
    file.write(content);
    const staged = file.end();
    flushFiles(this.#folder.path, [staged.path]);
    return staged;
  }

  /** After this a power cut cannot take content from under a name, nor files out of a folder. */
  flush(): void {
    const files = [...this.files.values()].map(({ path }) => path);
    flushFiles(this.#folder.path, [...files, ...this.#folder.wholePaths]);
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
  readonly whole?: CountedFolder | undefined;
}

class StagingFile {
  readonly #target: StagingTarget;
  readonly #descriptor: number;
  /** The first bytes while they are the only ones: one write is hashed in one call. */
  #only: Uint8Array = new Uint8Array();
  #hash: Hash | undefined;
  #sizeBytes = 0;

  constructor(target: StagingTarget) {
    this.#target = target;
    this.#descriptor = openSync(target.path, createFlags, 0o600);
  }

  write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.#descriptor, bytes, done, bytes.length - done);
    }
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
      fchmodSync(this.#descriptor, mode);
      if (owner !== undefined) fchownSync(this.#descriptor, owner.uid, owner.gid);
      if (whole === undefined) return undefined;
      whole.files += 1;
      return { folder: whole, stamp: stampOf(fstatSync(this.#descriptor, { bigint: true })) };
    } finally {
      closeSync(this.#descriptor);
    }
  }

  #digested(): string {
    return this.#hash?.digest('hex') ?? hash(algorithm, this.#only, 'hex');
  }

  abort(): void {
    closeSync(this.#descriptor);
    unlinkSync(this.#target.path);
  }
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
