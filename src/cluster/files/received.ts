/** What a received bundle would change, judged before anything of it is applied. */
import { type Catalogue, findItem, mayHold } from './catalogue.ts';
import type { Unpacked } from './jobs.ts';
import type { Changes, Manifest } from './manifest.ts';
import type { FileName } from './name.ts';
import { FileRefusal, shown } from './refusal.ts';
import type { StagedFile, ToldFolder } from './staged.ts';

/** What is created would count for the guard and then be deleted. */
export function mustNotContradict(
  { missing, shared, extra }: Changes,
  told: Iterable<ToldFolder>,
): void {
  if (extra.size === 0) return;
  const toldNames = [...told].flatMap(({ files }) => files.map(({ name }) => name));
  for (const name of [...missing.keys(), ...shared.keys(), ...toldNames]) {
    if (extra.has(name)) throw new FileRefusal(3003, `${shown(name)} is sent and to be deleted`);
  }
}

/** Only what the bundle itself named may go, whatever the caller says. */
export function listedIn(extra: Manifest, ordered: Manifest): Manifest {
  return new Map([...ordered].filter(([name]) => extra.has(name)));
}

/** Only what its item takes counts as created: the guard lets as many others go. */
export function summaryOf(
  { missing, shared, extra, wanted = [] }: Changes,
  staged: {
    readonly files: ReadonlyMap<FileName, StagedFile>;
    readonly told: ReadonlyMap<string, ToldFolder>;
  },
  catalogue: Catalogue,
): Omit<Unpacked, 'id' | 'problems'> {
  const created = new Map<string, number>();
  const count = (itemKey: string, files: number): void =>
    void created.set(itemKey, (created.get(itemKey) ?? 0) + files);
  for (const [name, { itemKey }] of missing) {
    if (isTaken(name, itemKey, catalogue)) count(itemKey, 1);
  }
  let toldFiles = 0;
  for (const { entry, files } of staged.told.values()) {
    count(entry.itemKey, files.length);
    toldFiles += files.length;
  }
  const missingFiles = missing.size + toldFiles;
  const stagedFiles = staged.files.size + toldFiles;
  return { missingFiles, sharedFiles: shared.size, extra, wanted, created, stagedFiles };
}

function isTaken(name: FileName, itemKey: string, catalogue: Catalogue): boolean {
  const item = findItem(catalogue, itemKey);
  return item !== undefined && mayHold(catalogue, item, name);
}
