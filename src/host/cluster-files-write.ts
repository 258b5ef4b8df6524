/**
 * The Wazuh home as a receiver writes it: every folder is opened by descriptor from the home
 * downwards, no symlink followed, and names are reached through those descriptors. Used for one
 * application of changes, then closed, which is also when folders are flushed.
 */
import {
  chmodSync,
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs';
import type { FileStamp } from '../cluster/files/hash-cache.ts';
import type { Landing, Staged, TargetTree } from '../cluster/files/place.ts';
import { HostError } from '../errors.ts';
import { systemCodeOf } from '../guards.ts';
import { copyInto, type Owner } from './cluster-files-copy.ts';
import { flushFolders } from './cluster-files-flush.ts';
import { folderMode, giveFolder } from './cluster-files-folder.ts';
import { stampOf } from './cluster-files-read.ts';

const folderFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const byDescriptor = process.platform === 'linux';
/** Descriptors kept open for the folders used last. */
const mostOpenFolders = 128;

interface OpenFolder {
  readonly descriptor: number;
  readonly path: string;
}

export class ClusterHomeWriter implements TargetTree {
  readonly #owner: Owner | undefined;
  readonly #home: OpenFolder;
  readonly #open = new Map<string, OpenFolder>();
  readonly #touched = new Set<string>();

  constructor(home: string, owner: Owner | undefined) {
    this.#owner = owner;
    this.#home = { descriptor: openSync(home, folderFlags), path: home };
  }

  replace(staged: Staged, { folders, base }: Landing, mode: number): FileStamp {
    const folder = this.#folder(folders, 'create');
    if (staged.mode !== mode) chmodSync(staged.path, mode);
    const target = reach(folder, base);
    this.#move(staged.path, target, mode, reach(folder, temporaryName));
    this.#touched.add(folder.path);
    return stampOf(lstatSync(target, { bigint: true }));
  }

  adopt(stagedFolder: string, folders: readonly string[]): boolean {
    try {
      const parent = this.#folder(folders.slice(0, -1), 'create');
      const name = folders.at(-1) ?? '';
      if (isThere(reach(parent, name))) return false;
      renameSync(stagedFolder, reach(parent, name));
      this.#touched.add(parent.path); // what lies in it was flushed with it
      return true;
    } catch (error) {
      if (!(error instanceof HostError) && systemCodeOf(error) === undefined) throw error;
      return false; // file by file it is tried again, and each says what is wrong
    }
  }

  has({ folders, base }: Landing): boolean {
    try {
      return isThere(reach(this.#folder(folders, 'existing'), base));
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return false;
      throw error;
    }
  }

  remove({ folders, base }: Landing): 'removed' | 'absent' {
    try {
      const folder = this.#folder(folders, 'existing');
      unlinkSync(reach(folder, base));
      this.#touched.add(folder.path);
      return 'removed';
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return 'absent';
      throw error;
    }
  }

  list(folders: readonly string[]): readonly string[] {
    return readdirSync(reach(this.#folder(folders, 'existing'), '.'));
  }

  removeFolder(folders: readonly string[], leftovers: readonly string[]): void {
    const folder = this.#folder(folders, 'existing');
    for (const name of leftovers) unlinkSync(reach(folder, name));
    const parent = this.#folder(folders.slice(0, -1), 'existing');
    rmdirSync(reach(parent, folders.at(-1) ?? ''));
    this.#forget(folders.join('/'));
    this.#touched.add(parent.path);
    this.#touched.delete(folder.path);
  }

  /** Make what was done last through a power cut. Throws where the disk cannot. */
  flush(): void {
    flushFolders(this.#home.path, [...this.#touched]);
    this.#touched.clear();
  }

  close(): void {
    for (const { descriptor } of this.#open.values()) closeSync(descriptor);
    this.#open.clear();
    closeSync(this.#home.descriptor);
  }

  #move(from: string, target: string, mode: number, temporary: string): void {
    try {
      renameSync(from, target);
    } catch (error) {
      const code = systemCodeOf(error);
      if (code !== 'EXDEV' && code !== 'EBUSY') throw error;
      copyInto({ from, target, temporary, mode, owner: this.#owner, isMount: code === 'EBUSY' });
    }
  }

  #folder(folders: readonly string[], wish: 'create' | 'existing'): OpenFolder {
    const key = folders.join('/');
    const known = this.#open.get(key);
    if (known !== undefined) return known;
    const last = folders.at(-1);
    if (last === undefined) return this.#home;
    const parent = this.#folder(folders.slice(0, -1), wish);
    const opened = this.#openBelow(parent, last, wish);
    this.#keep(key, opened);
    return opened;
  }

  #openBelow(parent: OpenFolder, name: string, wish: 'create' | 'existing'): OpenFolder {
    const path = `${parent.path}/${name}`;
    try {
      return { descriptor: openSync(reach(parent, name), folderFlags), path };
    } catch (error) {
      const code = systemCodeOf(error);
      if (code === 'ENOENT' && wish === 'create') return this.#make(parent, name);
      if (code !== 'ELOOP' && code !== 'ENOTDIR') throw error;
      const text = `${path} is a symlink or not a folder: nothing is written through it`;
      throw new HostError('not_regular', text, { cause: error });
    }
  }

  #make(parent: OpenFolder, name: string): OpenFolder {
    mkdirSync(reach(parent, name), { mode: folderMode });
    const descriptor = openSync(reach(parent, name), folderFlags);
    giveFolder(descriptor, this.#owner);
    this.#touched.add(parent.path);
    return { descriptor, path: `${parent.path}/${name}` };
  }

  #keep(key: string, folder: OpenFolder): void {
    const oldest = this.#open.size >= mostOpenFolders ? this.#open.keys().next().value : undefined;
    if (oldest !== undefined) this.#forget(oldest);
    this.#open.set(key, folder);
  }

  #forget(key: string): void {
    const folder = this.#open.get(key);
    if (folder === undefined) return;
    closeSync(folder.descriptor);
    this.#open.delete(key);
  }
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** Ends like stock's temporary files, so that every scan leaves it out. */
const temporaryName = '.pilotfish-place.tmp';

function reach(folder: OpenFolder, name: string): string {
  return byDescriptor ? `/proc/self/fd/${folder.descriptor}/${name}` : `${folder.path}/${name}`;
}
