/** Is a package manager at work on this host? Debian's lock, as the kernel's table of locks has it. */
import { stat } from 'node:fs/promises';
import type { Clock } from '../clock.ts';
import { isLockHeld } from '../wazuh/upgrade-lock.ts';
import { readBounded } from './read-bounded.ts';

/** Held while dpkg or apt works, on whatever package. */
export const dpkgLock = '/var/lib/dpkg/lock-frontend';
const maxLocksBytes = 4 * 1024 * 1024;

/** Asks at most every `everyMs`, and at every call while the answer is yes. */
export class PackageLock {
  readonly #clock: Clock;
  readonly #everyMs: number;
  #free: { readonly atMs: number } | undefined;

  constructor(clock: Clock, everyMs: number) {
    this.#clock = clock;
    this.#everyMs = everyMs;
  }

  /** The path of the lock while it is held. */
  async read(): Promise<string | undefined> {
    const nowMs = this.#clock.monotonicMs();
    if (this.#free !== undefined && nowMs - this.#free.atMs < this.#everyMs) return undefined;
    const isHeld = await isPackageLockHeld();
    this.#free = isHeld ? undefined : { atMs: nowMs };
    return isHeld ? dpkgLock : undefined;
  }
}

async function isPackageLockHeld(): Promise<boolean> {
  const stats = await stat(dpkgLock, { bigint: true }).catch(() => undefined);
  if (stats === undefined) return false;
  const locks = (await readBounded('/proc/locks', maxLocksBytes))?.toString('utf8') ?? '';
  return isLockHeld(locks, { ...deviceOf(stats.dev), inode: Number(stats.ino) });
}

/** glibc's makedev, taken apart. */
function deviceOf(device: bigint): { readonly major: number; readonly minor: number } {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn);
  const minor = (device & 0xffn) | ((device >> 12n) & ~0xffn & 0xffffffffn);
  return { major: Number(major), minor: Number(minor) };
}
