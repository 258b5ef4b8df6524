/**
 * Changes below the item folders, told by the kernel: one watch per folder, none per file. Where
 * that is impossible (a limit, a network file system that tells nothing) it says so and the caller
 * scans by the clock.
 */
import { type FSWatcher, readdirSync, watch } from 'node:fs';
import { join } from 'node:path';
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

class TreeWatch implements Watching {
  readonly #home: string;
  readonly #changed: () => void;
  readonly #watchers = new Map<string, FSWatcher>();
  #isReliable = process.platform === 'linux';
  readonly #toLookInto = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(home: string, catalogue: Catalogue, changed: () => void) {
    this.#home = home;
    this.#changed = changed;
    for (const { key, recursive } of catalogue.items) this.#add(key.slice(0, -1), recursive);
  }

  get isReliable(): boolean {
    return this.#isReliable;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #add(folder: string, isRecursive: boolean): void {
    if (this.#isClosed || this.#watchers.has(`${folder} ${isRecursive}`)) return;
    if (this.#watchers.size >= mostFolders) {
      this.#isReliable = false;
      return;
    }
    try {
      this.#watch(folder, isRecursive);
      if (isRecursive) this.#addChildren(folder);
    } catch (error) {
      // A folder that is not there yet appears without a word: look by the clock.
      if (systemCodeOf(error) !== 'ENOTDIR') this.#isReliable = false;
    }
  }

  #watch(folder: string, isRecursive: boolean): void {
    const key = `${folder} ${isRecursive}`;
    const watcher = watch(join(this.#home, folder), { persistent: false }, (event) => {
      if (event === 'rename' && isRecursive) this.#lookInto(folder);
      this.#changed();
    });
    watcher.on('error', () => this.#lost(key, watcher));
    this.#watchers.set(key, watcher);
  }

  /** Soon, and once for many files that come at a time: they are listed to find new folders. */
  #lookInto(folder: string): void {
    this.#toLookInto.add(folder);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const folders = [...this.#toLookInto];
      this.#toLookInto.clear();
      for (const one of folders) this.#addChildren(one);
    }, lookMs).unref();
  }

  #addChildren(folder: string): void {
    if (this.#isClosed) return;
    try {
      const entries = readdirSync(join(this.#home, folder), { withFileTypes: true });
      for (const entry of entries) {
        if (entry.isDirectory()) this.#add(`${folder}/${entry.name}`, true);
      }
    } catch {
      this.#dropGone(folder);
    }
  }

  /** The folder is gone: its parent tells when another one takes its name. */
  #dropGone(folder: string): void {
    for (const key of [`${folder} true`, `${folder} false`]) {
      this.#watchers.get(key)?.close();
      this.#watchers.delete(key);
    }
  }

  #lost(key: string, watcher: FSWatcher): void {
    watcher.close();
    this.#watchers.delete(key);
    this.#changed();
  }
}
