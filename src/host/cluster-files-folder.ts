/**
 * The folder in which received content waits: only we may enter it, and it is reached by its
 * descriptor, so that whoever may write to the folders above it cannot slip in another.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  rmSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { StagedFolder } from '../cluster/files/staged.ts';
import { HostError } from '../errors.ts';
import type { Owner } from './cluster-files-copy.ts';

const folderFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** Of every folder that we make in the home. */
export const folderMode = 0o770;
const byDescriptor = process.platform === 'linux';

export class StagingFolder {
  /** For other processes, and to remove it. */
  readonly path: string;
  /** As our own calls reach it. */
  readonly inside: string;
  readonly #home: string;
  readonly #owner: Owner | undefined;
  readonly #whole = new Map<string, StagedFolder | undefined>();
  #descriptor: number | undefined;
  #count = 0;

  /** What a killed process left in `path` is removed first; its parents are made. */
  constructor(path: string, home: string, owner: Owner | undefined) {
    this.path = path;
    this.#home = home;
    this.#owner = owner;
    rmSync(path, { recursive: true, force: true });
    mkdirSync(dirname(path), { recursive: true, mode: 0o770 });
    mkdirSync(path, { mode: 0o700 });
    this.#descriptor = byDescriptor ? openOwn(path) : undefined;
    this.inside = byDescriptor ? `/proc/self/fd/${this.#descriptor}` : path;
  }

  /** A path of our own name. */
  next(): string {
    this.#count += 1;
    return `${this.inside}/member-${this.#count}`;
  }

  /** Where files of `folder`, below the home, are gathered; undefined where the home has it. */
  wholeOf(folder: string): StagedFolder | undefined {
    if (this.#whole.has(folder)) return this.#whole.get(folder);
    const whole = this.#mayBeThere(folder) ? undefined : { path: this.next(), files: 0 };
    if (whole !== undefined) this.#make(whole.path);
    this.#whole.set(folder, whole);
    return whole;
  }

  /** What cannot be asked is placed file by file, and each says what is wrong. */
  #mayBeThere(folder: string): boolean {
    try {
      return lstatSync(`${this.#home}/${folder}`, { throwIfNoEntry: false }) !== undefined;
    } catch {
      return true;
    }
  }

  /** Folders to be moved as a whole, as they lie here now. */
  get wholePaths(): readonly string[] {
    return [...this.#whole.values()].flatMap((whole) => (whole === undefined ? [] : [whole.path]));
  }

  /** Again and again, if need be. */
  remove(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
    rmSync(this.path, { recursive: true, force: true });
  }

  /** Nobody gets to it before it is moved, whatever its mode. */
  #make(path: string): void {
    mkdirSync(path, { mode: folderMode });
    const descriptor = openSync(path, folderFlags);
    try {
      giveFolder(descriptor, this.#owner);
    } finally {
      closeSync(descriptor);
    }
  }
}

export function giveFolder(descriptor: number, owner: Owner | undefined): void {
  fchmodSync(descriptor, folderMode);
  if (owner !== undefined) fchownSync(descriptor, owner.uid, owner.gid);
}

function openOwn(path: string): number {
  const descriptor = openSync(path, folderFlags);
  const { uid, mode } = fstatSync(descriptor);
  if (uid === process.geteuid?.() && (mode & 0o077) === 0) return descriptor;
  closeSync(descriptor);
  throw new HostError('not_regular', `${path} is not the folder that was just made there`);
}
