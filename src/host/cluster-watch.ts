/**
 * Changes below the item folders, told by the kernel: one watch per folder, none per file. Where
 * that is impossible (a limit, a network file system that tells nothing) it says so and the caller
 * scans by the clock.
 */
import { type FSWatcher, readdirSync, statSync, watch } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Catalogue } from '../cluster/files/catalogue.ts';
import type { FileWatch, Watching } from '../cluster/tasks/node-ports.ts';
import { systemCodeOf } from '../guards.ts';

const mostFolders = 50_000;
/** Below the time in which changes settle, so a folder is watched before the scan that sees it. */
const lookMs = 50;

export class ClusterWatch implements FileWatch {
  readonly #home: string;
  readonly #catalogue: Catalogue;

  constructor(home: string, catalogue: Catalogue) {
    this.#home = home;
    this.#catalogue = catalogue;
  }

  watch(changed: () => void): Watching {
    return new TreeWatch(this.#home, this.#catalogue, changed);
  }
}

interface Watched {
  readonly watcher: FSWatcher;
  readonly inode: bigint;
}

class TreeWatch implements Watching {
  readonly #home: string;
  readonly #changed: () => void;
  readonly #watched = new Map<string, Watched>();
  /** Recursive folders below each recursive folder. */
  readonly #below = new Map<string, Set<string>>();
  readonly #items: readonly { readonly folder: string; readonly isRecursive: boolean }[];
  #isReliable = process.platform === 'linux';
  readonly #toLookInto = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(home: string, catalogue: Catalogue, changed: () => void) {
    this.#home = home;
    this.#changed = changed;
    this.#items = catalogue.items.map(({ key, recursive }) => {
      return { folder: key.slice(0, -1), isRecursive: recursive };
    });
    for (const { folder, isRecursive } of this.#items) this.#add(folder, isRecursive);
  }

  get isReliable(): boolean {
    return this.#isReliable;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const { watcher } of this.#watched.values()) watcher.close();
    this.#watched.clear();
  }

  #add(folder: string, isRecursive: boolean): void {
    if (this.#isClosed) return;
    try {
      const { ino: inode } = statSync(join(this.#home, folder), { bigint: true });
      const before = this.#watched.get(keyOf(folder, isRecursive));
      if (before?.inode === inode) return;
      if (before !== undefined) this.#drop(folder); // another folder took its name
      if (this.#watched.size >= mostFolders) {
        this.#isReliable = false;
        return;
      }
      this.#watch(folder, isRecursive, inode);
      if (isRecursive) this.#addChildren(folder);
    } catch (error) {
      // A folder that is not there yet appears without a word: look by the clock.
      if (systemCodeOf(error) !== 'ENOTDIR') this.#isReliable = false;
    }
  }

  #watch(folder: string, isRecursive: boolean, inode: bigint): void {
    const key = keyOf(folder, isRecursive);
    const path = join(this.#home, folder);
    const watcher = watch(path, { persistent: false }, (event, name) => {
      if (event === 'rename') this.#renamed(folder, isRecursive, name);
      this.#changed();
    });
    watcher.on('error', () => this.#lost(key, watcher));
    this.#watched.set(key, { watcher, inode });
  }

  /** Also its own removal or move is told, under its own name: the watch stays with what it was. */
  #renamed(folder: string, isRecursive: boolean, name: string | null): void {
    if (name === basename(folder)) {
      for (const item of this.#items) {
        if (!`${item.folder}/`.startsWith(`${folder}/`)) continue;
        this.#drop(item.folder);
        this.#lookInto(item.folder);
      }
      this.#drop(folder);
      this.#lookInto(dirname(folder));
    }
    if (isRecursive) this.#lookInto(folder);
  }

  /** Soon, and once for many files that come at a time: they are listed to find new folders. */
  #lookInto(folder: string): void {
    this.#toLookInto.add(folder);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const folders = [...this.#toLookInto];
      this.#toLookInto.clear();
      for (const one of folders) this.#look(one);
    }, lookMs).unref();
  }

  #look(folder: string): void {
    for (const item of this.#items) if (item.folder === folder) this.#add(folder, item.isRecursive);
    if (this.#watched.has(keyOf(folder, true))) this.#addChildren(folder);
  }

  #addChildren(folder: string): void {
    if (this.#isClosed) return;
    try {
      const entries = readdirSync(join(this.#home, folder), { withFileTypes: true });
      for (const entry of entries) {
        if (entry.isDirectory()) this.#addChild(folder, `${folder}/${entry.name}`);
      }
    } catch {
      this.#drop(folder); // its parent tells when another one takes its name
    }
  }

  #addChild(parent: string, folder: string): void {
    const siblings = this.#below.get(parent) ?? new Set();
    this.#below.set(parent, siblings.add(folder));
    this.#add(folder, true);
  }

  /** The folder is gone, and with it what was below. */
  #drop(folder: string): void {
    for (const key of [keyOf(folder, true), keyOf(folder, false)]) {
      this.#watched.get(key)?.watcher.close();
      this.#watched.delete(key);
    }
    const below = this.#below.get(folder);
    this.#below.delete(folder);
    for (const one of below ?? []) this.#drop(one);
  }

  #lost(key: string, watcher: FSWatcher): void {
    watcher.close();
    this.#watched.delete(key);
    this.#changed();
  }
}

function keyOf(folder: string, isRecursive: boolean): string {
  return `${folder} ${isRecursive}`;
}
