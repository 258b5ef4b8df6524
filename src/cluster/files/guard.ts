/**
 * The guard against mass deletion, on both sides of an order. A deletion is never justified by
 * what could not be read; one that is large, or that empties an item kind, is held until it was
 * wished several times over some time, or until an operator accepts it. Held deletions are values:
 * they are shown in `status` and kept over restarts.
 */
import { type Catalogue, findItem } from './catalogue.ts';
import type { Manifest } from './manifest.ts';
import type { FileName } from './name.ts';
import { hasLooked, type Scan } from './walk.ts';

export interface GuardSettings {
  /** At most this many, and at most this share of the files there, go at once. */
  readonly files: number;
  readonly share: number;
  /** What is larger goes after as many agreeing scans or orders, at least this long after the first. */
  readonly agreements: number;
  readonly heldForMs: number;
}

export const defaultGuard: GuardSettings = {
  files: 50,
  share: 0.25,
  agreements: 3,
  heldForMs: 20_000,
};

export interface HeldDeletion {
  readonly name: FileName;
  readonly itemKey: string;
  readonly firstAtMs: number;
  readonly agreements: number;
  readonly isAccepted: boolean;
}

/** Everything held for one peer; plain values, empty at first. */
export type Held = readonly HeldDeletion[];

export interface DeletionWish {
  /** What the order names, with the metadata of the files' owner. */
  readonly extra: Manifest;
  /** How many files the node that would lose them has, by item key. */
  readonly present: ReadonlyMap<string, number>;
  /** Files that the same order creates there, by item key. */
  readonly created: ReadonlyMap<string, number>;
  /**
   * The scan that found the files to be too many. Of a peer's scan nothing is known (`undefined`):
   * then only agreement and an operator justify a large deletion.
   */
  readonly scan: Pick<Scan, 'blind'> | undefined;
  readonly nowMs: number;
}

export interface Judgement {
  readonly allowed: Manifest;
  readonly held: Held;
  /** Why, for people; undefined where nothing is held. */
  readonly reason: string | undefined;
  /** Something is held that was not held before: tell the peer and the log, once. */
  readonly isNews: boolean;
}

/** Which deletions may be ordered (master) or obeyed (worker) now. */
export function judgeDeletions(
  wish: DeletionWish,
  catalogue: Catalogue,
  before: Held,
  settings: GuardSettings = defaultGuard,
): Judgement {
  const { scan } = wish;
  const seen = scan === undefined ? wish.extra : only(wish.extra, (name) => hasLooked(scan, name));
  const reason = reasonToHold({ ...wish, extra: seen }, catalogue, settings);
  if (reason === undefined) return { allowed: seen, held: [], reason, isNews: false };
  const marked = markAgreement(seen, before, wish);
  const isReady = (one: HeldDeletion): boolean =>
    one.isAccepted || (isBlindless(scan) && isRipe(one, settings, wish.nowMs));
  const ready = new Set(marked.filter(isReady).map(({ name }) => name));
  const held = marked.filter(({ name }) => !ready.has(name));
  const known = new Set(before.map(({ name }) => name));
  return {
    allowed: only(seen, (name) => ready.has(name)),
    held,
    reason: held.length === 0 ? undefined : reason,
    isNews: held.some(({ name }) => !known.has(name)),
  };
}

/** The operator's word: what is held now may go with the next order that still names it. */
export function acceptDeletions(held: Held): Held {
  return held.map((one) => ({ ...one, isAccepted: true }));
}

/** One scan or order more that names them; what it no longer names is forgotten. */
function markAgreement(extra: Manifest, before: Held, wish: DeletionWish): Held {
  const known = new Map(before.map((one) => [one.name, one]));
  return [...extra].map(([name, { itemKey }]) => {
    const one = known.get(name);
    if (one !== undefined) return { ...one, agreements: one.agreements + 1 };
    return { name, itemKey, firstAtMs: wish.nowMs, agreements: 1, isAccepted: false };
  });
}

function isRipe(one: HeldDeletion, settings: GuardSettings, nowMs: number): boolean {
  return one.agreements >= settings.agreements && nowMs - one.firstAtMs >= settings.heldForMs;
}

function isBlindless(scan: DeletionWish['scan']): boolean {
  return scan === undefined || scan.blind.length === 0;
}

function reasonToHold(
  { extra, present, created }: DeletionWish,
  catalogue: Catalogue,
  { files, share }: GuardSettings,
): string | undefined {
  const count = extra.size;
  if (count === 0) return undefined;
  if (count > files) return `${count} files at once, more than ${files}`;
  const total = present.values().reduce((sum, one) => sum + one, 0);
  if (count > 1 && count > total * share) {
    return `${count} of ${total} files, more than ${share * 100} %`;
  }
  const emptied = emptiedItem(extra, present, created);
  if (emptied === undefined) return undefined;
  const item = findItem(catalogue, emptied);
  return `the last files of ${emptied}${item === undefined ? '' : ` (${item.description})`}`;
}

/** An item kind of which nothing would be left. */
function emptiedItem(
  extra: Manifest,
  present: ReadonlyMap<string, number>,
  created: ReadonlyMap<string, number>,
): string | undefined {
  const left = new Map(present);
  const count = (key: string, by: number): void => void left.set(key, (left.get(key) ?? 0) + by);
  for (const [itemKey, files] of created) count(itemKey, files);
  for (const { itemKey } of extra.values()) count(itemKey, -1);
  return [...extra.values()].find(({ itemKey }) => (left.get(itemKey) ?? 0) <= 0)?.itemKey;
}

function only(manifest: Manifest, isWanted: (name: FileName) => boolean): Manifest {
  return new Map([...manifest].filter(([name]) => isWanted(name)));
}
