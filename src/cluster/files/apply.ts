/**
 * An unpacked bundle carried out: shared and missing files placed, allowed deletions done, folders
 * cleaned (cluster-protocol.md 5.7). One file's failure never stops the others; each is a value.
 */
import { messageOf, systemCodeOf } from '../../guards.ts';
import { type Catalogue, findItem, type ItemKind } from './catalogue.ts';
import type { FileStamp } from './hash-cache.ts';
import type { Changes, Entry, Manifest } from './manifest.ts';
import type { FileName } from './name.ts';
import {
  cleanFolders,
  type Origin,
  placeFile,
  removeFile,
  type Staged,
  type TargetTree,
} from './place.ts';
import { FileRefusal } from './refusal.ts';

export interface StagedFile extends Staged {
  readonly sizeBytes: number;
  /** BLAKE2b-512, hex. */
  readonly hash: string;
}

/** One line for the stock log, by group. */
export interface ApplyFault {
  readonly group: 'missing' | 'shared' | 'extra';
  readonly name: string;
  readonly text: string;
}

export interface Placed {
  readonly name: FileName;
  readonly stamp: FileStamp;
  readonly hash: string;
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
  readonly origin: Origin;
  readonly catalogue: Catalogue;
  readonly tree: TargetTree;
}

export function applyChanges(application: Application): Applied {
  const faults: ApplyFault[] = [];
  const placed = [
    ...placeGroup('shared', application, faults),
    ...placeGroup('missing', application, faults),
  ];
  const removed = application.origin === 'master' ? removeGroup(application, faults) : [];
  return { placed, removed, faults };
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
  { changes, staged, origin, catalogue, tree }: Application,
  faults: ApplyFault[],
): Placed[] {
  const placed: Placed[] = [];
  for (const [name, entry] of changes[group]) {
    const file = staged.get(name);
    try {
      if (file === undefined) throw new FileRefusal(3003, 'the bundle does not hold it');
      const stamp = placeFile({ name, entry, staged: file }, origin, catalogue, tree);
      placed.push({ name, stamp, hash: file.hash });
    } catch (error) {
      const text = `Error processing ${group} file '${name}': ${faultLine(error)}`;
      faults.push({ group, name, text });
    }
  }
  return placed;
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
