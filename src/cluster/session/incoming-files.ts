/**
 * Files that the peer uploads to us (cluster-protocol.md 3.2). The peer's path is only a key:
 * what reaches a disk is our own transfer number. Every byte is counted and hashed here; a file
 * can be taken only after its digest matched and its last step was stored.
 */
import { createHash, type Hash, timingSafeEqual } from 'node:crypto';
import { type Fault, fault } from '../wire/fault.ts';
import { pythonBytes } from '../wire/payload-text.ts';
import type { StoreStep } from './output.ts';

/** What had arrived of a file when its link ended; the next link of the same two nodes goes on. */
export interface KeptFile {
  /** The peer's name of the upload. */
  readonly key: string;
  /** Of the bytes so far. */
  readonly hash: Hash;
  readonly bytes: number;
  /** When the last of them came. */
  readonly keptAtMs: number;
}

export interface FileLimits {
  readonly fileBytes: number;
  readonly files: number;
  readonly transferIdleMs: number;
  readonly evictIdleMs: number;
}

export interface TakenFile {
  readonly transfer: number;
  readonly sizeBytes: number;
}

/** Steps to store, a stock refusal in plain text, or a stock error. */
export type FileOutcome =
  | {
      readonly kind: 'steps';
      readonly steps: readonly StoreStep[];
      /** The upload goes on behind so many bytes. */
      readonly heldBytes?: number;
    }
  | { readonly kind: 'refusal'; readonly text: string; readonly steps: readonly StoreStep[] }
  | { readonly kind: 'fault'; readonly fault: Fault; readonly steps: readonly StoreStep[] };

interface IncomingFile {
  readonly transfer: number;
  readonly hash: Hash;
  receivedBytes: number;
  touchedAtMs: number;
  state: 'open' | 'closing' | 'complete';
}

/** `/queue/cluster/…`, plain names only: whatever needs resolving is refused. */
const allowedPath = /^\/?queue\/cluster(?:\/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}){1,4}$/;

const digestBytes = 32;
/** Less than this is sent again sooner than it is kept. */
const leastKeptBytes = 1024 * 1024;

export class IncomingFiles {
  readonly #limits: FileLimits;
  readonly #files = new Map<string, IncomingFile>();
  #kept: KeptFile | undefined;
  #mayResume = false;

  constructor(limits: FileLimits, kept?: KeptFile) {
    this.#limits = limits;
    this.#kept = kept;
  }

  /** Both ends can go on with an upload that a link before this one began. */
  allowResume(): void {
    this.#mayResume = true;
  }

  /** After the end of the link. */
  get kept(): KeptFile | undefined {
    return this.#kept;
  }

