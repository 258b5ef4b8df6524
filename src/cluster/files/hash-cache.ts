/**
 * Hashes by what the file system says of a file: only a file whose inode, size, mtime or ctime
 * changed is read again. A hash taken right after the file's last change is not kept, as another
 * change in the same tick of the file system's clock would go unseen.
 */
import { isJsonObject, type JsonValue } from '../../guards.ts';
import { isHash } from './manifest.ts';
import { type FileName, isFileName } from './name.ts';

/** What tells one state of a file from another; times in ns since the epoch. */
export interface FileStamp {
  readonly device: bigint;
  readonly inode: bigint;
  readonly sizeBytes: number;
  readonly modifiedNs: bigint;
  readonly changedNs: bigint;
}

interface Known {
  readonly stamp: FileStamp;
  readonly hash: string;
}

/** File systems tick every 10 ms at the most, old ones every 2 s: those know no fractions. */
const fineSettleMs = 50;
const coarseSettleMs = 2_500;

export class HashCache {
  readonly #known = new Map<FileName, Known>();

  get size(): number {
    return this.#known.size;
  }

  find(name: FileName, stamp: FileStamp): string | undefined {
    const known = this.#known.get(name);
    return known !== undefined && isSameStamp(known.stamp, stamp) ? known.hash : undefined;
  }

  /** `nowMs`: wall-clock time at which the content was read. */
  remember(name: FileName, stamp: FileStamp, hash: string, nowMs: number): void {
    const changedMs = Number(stamp.changedNs) / 1e6; // to some hundred ns
    const newestMs = Math.max(changedMs, Number(stamp.modifiedNs) / 1e6);
    const settleMs = changedMs % 1_000 === 0 ? coarseSettleMs : fineSettleMs;
    if (nowMs - newestMs < settleMs) this.#known.delete(name);
    else this.#known.set(name, { stamp, hash });
  }

  forget(name: FileName): void {
    this.#known.delete(name);
  }

  /** Drop what the last scan did not see. */
  keepOnly(names: ReadonlySet<FileName>): void {
    for (const name of this.#known.keys()) {
      if (!names.has(name)) this.#known.delete(name);
    }
  }

  toJSON(): JsonValue {
    return Object.fromEntries(
      [...this.#known].map(([name, { stamp, hash }]) => [name, [stampText(stamp), hash]]),
    );
  }

  /** Anything that is not a cache is an empty one: files are then hashed again. */
  static from(value: unknown): HashCache {
    const cache = new HashCache();
    if (!isJsonObject(value)) return cache;
    for (const [name, pair] of Object.entries(value)) {
      const [text, hash] = Array.isArray(pair) ? pair : [];
      const stamp = stampOf(text);
      if (isFileName(name) && stamp !== undefined && isHash(hash))
        cache.#known.set(name, { stamp, hash });
    }
    return cache;
  }
}

function stampText(stamp: FileStamp): string {
  const { device, inode, sizeBytes, modifiedNs, changedNs } = stamp;
  return `${device} ${inode} ${sizeBytes} ${modifiedNs} ${changedNs}`;
}

function stampOf(text: unknown): FileStamp | undefined {
  if (typeof text !== 'string' || !/^(?:-?\d{1,20} ){4}-?\d{1,20}$/.test(text)) return undefined;
  const [device = 0n, inode = 0n, size = 0n, modifiedNs = 0n, changedNs = 0n] = text
    .split(' ')
    .map(BigInt);
  return { device, inode, sizeBytes: Number(size), modifiedNs, changedNs };
}

function isSameStamp(left: FileStamp, right: FileStamp): boolean {
  return (
    left.changedNs === right.changedNs &&
    left.modifiedNs === right.modifiedNs &&
    left.sizeBytes === right.sizeBytes &&
    left.inode === right.inode &&
    left.device === right.device
  );
}

/** The mtime as Python computes it from seconds and nanoseconds. */
export function modTimeOf({ modifiedNs }: FileStamp): number {
  const seconds = modifiedNs / 1_000_000_000n;
  return Number(seconds) + 1e-9 * Number(modifiedNs - seconds * 1_000_000_000n);
}
