/**
 * The newest proven list from wherever one is to be had: publishers (the last good one first, then
 * at random), then signed files that something else delivers. Whatever goes wrong costs that
 * source its turn; the caller keeps the last good list. Only proven things leave this file.
 */
import type { StoredRoot } from '../applier/memory.ts';
import { encodeBase64Url } from '../bytes.ts';
import { type Clock, deadline, type Random } from '../clock.ts';
import { HostError, ListError, PeerError, PilotfishError } from '../errors.ts';
import { listLimits, type PublisherAddress } from '../list/model.ts';
import { type PollReceipt, verifyReceipt } from '../list/receipt.ts';
import { verifyNextRoot } from '../list/root.ts';
import { rootPathsOf } from '../list/shared-names.ts';
import { type AcceptedList as ListAnswer, verifyList } from '../list/verify.ts';
import type { AcceptedList, Memory } from './memory.ts';
import type { PublisherBook } from './publisher-book.ts';
import type { PublisherLink } from './publisher-port.ts';
import type { Trust } from './trust.ts';

/** Port: signed files; undefined when absent. Throws HostError `write_failed` never, reads only. */
export interface SourceFiles {
  /** At most `maxBytes` + 1 bytes of `path`, so that a longer file shows. */
  read(path: string, maxBytes: number): Promise<Uint8Array | undefined>;
}

export interface SourceWorld {
  readonly clock: Clock;
  readonly random: Random;
  readonly link: PublisherLink;
  readonly files: SourceFiles;
  /** Paths of list envelopes; roots lie beside each as `root/N`, or flat as `FILE.root.N`. */
  readonly filePaths: readonly string[];
  readonly book: PublisherBook;
  /** Addresses of the operator's own, in place of those in token and root. */
  readonly publishers?: readonly string[];
}

/** Any key that the root pins for a publisher will do at an address of the operator's own. */
export function publishersOf(
  { publishers: own = [] }: SourceWorld,
  known: readonly PublisherAddress[],
): readonly PublisherAddress[] {
  if (own.length === 0) return known;
  const spki = [...new Set(known.flatMap((publisher) => publisher.spki))];
  return own.map((url) => ({ id: url, url, spki }));
}

export interface SourceFault {
  /** URL or path. */
  readonly source: string;
  readonly error: PilotfishError;
}

/** fresh: a receipt of this poll · clock-only: no valid receipt · static: files, none expected. */
export type NewsFreshness = 'fresh' | 'clock-only' | 'static' | 'none';

/** What one poll brought; everything in it is proven. */
export interface News {
  /** Roots newer than the remembered ones, in order. */
  readonly roots: readonly StoredRoot[];
  readonly list?: AcceptedList;
  readonly rollout?: ListAnswer['list']['rollout'];
  readonly freshness: NewsFreshness;
  /** The newest instant that signed bytes vouch for. */
  readonly seenAtMs?: number;
  readonly publisher?: string;
  readonly faults: readonly SourceFault[];
  readonly warnings: readonly string[];
}

/** trust-and-safety 1.6 and 5.3 I10: whatever the peers do, one poll ends. */
const cycleLimitMs = 60_000;
const cycleLimitBytes = 256 * 1024;
/** Polls without proof of freshness before everybody is asked at once. */
export const staleAlarmPolls = 3;

/** Never rejects for what a source did; rejects with `signal`. */
export async function pollSources(
  world: SourceWorld,
  memory: Memory,
  trust: Trust,
  options: { readonly waitMs: number; readonly signal?: AbortSignal },
): Promise<News> {
  const limit = deadline(world.clock, cycleLimitMs + options.waitMs, options.signal);
  const poll = new Poll(world, memory, trust, limit.signal);
  try {
    await poll.askPublishers(options.waitMs);
    if (!poll.isSatisfied()) await poll.readFiles();
    return poll.news();
  } finally {
    limit.cancel();
    options.signal?.throwIfAborted();
  }
}

class Poll {
  readonly #world: SourceWorld;
  readonly #memory: Memory;
  readonly #trust: Trust;
  readonly #signal: AbortSignal;
  readonly #roots: StoredRoot[] = [];
  readonly #faults: SourceFault[] = [];
  readonly #warnings: string[] = [];
  #newest: Trust['newest'];
  #list: { readonly accepted: AcceptedList; readonly answer: ListAnswer } | undefined;
  #freshness: NewsFreshness = 'none';
  #seenAtMs: number | undefined;
  #publisher: string | undefined;
  #bytesLeft = cycleLimitBytes;

  constructor(world: SourceWorld, memory: Memory, trust: Trust, signal: AbortSignal) {
    this.#world = world;
    this.#memory = memory;
    this.#trust = trust;
    this.#signal = signal;
    this.#newest = trust.newest;
  }