  /** Opening a path again starts it over, as stock's truncation does; not so what was kept of it. */
  open(path: string, transfer: () => number, nowMs: number): FileOutcome {
    const key = keyOf(path);
    if (key === undefined) return { kind: 'refusal', text: 'Write path not allowed', steps: [] };
    const before = [...this.#discard(key), ...this.#makeRoom(nowMs)];
    if (this.#files.size >= this.#limits.files) {
      const reason = 'too many files under way on this connection';
      return { kind: 'fault', fault: fault(1000, reason), steps: before };
    }
    const kept = this.#takeKept(key, nowMs);
    const file: IncomingFile = {
      transfer: transfer(),
      hash: kept?.hash ?? createHash('sha256'),
      receivedBytes: kept?.bytes ?? 0,
      touchedAtMs: nowMs,
      state: 'open',
    };
    this.#files.set(key, file);
    const { transfer: id } = file;
    if (kept === undefined) {
      return { kind: 'steps', steps: [...before, { action: 'open', transfer: id }] };
    }
    const { bytes } = kept;
    const steps: StoreStep[] = [...before, { action: 'adopt', transfer: id, bytes }];
    return { kind: 'steps', steps, heldBytes: bytes };
  }

  append(path: string, bytes: Uint8Array, nowMs: number): FileOutcome {
    const key = keyOf(path);
    const file = key === undefined ? undefined : this.#files.get(key);
    if (key === undefined || file?.state !== 'open') return unknownFile(path);
    if (file.receivedBytes + bytes.length > this.#limits.fileBytes) {
      const reason = `${this.#limits.fileBytes} bytes are allowed`;
      return { kind: 'fault', fault: fault(3050, reason), steps: this.#discard(key) };
    }
    file.receivedBytes += bytes.length;
    file.touchedAtMs = nowMs;
    file.hash.update(bytes);
    return { kind: 'steps', steps: [{ action: 'append', transfer: file.transfer, bytes }] };
  }

  end(path: string, digest: Uint8Array, nowMs: number): FileOutcome {
    const key = keyOf(path);
    const file = key === undefined ? undefined : this.#files.get(key);
    if (key === undefined || file?.state !== 'open') return unknownFile(path);
    const isEqual = digest.length === digestBytes && timingSafeEqual(file.hash.digest(), digest);
    if (!isEqual) {
      const text = "File wasn't correctly received. Checksums aren't equal.";
      return { kind: 'refusal', text, steps: this.#discard(key) };
    }
    file.state = 'closing';
    file.touchedAtMs = nowMs;
    return { kind: 'steps', steps: [{ action: 'close', transfer: file.transfer }] };
  }

  /** The driver closed this transfer's file: it can be taken now. */
  closed(transfer: number): void {
    for (const file of this.#files.values()) {
      if (file.transfer === transfer && file.state === 'closing') file.state = 'complete';
    }
  }

  /** The driver could not store a step: the file is lost; the peer hears of it in its answers. */
  failed(transfer: number): readonly StoreStep[] {
    for (const [key, file] of this.#files) {
      if (file.transfer === transfer) return this.#discard(key);
    }
    return [];
  }

  /** Hand a complete file over and forget its path. Undefined: unknown or not complete. */
  take(path: string): TakenFile | undefined {
    const key = keyOf(path);
    const file = key === undefined ? undefined : this.#files.get(key);
    if (key === undefined || file?.state !== 'complete') return undefined;
    this.#files.delete(key);
    return { transfer: file.transfer, sizeBytes: file.receivedBytes };
  }

  /** Steps that drop what nobody continued or took; with infinite time, everything. */
  expire(nowMs: number): readonly StoreStep[] {
    const untilMs = nowMs - this.#limits.transferIdleMs;
    const old = [...this.#files].filter(([, file]) => file.touchedAtMs <= untilMs);
    return old.flatMap(([key]) => this.#discard(key));
  }

  /** The link ended: everything is dropped but the largest upload that can go on later. */
  finish(): readonly StoreStep[] {
    const [best] = [...this.#files]
      .filter(([, { state, receivedBytes }]) => state === 'open' && receivedBytes >= leastKeptBytes)
      .sort(([, a], [, b]) => b.receivedBytes - a.receivedBytes);
    if (!this.#mayResume || best === undefined) return this.expire(Number.POSITIVE_INFINITY);
    const [key, { transfer, hash, receivedBytes, touchedAtMs }] = best;
    this.#files.delete(key);
    this.#kept = { key, hash, bytes: receivedBytes, keptAtMs: touchedAtMs };
    return [{ action: 'keep', transfer }, ...this.expire(Number.POSITIVE_INFINITY)];
  }

  get size(): number {
    return this.#files.size;
  }

  /** Maps keep their order, but `append` touches: the one that idles longest is looked for. */
  #makeRoom(nowMs: number): readonly StoreStep[] {
    if (this.#files.size < this.#limits.files) return [];
    const [idlest] = [...this.#files].sort(([, a], [, b]) => a.touchedAtMs - b.touchedAtMs);
    if (idlest === undefined) return [];
    const [key, { touchedAtMs }] = idlest;
    return nowMs - touchedAtMs >= this.#limits.evictIdleMs ? this.#discard(key) : [];
  }

  #takeKept(key: string, nowMs: number): KeptFile | undefined {
    const kept = this.#kept;
    if (!this.#mayResume || kept?.key !== key) return undefined;
    this.#kept = undefined;
    return nowMs - kept.keptAtMs <= this.#limits.transferIdleMs ? kept : undefined;
  }

  #discard(key: string): readonly StoreStep[] {
    const file = this.#files.get(key);
    if (file === undefined) return [];
    this.#files.delete(key);
    return [{ action: 'drop', transfer: file.transfer }];
  }
}

/** One key for both spellings, with and without the leading slash. */
function keyOf(path: string): string | undefined {
  if (!allowedPath.test(path)) return undefined;
  return path.startsWith('/') ? path.slice(1) : path;
}

function unknownFile(path: string): FileOutcome {
  return { kind: 'fault', fault: fault(1000, pythonBytes(Buffer.from(path))), steps: [] };
}
