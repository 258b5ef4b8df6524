/**
 * What was answered, for as long as its TTL says and, when servers fail, a bounded time longer
 * (RFC 8767). Bounded in entries; time is an argument. A TTL of 0 and one of a year are both
 * mistakes here: floor and ceiling keep them from flooding servers or blinding agents.
 */
import type { Finding } from './follow.ts';

export type Answered = Extract<Finding, { readonly kind: 'records' | 'nothing' }>;

export interface CacheSettings {
  readonly minTtlSec: number;
  readonly maxTtlSec: number;
  /** How long after its TTL an answer may still be served when nobody answers. */
  readonly maxStaleSec: number;
  readonly maxEntries: number;
}

export const defaultCacheSettings: CacheSettings = {
  minTtlSec: 1,
  maxTtlSec: 3_600,
  maxStaleSec: 86_400,
  maxEntries: 1_024,
};

/** Asked again once this share of the TTL is used up, so that no reader waits. */
const prefetchShare = 0.9;

export interface Cached {
  readonly answer: Answered;
  readonly storedAtMs: number;
  readonly expiresAtMs: number;
}

/** fresh: use it · due: use it and ask again · stale: only when asking fails. */
export type CacheState = 'fresh' | 'due' | 'stale';

/** Times are monotonic milliseconds. */
export class DnsCache {
  readonly #settings: CacheSettings;
  readonly #entries = new Map<string, Cached>();

  constructor(settings: CacheSettings) {
    this.#settings = settings;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string, nowMs: number): (Cached & { readonly state: CacheState }) | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const { storedAtMs, expiresAtMs, answer } = entry;
    if (nowMs < storedAtMs + (expiresAtMs - storedAtMs) * prefetchShare) {
      return { ...entry, state: 'fresh' };
    }
    if (nowMs < expiresAtMs) return { ...entry, state: 'due' };
    const staleMs = answer.kind === 'records' ? this.#settings.maxStaleSec * 1_000 : 0;
    if (nowMs < expiresAtMs + staleMs) return { ...entry, state: 'stale' };
    this.#entries.delete(key);
    return undefined;
  }

  /** The newest entries stay; the oldest one leaves when there is no room. */
  put(key: string, answer: Answered, nowMs: number): Cached {
    const { minTtlSec, maxTtlSec, maxEntries } = this.#settings;
    const ttlMs = Math.min(Math.max(answer.ttlSec, minTtlSec), maxTtlSec) * 1_000;
    const entry: Cached = { answer, storedAtMs: nowMs, expiresAtMs: nowMs + ttlMs };
    this.#entries.delete(key);
    if (this.#entries.size >= maxEntries) {
      const oldest = this.#entries.keys().next();
      if (oldest.done !== true) this.#entries.delete(oldest.value);
    }
    this.#entries.set(key, entry);
    return entry;
  }
}
