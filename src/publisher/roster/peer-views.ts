/**
 * What publishers that stand by see of the managers from their places. Each has one voice among the
 * others that readiness hears, and none by itself: an old word, one from the future, one of a publisher
 * that sees nobody, count for nothing. Time is an argument; bounded by the publishers of an organisation.
 */
import { isJsonObject } from '../../guards.ts';
import { listLimits } from '../../list/model.ts';
import type { VerifiedRoot } from '../../list/root.ts';
import type { SigningKey } from '../../list/sign.ts';
import { notOurs, signPeerWord, verifyPeerWord } from '../peer-word.ts';
import type { LoadSample } from '../weights/judge-load.ts';
import type { PeerView } from './view.ts';

export interface ViewsWord {
  /** `leader.name` of the one that says it. */
  readonly publisher: string;
  /** Where it is; absent: a place of its own. */
  readonly site?: string;
  readonly atMs: number;
  /** By manager id; the manager of its own host is left out, which it would see whatever others see. */
  readonly seen: Readonly<Record<string, 'up' | 'down'>>;
  /** How busy its own host is, 0 to 1, for the manager that runs there. */
  readonly load?: { readonly manager: string; readonly busy: number };
}

export const maxViewsBytes = 4_096;
/** A standby says what it sees this often, and at once when it changes. */
export const sayEveryMs = 1_000;
/** So long a word counts. */
const countsMs = 3_000;
/** So long a publisher that fell silent may only be late: meanwhile a lone voice is not believed. */
const lateMs = 15_000;
/** After that its silence is told, and later forgotten: it may have been taken away for good. */
const forgetMs = 3_600_000;
/** Clocks of publishers are kept; words further apart than this are stale, or from the future. */
const maxSkewMs = 30_000;
const maxPublishers = 16;
const nameShape = /^[A-Za-z0-9._-]{1,64}$/;
const idShape = /^[A-Za-z0-9_-]{1,64}$/;

export function signViews(word: ViewsWord, org: string, key: SigningKey): Uint8Array {
  return signPeerWord('views', word, org, key);
}

/** @throws as verifyPeerWord */
export async function verifyViews(bytes: Uint8Array, root: VerifiedRoot): Promise<ViewsWord> {
  const word = await verifyPeerWord('views', bytes, root, maxViewsBytes);
  const { publisher, site, atMs, seen, load } = word;
  const isNamed = typeof publisher === 'string' && nameShape.test(publisher);
  const isSited = site === undefined || (typeof site === 'string' && idShape.test(site));
  const isTimed = typeof atMs === 'number' && Number.isFinite(atMs);
  if (!isNamed || !isSited || !isTimed || !isSeen(seen) || !isLoad(load)) {
    throw notOurs('not of the form that is known here');
  }
  const more = { ...(site === undefined ? {} : { site }), ...(load === undefined ? {} : { load }) };
  return { publisher, atMs, seen, ...more };
}

function isLoad(value: unknown): value is ViewsWord['load'] {
  if (value === undefined) return true;
  const { manager, busy } = isJsonObject(value) ? value : {};
  const isNamed = typeof manager === 'string' && idShape.test(manager);
  return isNamed && typeof busy === 'number' && busy >= 0 && busy <= 1;
}

function isSeen(value: unknown): value is ViewsWord['seen'] {
  if (!isJsonObject(value)) return false;
  const entries = Object.entries(value);
  const isRight = ([id, verdict]: (typeof entries)[number]): boolean =>
    idShape.test(id) && (verdict === 'up' || verdict === 'down');
  return entries.length <= listLimits.maxManagers && entries.every(isRight);
}

/** `stale`, `future`: by its own clock; `replayed`: not newer than the one that is known. */
export type TakenWord = 'taken' | 'own_name' | 'stale' | 'future' | 'replayed' | 'too_many';

export interface Instant {
  readonly nowMs: number;
  readonly monotonicMs: number;
}

interface Peer {
  readonly word: ViewsWord;
  /** Monotonic. */
  readonly heardMs: number;
  /** Why its words do not count although it says them. */
  readonly fault?: string;
}

/** What `status` tells of a publisher that stands by. */
export interface PeerSeen {
  readonly publisher: string;
  readonly site?: string;
  readonly ageMs: number;
  /** `wm2 35 % busy`, of its own host. */
  readonly load?: string;
  /** Absent while its views count. */
  readonly ignored?: string;
}