  isSatisfied(): boolean {
    return this.#freshness === 'fresh';
  }

  news(): News {
    return {
      roots: this.#roots,
      ...(this.#list === undefined ? {} : { list: this.#list.accepted }),
      rollout: this.#list?.answer.list.rollout,
      freshness: this.#freshness,
      ...(this.#seenAtMs === undefined ? {} : { seenAtMs: this.#seenAtMs }),
      ...(this.#publisher === undefined ? {} : { publisher: this.#publisher }),
      faults: this.#faults,
      warnings: this.#warnings,
    };
  }

  /** Only the first one may hold the question back; with proof missing too long, all are asked. */
  async askPublishers(waitMs: number): Promise<void> {
    const { book, random, clock } = this.#world;
    const publishers = publishersOf(this.#world, this.#newest.root.publishers);
    const urls = publishers.map(({ url }) => url);
    const order = book.order(urls, this.#memory.lastPublisher, random, clock.monotonicMs());
    let mayWaitMs = waitMs;
    for (const url of order) {
      const publisher = publishers.find((one) => one.url === url);
      if (publisher === undefined || this.#signal.aborted) return;
      const isAnswered = await this.#attempt(url, () => this.#askPublisher(publisher, mayWaitMs));
      const isWidened = this.#memory.stalePolls >= staleAlarmPolls;
      if (isAnswered && (this.isSatisfied() || !isWidened)) return;
      if (isAnswered) mayWaitMs = 0;
    }
  }

  async readFiles(): Promise<void> {
    for (const path of this.#world.filePaths) {
      await this.#attempt(path, () => this.#readFile(path));
    }
  }

  /** True when the source did its part; a fault is remembered, anything unplanned is a bug. */
  async #attempt(source: string, ask: () => Promise<void>): Promise<boolean> {
    const { book, random, clock } = this.#world;
    try {
      await ask();
      book.succeeded(source);
      return true;
    } catch (thrown) {
      const error = this.#signal.aborted ? tooSlow(source) : thrown;
      if (!(error instanceof PilotfishError)) throw error;
      this.#faults.push({ source, error });
      book.failed(source, error, random, clock.monotonicMs());
      return false;
    }
  }

  async #askPublisher(publisher: PublisherAddress, waitMs: number): Promise<void> {
    const read = (version: number): Promise<Uint8Array | undefined> =>
      this.#fetchRoot(publisher, version);
    await this.#walkRoots(read);
    const nonce = encodeBase64Url(this.#world.random.bytes(16));
    const answer = await this.#world.link.ask(
      {
        url: publisher.url,
        pins: publisher.spki,
        path: this.#listPath(waitMs),
        nonce,
        ...this.#etag(),
        waitMs,
        maxBytes: listLimits.maxEnvelopeBytes,
      },
      this.#signal,
    );
    this.#warnings.push(...answer.warnings);
    const receipt = answer.receipt === undefined ? undefined : { compact: answer.receipt, nonce };
    if (answer.kind === 'absent') throw new PeerError('http_status', `${publisher.url}: no list`);
    if (answer.kind === 'unchanged') await this.#touch(publisher.url, receipt);
    else await this.#takeNewest(this.#spend(answer.body), receipt, read);
    this.#publisher = publisher.url;
  }

  #listPath(waitMs: number): string {
    const { group, site } = this.#trust.audience;
    const wait = waitMs > 0 ? `&wait=${Math.floor(waitMs / 1000)}` : '';
    return `/v1/list?g=${group}&s=${encodeURIComponent(site)}${wait}`;
  }

  #known(): AcceptedList | undefined {
    return this.#list?.accepted ?? this.#memory.pending ?? this.#memory.list;
  }

  #etag(): { readonly etag?: string } {
    const known = this.#known();
    return known === undefined ? {} : { etag: `"${known.hash}"` };
  }

  /** `304`: the list we know is the newest, if the receipt says so. */
  async #touch(url: string, receipt: PollReceipt | undefined): Promise<void> {
    const known = this.#known();
    if (known === undefined) throw new PeerError('http_status', `${url}: 304 without a question`);
    this.#note('clock-only');
    if (receipt === undefined) return;
    const { nowMs } = await verifyReceipt(receipt, known, this.#newest.root);
    this.#note('fresh', nowMs);
  }

  /** A list may be signed under a root that was published after we asked for roots. */
  async #takeNewest(
    envelope: Uint8Array,
    receipt: PollReceipt | undefined,
    read: (version: number) => Promise<Uint8Array | undefined>,
  ): Promise<void> {
    try {
      await this.#take(envelope, receipt);
    } catch (thrown) {
      const reasons = ['wrong_epoch', 'unknown_key', 'threshold'];
      if (!(thrown instanceof ListError) || !reasons.includes(thrown.reason)) throw thrown;
      if (!(await this.#walkRoots(read))) throw thrown;
      await this.#take(envelope, receipt);
    }
  }

  async #take(envelope: Uint8Array, receipt: PollReceipt | undefined): Promise<void> {
    const { clock } = this.#world;
    const known = this.#known();
    const lastGood = this.#trust.list?.list;
    const answer = await verifyList({
      envelope,
      root: this.#newest.root,
      audience: this.#trust.audience,
      zone: this.#trust.zone,
      ...(known === undefined ? {} : { known }),
      ...(lastGood === undefined ? {} : { lastGood }),
      ...(receipt === undefined ? {} : { receipt }),
      nowMs: Math.max(clock.nowMs(), this.#memory.floorMs),
    });
    const { freshness } = answer;
    if (freshness.kind === 'fresh') this.#note('fresh', freshness.receipt.nowMs);
    else this.#note(freshness.isAlarming ? 'clock-only' : 'static', answer.list.issuedAtMs);
    if (answer.kind === 'same') return;
    const { envelope: rootEnvelope, hash: rootHash } = this.#newest;
    const accepted: AcceptedList = {
      envelope,
      hash: answer.hash,
      position: answer.position,
      root: { envelope: rootEnvelope, hash: rootHash },
      ...(freshness.kind === 'fresh' && receipt !== undefined ? { receipt } : {}),
      acceptedAtMs: clock.nowMs(),
    };
    this.#list = { accepted, answer };
  }

  /** The best proof of one poll counts. */
  #note(freshness: NewsFreshness, seenAtMs?: number): void {
    const rank: readonly NewsFreshness[] = ['none', 'clock-only', 'static', 'fresh'];
    if (rank.indexOf(freshness) > rank.indexOf(this.#freshness)) this.#freshness = freshness;
    if (seenAtMs !== undefined) this.#seenAtMs = Math.max(seenAtMs, this.#seenAtMs ?? 0);
  }

  /** Every root after ours, one by one. True when there was one. */
  async #walkRoots(read: (version: number) => Promise<Uint8Array | undefined>): Promise<boolean> {
    const before = this.#roots.length;
    while (this.#roots.length < listLimits.maxRootsPerRun) {
      const envelope = await read(this.#newest.root.version + 1);
      if (envelope === undefined) break;
      const next = await verifyNextRoot(this.#newest.root, this.#spend(envelope));
      this.#newest = { ...next, envelope };
      this.#roots.push({ envelope, hash: next.hash });
    }
    return this.#roots.length > before;
  }

  async #fetchRoot(publisher: PublisherAddress, version: number): Promise<Uint8Array | undefined> {
    const answer = await this.#world.link.ask(
      {
        url: publisher.url,
        pins: publisher.spki,
        path: `/v1/root/${version}`,
        waitMs: 0,
        maxBytes: listLimits.maxEnvelopeBytes,
      },
      this.#signal,
    );
    return answer.kind === 'document' ? answer.body : undefined;
  }

  async #readFile(path: string): Promise<void> {
    const read = (version: number): Promise<Uint8Array | undefined> =>
      this.#readRoot(path, version);
    await this.#walkRoots(read);
    const envelope = await this.#readBounded(path);
    if (envelope === undefined) throw new HostError('not_found', `${path} does not exist`);
    await this.#takeNewest(this.#spend(envelope), undefined, read);
  }

  async #readRoot(path: string, version: number): Promise<Uint8Array | undefined> {
    for (const candidate of rootPathsOf(path, version)) {
      const bytes = await this.#readBounded(candidate);
      if (bytes !== undefined) return bytes;
    }
    return undefined;
  }

  async #readBounded(path: string): Promise<Uint8Array | undefined> {
    const bytes = await this.#world.files.read(path, listLimits.maxEnvelopeBytes);
    if (bytes === undefined || bytes.length <= listLimits.maxEnvelopeBytes) return bytes;
    throw new ListError('too_big', `${path}: over ${listLimits.maxEnvelopeBytes} bytes`);
  }

  #spend(bytes: Uint8Array): Uint8Array {
    this.#bytesLeft -= bytes.length;
    if (this.#bytesLeft >= 0) return bytes;
    throw new PeerError('too_big', `more than ${cycleLimitBytes} bytes in one poll`);
  }
}

function tooSlow(source: string): PeerError {
  return new PeerError('too_slow', `${source}: not done within the limit of one poll`);
}
