/**
 * An unpacked bundle carried out: shared and missing files placed, allowed deletions done, folders
 * cleaned (cluster-protocol.md 5.7). One file's failure never stops the others; each is a value.
 */
import { messageOf, systemCodeOf } from '../../guards.ts';
import { type Catalogue, findItem, type ItemKind } from './catalogue.ts';
import type { Changes, Entry, Manifest } from './manifest.ts';
import { checkMergeType, decodeMerged, mergedTarget } from './merged.ts';
import type { FileName } from './name.ts';
import { cleanFolders, type Origin, placeFile, removeFile, type TargetTree } from './place.ts';
import { FileRefusal, shown } from './refusal.ts';
import { type Placed, pathIn, type StagedFile, type ToldFolder } from './staged.ts';
import { placeToldFolder, placeWholeFolders } from './whole-folders.ts';

/** One line for the stock log, by group. */
export interface ApplyFault {
  readonly group: 'missing' | 'shared' | 'extra';
  readonly name: string;
  readonly text: string;
}

export interface Applied {
  readonly placed: readonly Placed[];
  readonly removed: readonly FileName[];
  readonly faults: readonly ApplyFault[];
}

export interface Application {
  /** `extra` holds only what the guard allowed. */
  readonly changes: Changes;
  readonly staged: ReadonlyMap<FileName, StagedFile>;
  /** New files beside those of `changes`, by folder. */
  readonly told: readonly ToldFolder[];
  readonly origin: Origin;
  readonly catalogue: Catalogue;
  readonly tree: TargetTree;
  readonly staging: Staging;
}

/** The files that were unpacked, and more of the same kind. */
export interface Staging {
  /** Throws where the content is above what a merged blob may have. */
  read(file: StagedFile): Buffer;
  add(content: Uint8Array): StagedFile;
}

export function applyChanges(application: Application): Applied {
  const faults: ApplyFault[] = [];
  const shared = placeGroup('shared', application, faults);
  const told = placeTold(application, faults);
  const whole = placeWholeFolders(application);
  const single = placeGroup('missing', application, faults, whole);
  const placed = [...shared, ...told, ...whole.values(), ...single];
  const removed = application.origin === 'master' ? removeGroup(application, faults) : [];
  return { placed, removed, faults };
}

/** Folder by folder, the outer ones first; file by file where one cannot be moved as a whole. */
function placeTold(application: Application, faults: ApplyFault[]): readonly Placed[] {
  const byPath = application.told.toSorted((one, other) =>
    folderOf(one) < folderOf(other) ? -1 : 1,
  );
  return byPath.flatMap((told) =>
    placeToldFolder(told, application)
      ? told.files
      : placeGroup('missing', singly(told, application), faults),
  );
}

function folderOf({ files }: ToldFolder): string {
  const name = files[0]?.name ?? '';
  return name.slice(0, name.lastIndexOf('/'));
}

function singly({ folder, entry, mode, files }: ToldFolder, application: Application): Application {
  const missing = new Map(files.map(({ name }) => [name, entry]));
  const stagedOf = ({ name, stamp, hash }: Placed): StagedFile => {
    return { path: pathIn({ folder }, name), mode, hash, sizeBytes: stamp.sizeBytes };
  };
  const staged = new Map(files.map((file) => [file.name, stagedOf(file)]));
  return { ...application, staged, changes: { ...application.changes, missing } };
}

/** The line stock ends with when anything failed; undefined when nothing did. */
export function faultSummary(faults: readonly ApplyFault[]): string | undefined {
  if (faults.length === 0) return undefined;
  const count = (group: ApplyFault['group']): number =>
    faults.filter((fault) => fault.group === group).length;
  const [shared, missing, extra] = [count('shared'), count('missing'), count('extra')];
  return `Found errors: ${shared} overwriting, ${missing} creating and ${extra} removing`;
}

function placeGroup(
  group: 'missing' | 'shared',
  application: Application,
  faults: ApplyFault[],
  done: ReadonlyMap<FileName, Placed> = new Map(),
): Placed[] {
  const placed: Placed[] = [];
  for (const [name, entry] of application.changes[group]) {
    if (done.has(name)) continue;
    try {
      for (const order of ordersOf(name, entry, application))
        placed.push(place(order, application));
    } catch (error) {
      const text = `Error processing ${group} file '${name}': ${faultLine(error)}`;
      faults.push({ group, name, text });
    }
  }
  return placed;
}

interface Order {
  readonly name: FileName;
  readonly entry: Entry;
  readonly staged: StagedFile;
}

function place(order: Order, { origin, catalogue, tree }: Application): Placed {
  const stamp = placeFile(order, origin, catalogue, tree);
  return { name: order.name, stamp, hash: order.staged.hash };
}

/** One file, or the files of a merged blob: that is marked so and lies outside its item. */
function ordersOf(name: FileName, entry: Entry, application: Application): readonly Order[] {
  const staged = application.staged.get(name);
  if (staged === undefined) throw new FileRefusal(3003, 'the bundle does not hold it');
  const isBlob = entry.merge !== undefined && !name.startsWith(entry.itemKey);
  return isBlob ? blobOrders(staged, entry, application) : [{ name, entry, staged }];
}

function blobOrders(
  blob: StagedFile,
  entry: Entry,
  { catalogue, staging }: Application,
): readonly Order[] {
  checkMergeType(entry.merge?.type ?? '');
  const item = findItem(catalogue, entry.itemKey);
  if (item?.extraValid !== true) {
    throw new FileRefusal(3022, `Invalid cluster_item_key: ${shown(entry.itemKey)}`);
  }
  const { files, refused } = decodeMerged(staging.read(blob));
  if (refused[0] !== undefined)
    throw new FileRefusal(3052, `Invalid merge filename: ${refused[0]}`);
  return files.map(({ base, content }) => {
    return { name: mergedTarget(item, base), entry, staged: staging.add(content) };
  });
}

function removeGroup(
  { changes, catalogue, tree }: Application,
  faults: ApplyFault[],
): readonly FileName[] {
  const removed = removeAll(changes.extra, catalogue, tree, faults);
  for (const [folder, error] of cleanFolders(removed, catalogue, tree)) {
    if (systemCodeOf(error) === 'ENOENT') continue;
    const text = `Error removing directory '${folder}': ${faultLine(error)}`;
    faults.push({ group: 'extra', name: folder, text });
  }
  return removed.map(({ name }) => name);
}

function removeAll(
  extra: Manifest,
  catalogue: Catalogue,
  tree: TargetTree,
  faults: ApplyFault[],
): readonly { readonly name: FileName; readonly item: ItemKind }[] {
  return [...extra].flatMap(([name, entry]: [FileName, Entry]) => {
    try {
      removeFile({ name, entry }, catalogue, tree);
      const item = findItem(catalogue, entry.itemKey);
      return item === undefined ? [] : [{ name, item }];
    } catch (error) {
      const text = `Error removing file '${name}': ${faultLine(error)}`;
      faults.push({ group: 'extra', name, text });
      return [];
    }
  });
}

function faultLine(error: unknown): string {
  return error instanceof FileRefusal
    ? `Error ${error.fault.code} - ${error.message}`
    : messageOf(error);
}
