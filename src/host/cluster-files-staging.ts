/** Received content on its way: files of our own names in a folder that only we may enter. */
import { createHash, type Hash, hash } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { StagedFile, Staging } from '../cluster/files/apply.ts';
import { type Catalogue, itemOf } from '../cluster/files/catalogue.ts';
import type { MemberSink } from '../cluster/files/member-count.ts';
import type { FileName } from '../cluster/files/name.ts';
import { FileRefusal } from '../cluster/files/refusal.ts';
import type { Owner } from './cluster-files-copy.ts';
import { flushFiles } from './cluster-files-flush.ts';

/** A merged blob is held in memory while it is taken apart. */
const largestBlobBytes = 64 * 1024 * 1024;
const defaultMode = 0o600;
const algorithm = 'blake2b512';
const readBytes = 256 * 1024;

export class ClusterStaging implements Staging {
  readonly files = new Map<FileName, StagedFile>();
  readonly #folder: string;
  readonly #catalogue: Catalogue;
  readonly #owner: Owner | undefined;
  #count = 0;

  /** What a killed process left in `folder` is removed first; its parents are made. */
  constructor(folder: string, catalogue: Catalogue, owner: Owner | undefined) {
    this.#folder = folder;
    this.#catalogue = catalogue;
    this.#owner = owner;
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(dirname(folder), { recursive: true, mode: 0o770 });
    mkdirSync(folder, { mode: 0o700 });
  }

  /** Content that no item takes is read and dropped: what it was for fails by itself later. */
  sink(name: FileName, hashes: 'proven' | 'unproven' = 'unproven'): MemberSink {
    const mode = itemOf(this.#catalogue, name)?.permissions ?? defaultMode;
    const file = new StagingFile(this.#nextPath(), mode, this.#owner, hashes === 'unproven');
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
    const file = new StagingFile(this.#nextPath(), defaultMode, this.#owner, true);
    file.write(content);
    const staged = file.end();
    flushFiles(this.#folder, [staged.path]);
    return staged;
  }

  /** After this a power cut cannot take content from under a name. */
  flush(): void {
    flushFiles(
      this.#folder,
      [...this.files.values()].map(({ path }) => path),
    );
  }

  discard(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #nextPath(): string {
    this.#count += 1;
    return `${this.#folder}/member-${this.#count}`;
  }
}

class StagingFile {
  readonly #path: string;
  readonly #mode: number;
  readonly #owner: Owner | undefined;
  readonly #descriptor: number;
  readonly #mustHash: boolean;
  /** The first bytes while they are the only ones: one write is hashed in one call. */
  #only: Uint8Array = new Uint8Array();
  #hash: Hash | undefined;
  #sizeBytes = 0;

  constructor(path: string, mode: number, owner: Owner | undefined, mustHash: boolean) {
    this.#path = path;
    this.#mustHash = mustHash;
    this.#mode = mode;
    this.#owner = owner;
    this.#descriptor = openSync(path, 'wx', 0o600);
  }

  write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.#descriptor, bytes, done, bytes.length - done);
    }
    if (this.#mustHash) this.#digest(bytes);
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
    try {
      fchmodSync(this.#descriptor, this.#mode);
      if (this.#owner !== undefined) {
        fchownSync(this.#descriptor, this.#owner.uid, this.#owner.gid);
      }
    } finally {
      closeSync(this.#descriptor);
    }
    const digest = known ?? (this.#mustHash ? this.#digested() : hashOf(this.#path));
    return { path: this.#path, mode: this.#mode, sizeBytes: this.#sizeBytes, hash: digest };
  }

  #digested(): string {
    return this.#hash?.digest('hex') ?? hash(algorithm, this.#only, 'hex');
  }

  abort(): void {
    closeSync(this.#descriptor);
    unlinkSync(this.#path);
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
