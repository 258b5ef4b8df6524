/**
 * Names to addresses and services, asked of the servers themselves, so that no cache of the system
 * lies about TTLs: cache -> servers in the order of their merit -> chain -> cache. When nobody
 * answers, what was true last is served for a bounded time (RFC 8767) and said to be stale.
 */
import { type Clock, deadline, type Random, untilAborted } from '../clock.ts';
import { PeerError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import {
  type Answered,
  type Cached,
  type CacheSettings,
  type CacheState,
  DnsCache,
} from './cache.ts';
import { askServer, type DnsTransport, type FaultCounts, noFaults } from './exchange.ts';
import { type Finding, followReply, maxChainLength } from './follow.ts';
import type { Question } from './query.ts';
import type { ResolverConfig } from './resolv-conf.ts';
import { type NameServer, ServerBook, type ServerStanding, serverText } from './servers.ts';

export interface ResolverWorld {
  /** Monotonic time counts; the wall clock may jump. */
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: DnsTransport;
  /** The servers to ask, as configured now; read again before every question. */
  readonly config: () => Promise<ResolverConfig>;
  readonly cache: CacheSettings;
}

export interface Resolution {
  readonly answer: Answered;
  /** Milliseconds until the answer must be asked for again; 0 when stale. */
  readonly ttlLeftMs: number;
  readonly isStale: boolean;
}

/** How long one question may take whatever the servers do, and how often each is asked in it. */
const limits = { totalMs: 5_000, rounds: 4, maxInFlight: 256 } as const;
/** After a failure the stale answer is given at once for so long before servers are asked again. */
const failurePauseMs = 5_000;
/**
 * So long a reader waits for news where the last answer is at hand (RFC 8767 5, the client response
 * timer): a probe has 0.8 s for the name and the manager, and silent servers must not use it up.
 */
const patienceMs = 300;

interface Attempt {
  readonly question: Question;
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

export class Resolver {
  readonly faults: FaultCounts = noFaults();
  readonly #world: ResolverWorld;
  readonly #cache: DnsCache;
  readonly #inFlight = new Map<string, Promise<Cached>>();
  readonly #failedAtMs = new Map<string, number>();
  #book = new ServerBook([]);
  #bookText = '';

  constructor(world: ResolverWorld) {
    this.#world = world;
    this.#cache = new DnsCache(world.cache);
  }

  /**
   * Throws PeerError `dns_failed` when nobody answers and nothing is left to be served. An answer
   * older than `maxAgeMs` is asked for again although its TTL still runs, and serves if that fails or
   * takes long.
   */
  async lookup(
    question: Question,
    signal?: AbortSignal,
    maxAgeMs = Number.POSITIVE_INFINITY,
  ): Promise<Resolution> {
    const key = `${question.type} ${question.name}`;
    const nowMs = this.#nowMs();
    const known = this.#cache.get(key, nowMs);
    if (known !== undefined && nowMs - known.storedAtMs > maxAgeMs) {
      return this.#askAnew(key, question, known, signal);
    }
    if (known?.state === 'due' && this.#inFlight.size < limits.maxInFlight) {
      this.#ask(key, question).catch(() => undefined); // asked in time, so a failure is no loss yet
    }
    if (known !== undefined && known.state !== 'stale') return resolutionOf(known, nowMs);
    const isTooSoon =
      nowMs - (this.#failedAtMs.get(key) ?? Number.NEGATIVE_INFINITY) < failurePauseMs;
    if (known !== undefined && isTooSoon) return staleOf(known);
    if (known !== undefined) {
      const fresh = await this.#askBriefly(key, question, signal);
      return fresh === undefined ? staleOf(known) : resolutionOf(fresh, this.#nowMs());
    }
    return resolutionOf(await untilAborted(this.#ask(key, question), signal), this.#nowMs());
  }

  #nowMs(): number {
    return this.#world.clock.monotonicMs();
  }

  /** Undefined: nobody has answered yet, or nobody does; an answer that comes later is kept all the same. */
  async #askBriefly(
    key: string,
    question: Question,
    signal: AbortSignal | undefined,
  ): Promise<Cached | undefined> {
    const limit = deadline(this.#world.clock, patienceMs, signal);
    try {
      return await untilAborted(this.#ask(key, question), limit.signal);
    } catch (thrown) {
      signal?.throwIfAborted();
      if (!(thrown instanceof PeerError) && !limit.signal.aborted) throw thrown;
      return undefined;
    } finally {
      limit.cancel();
    }
  }

  /** Bounded as any question is: one at a time, a pause after a failure. */
  async #askAnew(
    key: string,
    question: Question,
    known: Cached & { readonly state: CacheState },
    signal: AbortSignal | undefined,
  ): Promise<Resolution> {
    const { clock } = this.#world;
    const last = (): Resolution =>
      known.state === 'stale' ? staleOf(known) : resolutionOf(known, clock.monotonicMs());
    const failedAtMs = this.#failedAtMs.get(key) ?? Number.NEGATIVE_INFINITY;
    if (clock.monotonicMs() - failedAtMs < failurePauseMs) return last();
    const fresh = await this.#askBriefly(key, question, signal);
    return fresh === undefined ? last() : resolutionOf(fresh, clock.monotonicMs());
  }

  /** The servers as they did so far. */
  async standings(): Promise<readonly ServerStanding[]> {
    return (await this.#servers()).standings();
  }

  /** Whoever asks the same at the same time waits for the same answer. */
  #ask(key: string, question: Question): Promise<Cached> {
    const running = this.#inFlight.get(key);
    if (running !== undefined) return running;
    if (this.#inFlight.size >= limits.maxInFlight) {
      return Promise.reject(new PeerError('dns_failed', `${question.name}: too many questions`));
    }
    const asking = this.#answer(question)
      .then((answer) => {
        this.#failedAtMs.delete(key);
        return this.#cache.put(key, answer, this.#world.clock.monotonicMs());
      })
      .catch((thrown: unknown) => {
        this.#noteFailure(key);
        throw thrown;
      })
      .finally(() => this.#inFlight.delete(key));
    this.#inFlight.set(key, asking);
    return asking;
  }

  #noteFailure(key: string): void {
    if (this.#failedAtMs.size >= this.#world.cache.maxEntries) this.#failedAtMs.clear();
    this.#failedAtMs.set(key, this.#world.clock.monotonicMs());
  }

  async #answer(question: Question): Promise<Answered> {
    const limit = deadline(this.#world.clock, limits.totalMs);
    try {
      return await this.#walk(question, limit.signal);
    } finally {
      limit.cancel();
    }
  }

  /** An alias whose target the server does not know is followed by asking for the target. */
  async #walk(question: Question, signal: AbortSignal): Promise<Answered> {
    let ttlSec = Number.POSITIVE_INFINITY;
    let name = question.name;
    for (let hops = 0; hops < maxChainLength; hops += 1) {
      const finding = await this.#askServers({ ...question, name }, signal);
      if (finding.kind === 'records' || finding.kind === 'nothing') {
        return { ...finding, ttlSec: Math.min(ttlSec, finding.ttlSec) };
      }
      ttlSec = Math.min(ttlSec, finding.ttlSec);
      name = finding.name;
    }
    throw new PeerError('dns_failed', `${question.name}: an endless chain of aliases`);
  }

  async #askServers(
    question: Question,
    signal: AbortSignal,
  ): Promise<Exclude<Finding, { readonly kind: 'failed' }>> {
    const book = await this.#servers();
    const said: string[] = [];
    const silent = new Set(book.order(0));
    for (let round = 0; round < limits.rounds; round += 1) {
      for (const server of book.order(this.#world.clock.monotonicMs())) {
        if (signal.aborted || !silent.has(server)) continue;
        const waitMs = book.waitMs(server, round);
        const finding = await this.#askOne(book, server, { question, waitMs, signal });
        if (finding.kind !== 'failed') return finding;
        if (!finding.isSilence) silent.delete(server); // it said no: asking again changes nothing
        said.push(`${serverText(server)}: ${finding.why}`);
      }
    }
    const tried = said.length === 0 ? 'no name server is configured' : said.join('; ');
    throw new PeerError('dns_failed', `${question.name} ${question.type}: ${tried}`);
  }

  async #askOne(
    book: ServerBook,
    server: NameServer,
    { question, waitMs, signal }: Attempt,
  ): Promise<Finding> {
    const { clock, random, transport } = this.#world;
    const startedMs = clock.monotonicMs();
    const limit = deadline(clock, waitMs, signal);
    try {
      const parts = { transport, random, book, faults: this.faults };
      const reply = await askServer(parts, server, question, limit.signal);
      const finding = followReply(reply, question);
      if (finding.kind === 'failed') book.failed(server, clock.monotonicMs());
      else book.answered(server, clock.monotonicMs() - startedMs);
      return finding;
    } catch (thrown) {
      book.failed(server, clock.monotonicMs());
      return { kind: 'failed', why: messageOf(thrown), isSilence: true };
    } finally {
      limit.cancel();
    }
  }

  async #servers(): Promise<ServerBook> {
    const { servers } = await this.#world.config();
    const text = servers.map(serverText).join(' ');
    if (text !== this.#bookText) {
      this.#bookText = text;
      this.#book = new ServerBook(servers);
    }
    return this.#book;
  }
}

function resolutionOf(cached: Cached, nowMs: number): Resolution {
  return {
    answer: cached.answer,
    ttlLeftMs: Math.max(0, cached.expiresAtMs - nowMs),
    isStale: false,
  };
}

function staleOf(cached: Cached): Resolution {
  return { answer: cached.answer, ttlLeftMs: 0, isStale: true };
}
