/**
 * A publisher that follows another one: offers from any number of sources -> proven as a sidecar
 * would -> kept in one file -> served. The newest wins, whichever source brought it; a source that
 * fails, lies or lags costs nothing but a line in `status`. Nothing is ever signed here.
 */
import type { Clock } from '../../clock.ts';
import { sleep } from '../../clock.ts';
import { PilotfishError } from '../../errors.ts';
import type { ManagerList } from '../../list/model.ts';
import type { KnownList } from '../../list/position.ts';
import type { ProvenList } from '../../list/verify.ts';
import type { Log } from '../../log.ts';
import type { Complaints } from '../complaints.ts';
import type { PublishedList } from '../history.ts';
import type { ListService } from '../list-service.ts';
import type { Bundle, Offer } from './offer.ts';
import {
  type Chain,
  type FollowTrust,
  type Held,
  restoreHeld,
  takeOffer,
  walkRoots,
} from './take.ts';

/** Port: a place that lists come from. */
export interface FollowSource {
  /** URL, path, or `cluster`. */
  readonly name: string;
  /** Least time between two looks that brought nothing. */
  readonly everyMs: number;
  /**
   * What is there now, waited for where that can be; undefined: nothing new, `freshAtMs` where the
   * writer itself said so. Throws PilotfishError; rejects when `signal` aborts.
   */
  look(known: Followed, signal: AbortSignal): Promise<Look>;
}

/** What a source needs to know to ask for news only. */
export interface Followed {
  readonly list: KnownList | undefined;
  readonly root: Chain['newest']['root'] | undefined;
}

export type Look =
  | { readonly kind: 'offer'; readonly offer: Offer }
  | { readonly kind: 'nothing'; readonly freshAtMs?: number };

/** Port: what was followed last, whole or as it was before. */
export interface FollowedFile {
  /** Undefined when there is none. Throws PilotfishError. */
  read(): Promise<StoredFollowed | undefined>;
  /** Throws HostError `write_failed`. */
  write(followed: StoredFollowed): Promise<void>;
}

export interface StoredFollowed {
  readonly bundle: Bundle;
  readonly source: string;
  readonly takenAtMs: number;
}

export interface FollowerParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly complaints: Complaints;
  readonly service: ListService;
  readonly file: FollowedFile;
  readonly sources: readonly FollowSource[];
  readonly trust: FollowTrust;
  /** Told of every list that is served from now on. */
  onNews?(held: Held): void;
}

/** Where the list came from, for `status` and metrics. */
export interface FollowFacts {
  readonly source: string;
  readonly takenAtMs: number;
  /** When the writer last proved, by a receipt, that this is its newest list. */
  readonly freshAtMs?: number;
}

const firstPauseMs = 1_000;
const longestPauseMs = 30_000;

export class Follower {
  readonly #parts: FollowerParts;
  #chain: Chain | undefined;
  #held: Held | undefined;
  #facts: FollowFacts | undefined;
  #tail: Promise<unknown> = Promise.resolve();

  constructor(parts: FollowerParts) {
    this.#parts = parts;
  }

  get facts(): FollowFacts | undefined {
    return this.#facts;
  }

  get held(): Held | undefined {
    return this.#held;
  }

  /** The envelope of root N, as it came. */
  root(version: number): Uint8Array | undefined {
    return this.#held?.chain.envelopes[version - 1];
  }

  /** What lay here when it last ran, served at once; damaged files are told and written over. */
  async restore(): Promise<void> {
    const { file, trust, clock, complaints, log } = this.#parts;
    try {
      const stored = await file.read();
      if (stored === undefined) return;
      const held = await restoreHeld(stored.bundle, { trust, nowMs: clock.nowMs() });
      const { source, takenAtMs } = stored;
      this.#chain = held.chain;
      this.#serve(held, { source, takenAtMs });
      log.info('follow.restored', { version: held.proven.position.version, source });
    } catch (thrown) {
      if (!(thrown instanceof PilotfishError)) throw thrown;
      complaints.begin('follow.file', `${thrown.code} ${thrown.message}; fetched anew`);
    }
  }

