/**
 * The one way a received file gets onto the disk, and the one way a file of a peer's list leaves
 * it: name checked, looked up by item kind in our own catalogue, allowed for the peer's role, then
 * moved or removed by a port that follows no symlink (trust-and-safety 2.1).
 */
import { type Catalogue, type ItemKind, locate } from './catalogue.ts';
import type { FileStamp } from './hash-cache.ts';
import type { Entry } from './manifest.ts';
import type { FileName } from './name.ts';
import { FileRefusal, shown } from './refusal.ts';

/** Whom the order comes from; a worker may only add files of items marked `extra_valid`. */
export type Origin = 'master' | 'worker';

/** A received file's content, already on disk under a name of our own. */
export interface Staged {
  readonly path: string;
  /** Permissions it has already. */
  readonly mode: number;
}

export interface Landing {
  /** Folders below the home, outermost first. */
  readonly folders: readonly string[];
  readonly base: string;
}

/** The Wazuh home as a receiver touches it. No call follows a symlink below the home. */
export interface TargetTree {
  /** Atomic: the old file or the new one, whole. Makes missing folders, mode 0770. */
  replace(staged: Staged, landing: Landing, mode: number): FileStamp;
  /**
   * Atomic: a staged folder in the place of one that is not there, made and missing folders alike
   * with mode 0770. False where that cannot be; the staged files are then where they were.
   */
  adopt(stagedFolder: string, folders: readonly string[]): boolean;
  has(landing: Landing): boolean;
  remove(landing: Landing): 'removed' | 'absent';
  /** Names in a folder; throws ENOENT where it is gone. */
  list(folders: readonly string[]): readonly string[];
  /** Remove a folder that holds at most the plain files `leftovers`. */
  removeFolder(folders: readonly string[], leftovers: readonly string[]): void;
}

/**
 * Put a staged file where its entry says. Returns what the scan will see.
 * Throws `FileRefusal` for what the catalogue does not take, a system error for what the disk
 * refuses; either way the old file is untouched.
 */
export function placeFile(
  order: { readonly name: FileName; readonly entry: Entry; readonly staged: Staged },
  origin: Origin,
  catalogue: Catalogue,
  tree: TargetTree,
): FileStamp {
  const item = admit(order.name, order.entry, origin, catalogue);
  const landing = landingOf(order.name);
  if (origin === 'worker' && tree.has(landing)) {
    throw new FileRefusal(3022, `a worker adds and never replaces: ${shown(order.name)}`);
  }
  return tree.replace(order.staged, landing, item.permissions);
}

/** Remove a file that an order names. Throws as `placeFile` does. */
export function removeFile(
  order: { readonly name: FileName; readonly entry: Entry },
  catalogue: Catalogue,
  tree: TargetTree,
): 'removed' | 'absent' {
  admit(order.name, order.entry, 'master', catalogue);
  return tree.remove(landingOf(order.name));
}

/** The gate before every effect, in both directions. Throws `FileRefusal`. */
export function admit(
  name: FileName,
  entry: Entry,
  origin: Origin,
  catalogue: Catalogue,
): ItemKind {
  if (origin === 'worker' && isClientKeys(name)) {
    throw new FileRefusal(3007, 'a worker does not send the keys of agents');
  }
  const item = locate(catalogue, name, entry.itemKey);
  if (origin === 'worker' && !item.extraValid) {
    throw new FileRefusal(3022, `File not allowed to be synced from worker: ${shown(name)}`);
  }
  return item;
}

function isClientKeys(name: FileName): boolean {
  return name.slice(name.lastIndexOf('/') + 1).toLowerCase() === 'client.keys';
}

export function landingOf(name: FileName): Landing {
  const folders = name.split('/');
  const base = folders.pop() ?? '';
  return { folders, base };
}

/**
 * Folders that removals left empty, or with nothing but excluded names, where the item says so.
 * Only the folder itself as in stock, and never the item's own folder, unlike stock.
 * Returns what went wrong, by folder.
 */
export function cleanFolders(
  removed: Iterable<{ readonly name: FileName; readonly item: ItemKind }>,
  catalogue: Catalogue,
  tree: TargetTree,
): ReadonlyMap<string, unknown> {
  const failures = new Map<string, unknown>();
  const folders = new Set<string>();
  for (const { name, item } of removed) {
    const folder = name.slice(0, name.lastIndexOf('/'));
    if (item.removeEmptyFolders && folder.length >= item.key.length) folders.add(folder);
  }
  for (const folder of folders) {
    try {
      cleanFolder(folder.split('/'), catalogue.excludedNames, tree);
    } catch (error) {
      failures.set(folder, error);
    }
  }
  return failures;
}

function cleanFolder(
  folders: readonly string[],
  excluded: readonly string[],
  tree: TargetTree,
): void {
  const names = tree.list(folders);
  if (names.every((name) => excluded.includes(name))) tree.removeFolder(folders, names);
}
