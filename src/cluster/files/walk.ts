/**
 * The scan of the item kinds (cluster-protocol.md 5.2), complete or saying so: what could not be
 * read is `blind`, and nothing below a blind name may be taken for gone.
 */
import { messageOf, systemCodeOf } from '../../guards.ts';
import { type Catalogue, type ItemKind, mayHold } from './catalogue.ts';
import { type FileStamp, type HashCache, modTimeOf } from './hash-cache.ts';
import type { Entry, Manifest } from './manifest.ts';
import { type FileName, isFileName } from './name.ts';

export interface FolderEntry {
  readonly name: string;
  readonly kind: 'file' | 'folder' | 'symlink' | 'other';
}

/** The Wazuh home as the scan sees it; every call may throw a system error. */
export interface ScanTree {
  /** Names that are not UTF-8 come with replacement characters. */
  list(folder: string): readonly FolderEntry[];
  /** Follows a symlink to a regular file inside the home; `undefined`: nothing to synchronise. */
  stamp(name: FileName, kind: FolderEntry['kind']): FileStamp | undefined;
  /** BLAKE2b-512 in hex, with the stamp the content really had. */
  hash(name: FileName): { readonly hash: string; readonly stamp: FileStamp };
}

export interface ScanProblem {
  readonly level: 'debug' | 'warning' | 'error';
  readonly itemKey: string;
  readonly folder: string;
  readonly text: string;
}

export interface Scan {
  readonly manifest: Manifest;
  /** Files and folders (these end in a slash) that are there but were not read. */
  readonly blind: readonly string[];
  readonly problems: readonly ScanProblem[];
  readonly hashedFiles: number;
}

export interface ScanRequest {
  readonly catalogue: Catalogue;
  readonly tree: ScanTree;
  readonly cache: HashCache;
  /** The last scan: an item folder that vanished together with its files is blind, not empty. */
  readonly before: Manifest | undefined;
  readonly nowMs: number;
  readonly mostFiles?: number;
}

const deepestFolders = 60;
const defaultMostFiles = 500_000;

export function scanFiles(request: ScanRequest): Scan {
  return new Walk(request).run();
}

export function isComplete(scan: Pick<Scan, 'blind'>): boolean {
  return scan.blind.length === 0;
}

/** Whether the scan looked where `name` is or would be. */
export function hasLooked(scan: Pick<Scan, 'blind'>, name: string): boolean {
  return !scan.blind.some((blind) =>
    blind.endsWith('/') ? name.startsWith(blind) : name === blind,
  );
}

class Walk {
  readonly #request: ScanRequest;
  readonly #found = new Map<FileName, Entry>();
  readonly #blind: string[] = [];
  readonly #problems: ScanProblem[] = [];
  #hashedFiles = 0;

  constructor(request: ScanRequest) {
    this.#request = request;
  }

  run(): Scan {
    for (const item of this.#request.catalogue.items) this.#folder(item, item.key, 0);
    this.#request.cache.keepOnly(new Set(this.#found.keys()));
    return {
      manifest: this.#found,
      blind: this.#blind,
      problems: this.#problems,
      hashedFiles: this.#hashedFiles,
    };
  }

  /** `folder` ends in a slash. */
  #folder(item: ItemKind, folder: string, depth: number): void {
    for (const { name, kind } of this.#list(item, folder)) {
      const path = `${folder}${name}`;
      if (!isFileName(path)) this.#report('warning', item, folder, `${path}: not synchronised`);
      else if (kind !== 'folder') this.#file(item, folder, path, kind);
      else if (item.recursive && depth >= deepestFolders) this.#blindFolder(item, `${path}/`);
      else if (item.recursive) this.#folder(item, `${path}/`, depth + 1);
    }
  }

  #list(item: ItemKind, folder: string): readonly FolderEntry[] {
    try {
      return this.#request.tree.list(folder);
    } catch (error) {
      const isGone = systemCodeOf(error) === 'ENOENT' && !this.#hadFiles(folder, item);
      if (!isGone) {
        this.#blind.push(folder);
        this.#report('warning', item, folder, `Error getting file status: ${messageOf(error)}.`);
      }
      return [];
    }
  }

  /** A vanished item folder that held files is more likely a lost mount than a wish. */
  #hadFiles(folder: string, item: ItemKind): boolean {
    if (folder !== item.key) return false;
    return this.#request.before?.keys().some((name) => name.startsWith(folder)) ?? false;
  }

  #blindFolder(item: ItemKind, folder: string): void {
    this.#blind.push(folder);
    this.#report('warning', item, folder, `deeper than ${deepestFolders} folders: not read`);
  }

  #file(item: ItemKind, folder: string, path: FileName, kind: FolderEntry['kind']): void {
    if (!mayHold(this.#request.catalogue, item, path)) return;
    try {
      this.#read(item, path, kind);
    } catch (error) {
      const base = path.slice(folder.length);
      if (systemCodeOf(error) === 'ENOENT') {
        const text = `File ${base} was deleted in previous iteration: ${messageOf(error)}`;
        this.#report('debug', item, folder, text);
        return;
      }
      this.#blind.push(path);
      const text = `Can't read metadata from file ${base}: ${messageOf(error)}`;
      this.#report('error', item, folder, text);
    }
  }

  #read(item: ItemKind, path: FileName, kind: FolderEntry['kind']): void {
    const { tree, cache, mostFiles = defaultMostFiles } = this.#request;
    const stamp = tree.stamp(path, kind);
    if (stamp === undefined) return;
    if (this.#found.size >= mostFiles) throw new Error(`more than ${mostFiles} files`);
    const known = cache.find(path, stamp);
    const fresh = known === undefined ? this.#hash(path) : { stamp, hash: known };
    this.#keep(item, path, fresh.stamp, fresh.hash);
  }

  #hash(path: FileName): ReturnType<ScanTree['hash']> {
    const { tree, cache, nowMs } = this.#request;
    const fresh = tree.hash(path);
    this.#hashedFiles += 1;
    cache.remember(path, fresh.stamp, fresh.hash, nowMs);
    return fresh;
  }

  /** `*.merged` is an ordinary file here: marked as merged, stock workers could not take it. */
  #keep(item: ItemKind, path: FileName, stamp: FileStamp, hash: string): void {
    const entry = { modTime: modTimeOf(stamp), itemKey: item.key, hash, merge: undefined };
    this.#found.set(path, entry);
  }

  #report(level: ScanProblem['level'], item: ItemKind, folder: string, text: string): void {
    if (this.#problems.length >= 1000) return;
    this.#problems.push({ level, itemKey: item.key, folder, text });
  }
}