  /** Until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#parts.sources.map((source) => this.#follow(source, signal)));
  }

  async #follow(source: FollowSource, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    let pauseMs = firstPauseMs;
    while (!signal.aborted) {
      const beganMs = clock.monotonicMs();
      const outcome = await this.#lookOnce(source, signal);
      if (outcome === 'failed') pauseMs = Math.min(longestPauseMs, pauseMs * 2);
      else pauseMs = firstPauseMs;
      const tookMs = clock.monotonicMs() - beganMs;
      const restMs = { failed: pauseMs, news: 100, nothing: source.everyMs - tookMs }[outcome];
      if (restMs > 0) await sleep(clock, restMs, signal).catch(() => undefined);
    }
  }

  async #lookOnce(
    source: FollowSource,
    signal: AbortSignal,
  ): Promise<'news' | 'nothing' | 'failed'> {
    const { complaints } = this.#parts;
    const topic = `follow.${source.name}`;
    try {
      const root = this.#chain?.newest.root;
      const look = await source.look({ list: this.#held?.proven, root }, signal);
      if (look.kind === 'nothing') this.#noteFresh(look.freshAtMs);
      const isNews = look.kind === 'offer' && (await this.offer(look.offer, source.name));
      complaints.end(topic);
      return isNews ? 'news' : 'nothing';
    } catch (thrown) {
      if (signal.aborted) return 'nothing';
      if (!(thrown instanceof PilotfishError)) throw thrown;
      if (this.#isBehind(thrown, source.name)) complaints.end(topic);
      else complaints.begin(topic, `${thrown.code} ${thrown.message}`);
      return 'failed';
    }
  }

  /** A slower way, such as a shared folder, brings what a faster one has left behind: no trouble. */
  #isBehind(thrown: PilotfishError, source: string): boolean {
    return thrown.reason === 'rolled_back' && this.#facts?.source !== source;
  }

  /** One offer after the other; true: it is served now. Throws ListError, HostError: nothing changes. */
  async offer(offer: Offer, source: string): Promise<boolean> {
    // Whoever is slow is waited for before its turn: it holds up nobody's news.
    const fetched = await withRoots(offer, this.#chain, this.#parts.trust);
    const taken = this.#tail.then(() => this.#take(fetched, source));
    this.#tail = taken.catch(() => undefined);
    return taken;
  }

  async #take(offer: Offer, source: string): Promise<boolean> {
    const { trust, clock, file } = this.#parts;
    this.#chain = await walkRoots(this.#chain, offer, trust);
    const nowMs = clock.nowMs();
    const taken = await takeOffer(this.#held, this.#chain, offer, { trust, nowMs });
    if (taken.held === this.#held) {
      this.#noteFresh(taken.freshAtMs);
      return false;
    }
    const facts =
      taken.kind === 'same' && this.#facts !== undefined
        ? this.#facts
        : { source, takenAtMs: nowMs };
    // First on disk: what was served is not forgotten by a restart.
    await file.write({ bundle: taken.held.bundle, ...pick(facts) });
    this.#serve(taken.held, facts);
    this.#noteFresh(taken.freshAtMs);
    return taken.kind === 'new';
  }

  #noteFresh(freshAtMs: number | undefined): void {
    if (freshAtMs === undefined || this.#facts === undefined) return;
    this.#facts = { ...this.#facts, freshAtMs };
  }

  #serve(held: Held, facts: FollowFacts): void {
    const { service, log, complaints } = this.#parts;
    this.#held = held;
    this.#facts = facts;
    const { newcomers, bundle, proven } = held;
    const flat = bundle.flat === undefined ? {} : { flat: bundle.flat };
    const entry = followedEntry(proven, bundle.list, facts.source);
    const isNew =
      newcomers === undefined || bundle.newcomers === undefined
        ? service.serve({ ...entry, ...flat })
        : service.serve(entry, {
            ...followedEntry(newcomers, bundle.newcomers, facts.source),
            ...flat,
          });
    complaints.end('follow.file');
    this.#parts.onNews?.(held);
    if (!isNew) return;
    const { version } = proven.position;
    log.info('list.served', { version, source: facts.source, waiting: service.waiting() });
  }
}

function pick({ source, takenAtMs }: FollowFacts): Omit<StoredFollowed, 'bundle'> {
  return { source, takenAtMs };
}

/** The offer with every root after `known` fetched and proven already. Throws as `walkRoots` does. */
async function withRoots(
  offer: Offer,
  known: Chain | undefined,
  trust: FollowTrust,
): Promise<Offer> {
  const roots = new Map<number, Uint8Array>();
  const root = async (version: number): Promise<Uint8Array | undefined> => {
    const bytes = await offer.root(version);
    if (bytes !== undefined) roots.set(version, bytes);
    return bytes;
  };
  await walkRoots(known, { root }, trust);
  return { ...offer, root: async (version) => roots.get(version) };
}

/** A list of somebody else as the parts of a publisher know versions. */
export function followedEntry(
  { list, hash, position }: ProvenList,
  envelope: Uint8Array,
  source: string,
): PublishedList {
  const { rootVersion, issuedAtMs, prev } = list;
  return {
    ...position,
    ...{ rootVersion, issuedAtMs, hash, envelope },
    ...(prev === undefined ? {} : { prev }),
    reason: 'followed',
    detail: source,
    source: '',
    content: contentOfList(list),
  };
}

function contentOfList(list: ManagerList): PublishedList['content'] {
  const { managers, client, validFor, aud, admission, balance, balancers } = list;
  return {
    ...{ managers, client, validFor, aud },
    drained: [],
    ...(admission === undefined ? {} : { acceptRate: admission.ratePerServer }),
    ...(balance === undefined ? {} : { balance }),
    ...(balancers === undefined ? {} : { balancers }),
  };
}
