/**
 * Which files are synchronised, as data: the item kinds of cluster.json with their permissions and
 * rules (cluster-protocol.md 5.1). A received path is looked up here and never merely joined.
 */
import type { FileName } from './name.ts';
import { FileRefusal, shown } from './refusal.ts';

export interface ItemKind {
  /** Folder below the Wazuh home with a trailing slash, `etc/rules/`; also its name on the wire. */
  readonly key: string;
  readonly permissions: number;
  readonly source: string;
  /** `all`, or the only base names that belong to it. */
  readonly files: 'all' | readonly string[];
  readonly recursive: boolean;
  /** Carried along as stock does; no node acts on it. */
  readonly restart: boolean;
  readonly removeEmptyFolders: boolean;
  /** A worker may send such files to the master. */
  readonly extraValid: boolean;
  readonly description: string;
}

export interface Catalogue {
  /** In file order: on a collision of names the later item wins, as in stock's walk. */
  readonly items: readonly ItemKind[];
  /** Base names that are left out anywhere. */
  readonly excludedNames: readonly string[];
  readonly excludedEndings: readonly string[];
}

/** Files that no catalogue may hand to a peer: a receiver of these could run commands as root. */
const neverReceived: ReadonlySet<string> = new Set([
  'ossec.conf',
  'wazuh-manager.conf',
  'internal_options.conf',
  'local_internal_options.conf',
]);

export function findItem(catalogue: Catalogue, key: string): ItemKind | undefined {
  return catalogue.items.find((item) => item.key === key);
}

export function isExcluded(catalogue: Catalogue, base: string): boolean {
  return (
    catalogue.excludedNames.includes(base) ||
    catalogue.excludedEndings.some((ending) => base.endsWith(ending))
  );
}

/** Whether the item's own rules take `name`: inside, deep enough, listed, not excluded. */
export function mayHold(catalogue: Catalogue, item: ItemKind, name: FileName): boolean {
  const end = Math.max(0, name.lastIndexOf('/'));
  return mayHoldIn(catalogue, item, name.slice(0, end))(name.slice(end + 1));
}

/** The same for the files of one folder, which has no slash at its end, by their base names. */
export function mayHoldIn(
  catalogue: Catalogue,
  item: ItemKind,
  folder: string,
): (base: string) => boolean {
  const inside = `${folder}/`;
  const isDeepEnough = item.recursive ? inside.startsWith(item.key) : inside === item.key;
  if (!isDeepEnough) return () => false;
  return (base) =>
    (item.files === 'all' || item.files.includes(base)) &&
    !isExcluded(catalogue, base) &&
    !(folder === 'etc' && neverReceived.has(base));
}

/**
 * The item a peer claims for a file, if that item really takes it.
 * Throws `FileRefusal` 3022 with the stock texts.
 */
export function locate(catalogue: Catalogue, name: FileName, claimedKey: string): ItemKind {
  const item = findItem(catalogue, claimedKey);
  if (item === undefined) {
    throw new FileRefusal(3022, `Invalid cluster_item_key: ${shown(claimedKey)}`);
  }
  if (mayHold(catalogue, item, name)) return item;
  throw new FileRefusal(3022, `File path outside allowed directory: ${shown(name)}`);
}

/** The item that takes `name`; the last one wins, as in the walk. */
export function itemOf(catalogue: Catalogue, name: FileName): ItemKind | undefined {
  return catalogue.items.findLast((item) => mayHold(catalogue, item, name));
}
