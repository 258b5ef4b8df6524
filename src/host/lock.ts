/**
 * One worker at a time, without locks that outlive their holder. Every claimant first creates a
 * file named after itself (`NAME.PID-STAMP-NONCE`), then looks: if any other claim belongs to a
 * living process it withdraws. Whoever looks last sees the others, so two never hold at once; a
 * claim left by `kill -9` belongs to nobody alive and is swept.
 */
import { mkdir, open, readdir, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Clock, Random } from '../clock.ts';
import { sleep } from '../clock.ts';
import { HostError } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';
import { asHostErrors } from './host-error.ts';
import { processStamp } from './process-identity.ts';

export interface Lock {
  /** Never fails: a claim that the disk keeps is swept when this process claims again, or is gone. */
  release(): Promise<void>;
}

export interface LockRequest {
  /** Claims are `path.PID-STAMP-NONCE`; the directory must be our own. */
  readonly path: string;
  /** `second_instance` for a daemon, `lock_held` for one apply. */
  readonly reason: 'second_instance' | 'lock_held';
  readonly clock: Clock;
  readonly random: Random;
}

interface Claim {
  readonly name: string;
  readonly pid: number;
  readonly stamp: string;
}

/** Two claimants that start together may both withdraw; a few tries settle that. */
const tries = 4;

/** Throws HostError with `request.reason` and the holder's pid when somebody alive holds it. */
export async function acquireLock(request: LockRequest): Promise<Lock> {
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await asHostErrors(request.path, () => claim(request));
    if (outcome.kind === 'held') return outcome.lock;
    if (attempt === tries) {
      const seen = `${request.path} is held by process ${outcome.pid}`;
      throw new HostError(request.reason, seen);
    }
    await sleep(request.clock, 20 + request.random.fraction() * 80);
  }
}

type ClaimOutcome =
  | { readonly kind: 'held'; readonly lock: Lock }
  | { readonly kind: 'taken'; readonly pid: number };

async function claim(request: LockRequest): Promise<ClaimOutcome> {
  const directory = dirname(request.path);
  const nonce = Buffer.from(request.random.bytes(4)).toString('hex');
  const stamp = await processStamp(process.pid);
  if (stamp === undefined) {
    throw new HostError(request.reason, 'this system does not tell when a process started');
  }
  const own = `${basename(request.path)}.${process.pid}-${stamp}-${nonce}`;
  await createClaim(directory, own);
  try {
    const rival = await sweepOthers(request.path, own);
    if (rival === undefined) return { kind: 'held', lock: { release: () => drop(directory, own) } };
    await drop(directory, own);
    return { kind: 'taken', pid: rival.pid };
  } catch (error) {
    await drop(directory, own);
    throw error;
  }
}

/** The first other claim of somebody alive; those of the dead, and our dropped ones, are removed. */
async function sweepOthers(path: string, own: string): Promise<Claim | undefined> {
  const directory = dirname(path);
  const others = (await listClaims(path)).filter(({ name }) => name !== own);
  for (const other of others) {
    const isDropped = dropped.has(join(directory, other.name));
    if (!isDropped && (await processStamp(other.pid)) === other.stamp) return other;
    await removeClaim(directory, other.name);
  }
  return undefined;
}

/** Claims of this process that could not be removed (a disk gone read-only): they hold nothing. */
const dropped = new Set<string>();

async function drop(directory: string, name: string): Promise<void> {
  await removeClaim(directory, name).catch(() => dropped.add(join(directory, name)));
}

async function createClaim(directory: string, name: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const handle = await open(join(directory, name), 'wx', 0o600);
    await handle.close();
  } catch (error) {
    throw new HostError('write_failed', `${directory}: ${messageOf(error)}`, { cause: error });
  }
}

async function listClaims(path: string): Promise<readonly Claim[]> {
  const prefix = `${basename(path)}.`;
  const names = await readdir(dirname(path));
  return names.flatMap((name) => {
    const match = /^(\d{1,10})-([0-9a-f]{8})-[0-9a-f]{8}$/.exec(name.slice(prefix.length));
    if (!name.startsWith(prefix) || match?.[2] === undefined) return [];
    return [{ name, pid: Number(match[1]), stamp: match[2] }];
  });
}

async function removeClaim(directory: string, name: string): Promise<void> {
  await unlink(join(directory, name)).catch((error: unknown) => {
    if (systemCodeOf(error) !== 'ENOENT') throw error;
  });
  dropped.delete(join(directory, name));
}
