/** A token bucket for each of those that came lately; bounded, whoever comes. */
import { buildTokenBucket, type TokenBucket } from './token-bucket.ts';

const maxShares = 200_000;

export class Shares {
  readonly #rate: { readonly perSecond: number; readonly burst: number };
  readonly #entries = new Map<string, { readonly bucket: TokenBucket; emptyUntilMs: number }>();

  constructor(rate: { readonly perSecond: number; readonly burst: number }) {
    this.#rate = rate;
  }

  /** Nothing was left when it last took. */
  isEmpty(name: string, monotonicMs: number): boolean {
    return monotonicMs < (this.#entries.get(name)?.emptyUntilMs ?? 0);
  }

  take(name: string, monotonicMs: number): boolean {
    const entry = this.#entries.get(name) ?? this.#open(name);
    if (entry.bucket.take(monotonicMs)) return true;
    entry.emptyUntilMs = monotonicMs + 1_000 / this.#rate.perSecond;
    return false;
  }

  #open(name: string) {
    if (this.#entries.size >= maxShares) this.#entries.clear();
    const bucket = buildTokenBucket(this.#rate.perSecond, this.#rate.burst);
    const entry = { bucket, emptyUntilMs: 0 };
    this.#entries.set(name, entry);
    return entry;
  }
}
