/**
 * Folders that this node lacks come in as a whole: staged as folders, moved with one rename, which
 * leaves the stamps of the files in them as they are. Only where every file of one is ordered,
 * admitted and has its mode; whatever is not so plain is placed file by file, and fails there with
 * its own words.
 */
import type { Catalogue } from './catalogue.ts';
import type { Changes, Entry } from './manifest.ts';
import type { FileName } from './name.ts';
import { admit, landingOf, type Origin, type TargetTree } from './place.ts';
import { FileRefusal } from './refusal.ts';
import type { Placed, StagedFile, StagedFolder, ToldFolder } from './staged.ts';

interface Order {
  readonly changes: Changes;
  readonly staged: ReadonlyMap<FileName, StagedFile>;
  readonly origin: Origin;
  readonly catalogue: Catalogue;
  readonly tree: TargetTree;
}

/** What came in so, by name. A worker's files never do: it adds, and single files are asked for. */
export function placeWholeFolders(order: Order): ReadonlyMap<FileName, Placed> {
  const placed = new Map<FileName, Placed>();
  if (order.origin !== 'master') return placed;
  for (const [folder, files] of fitFolders(order)) {
    const name = files[0]?.name;
    if (name === undefined || !adopt(folder, files, order)) continue;
    for (const file of files) placed.set(file.name, file);
  }
  return placed;
}

/** Its files were admitted when they were staged, and are a master's. */
export function placeToldFolder(
  { folder, files }: ToldFolder,
  { origin, tree }: Pick<Order, 'origin' | 'tree'>,
): boolean {
  return origin === 'master' && adopt(folder, files, { tree });
}

/** Only with all that lies in it. */
function adopt(
  folder: StagedFolder,
  files: readonly Placed[],
  { tree }: Pick<Order, 'tree'>,
): boolean {
  const name = files[0]?.name;
  if (name === undefined || files.length !== folder.files) return false;
  return tree.adopt(folder.path, landingOf(name).folders);
}

function fitFolders(order: Order): ReadonlyMap<StagedFolder, readonly Placed[]> {
  const found = new Map<StagedFolder, Placed[]>();
  for (const [name, entry] of order.changes.missing) {
    const staged = order.staged.get(name);
    if (staged?.whole === undefined || !isPlain(name, entry, staged, order)) continue;
    const { folder, stamp } = staged.whole;
    const files = found.get(folder) ?? [];
    if (files.length === 0) found.set(folder, files);
    files.push({ name, stamp, hash: staged.hash });
  }
  return found;
}

function isPlain(
  name: FileName,
  entry: Entry,
  staged: StagedFile,
  { origin, catalogue }: Order,
): boolean {
  try {
    const item = admit(name, entry, origin, catalogue);
    return entry.merge === undefined && item.permissions === staged.mode;
  } catch (error) {
    if (error instanceof FileRefusal) return false;
    throw error;
  }
}