export class PeerViewsBook {
  readonly #peers = new Map<string, Peer>();
  readonly #ownName: string;

  constructor(ownName: string) {
    this.#ownName = ownName;
  }

  take(word: ViewsWord, { nowMs, monotonicMs }: Instant): TakenWord {
    const { publisher } = word;
    if (publisher === this.#ownName) return 'own_name';
    this.#forget(monotonicMs);
    const known = this.#peers.get(publisher);
    if (known === undefined && this.#peers.size >= maxPublishers) return 'too_many';
    const offMs = word.atMs - nowMs;
    if (Math.abs(offMs) > maxSkewMs) {
      const where = offMs > 0 ? 'ahead of' : 'behind';
      const fault = `its words are ${Math.round(Math.abs(offMs) / 1_000)} s ${where} the clock here`;
      // What it said in time stands until it is old; of one that never did it is known that it speaks.
      const isHeard = known !== undefined && known.word.atMs !== 0;
      const heardMs = isHeard ? known.heardMs : monotonicMs;
      this.#peers.set(publisher, {
        word: isHeard ? known.word : { ...word, atMs: 0 },
        heardMs,
        fault,
      });
      return offMs > 0 ? 'future' : 'stale';
    }
    if (known !== undefined && word.atMs <= known.word.atMs) return 'replayed';
    this.#peers.set(publisher, { word, heardMs: monotonicMs });
    return 'taken';
  }

  /** By manager id, one of each publisher, by name; `unknown` of one that may only be late. */
  views(monotonicMs: number): ReadonlyMap<string, readonly PeerView[]> {
    const views = new Map<string, PeerView[]>();
    for (const peer of this.#sorted()) {
      const ageMs = monotonicMs - peer.heardMs;
      if (ageMs > lateMs || peer.word.atMs === 0 || isBlind(peer.word)) continue;
      const { publisher, site, seen } = peer.word;
      for (const [id, verdict] of Object.entries(seen)) {
        const opinion = ageMs > countsMs ? 'unknown' : verdict;
        const view = { publisher, opinion, ...(site === undefined ? {} : { site }) } as const;
        views.set(id, [...(views.get(id) ?? []), view]);
      }
    }
    return views;
  }

  /** Of hosts that are heard now; a manager that two publishers call theirs is nobody's. */
  loads(monotonicMs: number): readonly LoadSample[] {
    const said = this.#sorted()
      .filter(({ heardMs, word }) => monotonicMs - heardMs <= countsMs && word.atMs !== 0)
      .flatMap(({ word: { load } }) => (load === undefined ? [] : [load]));
    return said
      .filter(({ manager }) => said.filter((one) => one.manager === manager).length === 1)
      .map(({ manager, busy }) => ({ id: manager, busy }));
  }

  /** Sorted by name. */
  seen(monotonicMs: number): readonly PeerSeen[] {
    this.#forget(monotonicMs);
    return this.#sorted().map((peer) => seenOf(peer, monotonicMs));
  }

  #sorted(): readonly Peer[] {
    const byName = ([left]: readonly [string, Peer], [right]: readonly [string, Peer]): number =>
      left < right ? -1 : 1;
    return [...this.#peers].sort(byName).map(([, peer]) => peer);
  }

  clear(): void {
    this.#peers.clear();
  }

  #forget(monotonicMs: number): void {
    for (const [name, { heardMs }] of this.#peers) {
      if (monotonicMs - heardMs > forgetMs) this.#peers.delete(name);
    }
  }
}

/** Whoever sees none of several sees itself. */
function isBlind({ seen }: ViewsWord): boolean {
  const verdicts = Object.values(seen);
  return verdicts.length > 1 && !verdicts.includes('up');
}

function seenOf({ word, heardMs, fault }: Peer, monotonicMs: number): PeerSeen {
  const ageMs = monotonicMs - heardMs;
  const silent =
    ageMs > lateMs ? `nothing was heard for ${Math.round(ageMs / 1_000)} s` : undefined;
  const ignored = fault ?? silent ?? (isBlind(word) ? 'it sees no manager at all' : undefined);
  return {
    publisher: word.publisher,
    ageMs,
    ...(word.site === undefined ? {} : { site: word.site }),
    ...(word.load === undefined ? {} : { load: loadText(word.load) }),
    ...(ignored === undefined ? {} : { ignored }),
  };
}

function loadText({ manager, busy }: NonNullable<ViewsWord['load']>): string {
  return `${manager} ${Math.round(busy * 100)} % busy`;
}
