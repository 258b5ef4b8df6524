/** A bundle of our own form as it is taken in: content goes to the staging, folders say what it is. */
import { type Catalogue, findItem, mayHoldIn } from '../cluster/files/catalogue.ts';
import type { Changes, Entry } from '../cluster/files/manifest.ts';
import type { MemberSink } from '../cluster/files/member-count.ts';
import type { FileName } from '../cluster/files/name.ts';
import type { OwnSink } from '../cluster/files/own-form.ts';
import type { MemberKind } from '../cluster/files/pack.ts';
import type { ToldFolder } from '../cluster/files/staged.ts';
import type { ClusterStaging } from './cluster-files-staging.ts';

export const droppedMember: MemberSink = {
  write: () => undefined,
  end: () => undefined,
  abort: () => undefined,
};

export class ToldMembers implements OwnSink {
  readonly #catalogue: Catalogue;
  readonly #staging: ClusterStaging | undefined;
  readonly #groups = { missing: new Map<FileName, Entry>(), shared: new Map<FileName, Entry>() };
  #group: Map<FileName, Entry> | undefined;
  /** One for all files of a folder: their hashes are told by the members. */
  #entry: Entry = { modTime: 0, itemKey: '', hash: undefined, merge: undefined };
  /** Where new files of the folder are gathered. */
  #told: ToldFolder | undefined;
  #takes: (base: string) => boolean = () => false;

  /** Without `staging` content is dropped. */
  constructor(catalogue: Catalogue, staging: ClusterStaging | undefined) {
    this.#catalogue = catalogue;
    this.#staging = staging;
  }

  folder(folder: string, { group, itemKey }: MemberKind): void {
    this.#group = group === undefined ? undefined : this.#groups[group];
    this.#entry = { modTime: 0, itemKey, hash: undefined, merge: undefined };
    const item = findItem(this.#catalogue, itemKey);
    this.#takes = item ? mayHoldIn(this.#catalogue, item, folder) : () => false;
    this.#told = group === 'missing' ? this.#staging?.toldFolder(folder, this.#entry) : undefined;
  }

  put(name: FileName, content: Uint8Array, hash: string): void {
    const told = this.#toldFor(name);
    if (told !== undefined) {
      this.#staging?.putTold(told, name, content, hash);
      return;
    }
    this.#group?.set(name, this.#entry);
    this.#staging?.put(name, content, hash);
  }

  open(name: FileName): MemberSink {
    const told = this.#toldFor(name);
    if (told === undefined) this.#group?.set(name, this.#entry);
    const sink = told && this.#staging?.toldSink(told, name);
    return sink ?? this.#staging?.sink(name, 'proven') ?? droppedMember;
  }

  /** What the item does not take is placed by itself, and refused there with its own words. */
  #toldFor(name: FileName): ToldFolder | undefined {
    const told = this.#told;
    return told && this.#takes(name.slice(name.lastIndexOf('/') + 1)) ? told : undefined;
  }

  /** Of files that were put by themselves, with what the metadata said. */
  added(changes: Changes): Changes {
    const { missing, shared } = this.#groups;
    for (const [name, entry] of changes.missing) missing.set(name, entry);
    for (const [name, entry] of changes.shared) shared.set(name, entry);
    return { ...changes, missing, shared };
  }
}
