/** Moving a received file where a rename cannot: onto another file system, or onto a mount point. */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { HostError } from '../errors.ts';
import { systemCodeOf } from '../guards.ts';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface Copy {
  readonly from: string;
  readonly target: string;
  /** A name next to the target. */
  readonly temporary: string;
  readonly mode: number;
  readonly owner: Owner | undefined;
  /** The target is itself a mount point (one bind-mounted file): it is written in place. */
  readonly isMount: boolean;
}

const copyBytes = 1024 * 1024;

export function copyInto(copy: Copy): void {
  if (copy.isMount) writeInPlace(copy);
  else copyAndRename(copy);
  unlinkSync(copy.from);
}

function copyAndRename(copy: Copy): void {
  removeStale(copy.temporary);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const file = openSync(copy.temporary, flags, 0o600);
  try {
    fill(file, copy);
  } catch (error) {
    unlinkSync(copy.temporary);
    throw error;
  } finally {
    closeSync(file);
  }
  renameSync(copy.temporary, copy.target);
}

/** Not atomic; there is no other way onto a mounted file, and the next scan repairs a cut. */
function writeInPlace(copy: Copy): void {
  const file = openSync(copy.target, constants.O_WRONLY | constants.O_NOFOLLOW);
  try {
    const stats = fstatSync(file);
    if (!stats.isFile() || stats.nlink > 1) {
      throw new HostError('not_regular', `${copy.target} is not a regular file with one name`);
    }
    fill(file, copy);
  } finally {
    closeSync(file);
  }
}

function fill(file: number, { from, mode, owner }: Copy): void {
  const source = openSync(from, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const buffer = Buffer.allocUnsafe(copyBytes);
    let at = 0;
    for (let got = 1; got > 0; at += got) {
      got = readSync(source, buffer, 0, copyBytes, at);
      for (let done = 0; done < got; ) done += writeSync(file, buffer, done, got - done, at + done);
    }
    ftruncateSync(file, at);
  } finally {
    closeSync(source);
  }
  fchmodSync(file, mode);
  if (owner !== undefined) fchownSync(file, owner.uid, owner.gid);
  fsyncSync(file);
}

function removeStale(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw error;
  }
}
