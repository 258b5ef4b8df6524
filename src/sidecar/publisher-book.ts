/**
 * What this process learned of each publisher: who failed and may be asked again when, who sent
 * something unproven and is left alone. Lost at a restart on purpose: a fresh start asks everybody.
 */
import { fullJitterMs, type Random } from '../clock.ts';
import type { PilotfishError } from '../errors.ts';

const backoff = { baseMs: 1_000, capMs: 300_000 } as const;
const quarantineMs = 600_000;

interface Entry {
  readonly failures: number;
  readonly blockedUntilMs: number;
}

export class PublisherBook {
  readonly #entries = new Map<string, Entry>();

  /** The publishers that may be asked now: the last good one first, then in random order. */
  order(
    urls: readonly string[],
    last: string | undefined,
    random: Random,
    nowMs: number,
  ): string[] {
    const allowed = urls.filter((url) => nowMs >= (this.#entries.get(url)?.blockedUntilMs ?? 0));
    const shuffled = allowed
      .map((url) => ({ url, chance: url === last ? -1 : random.fraction() }))
      .sort((left, right) => left.chance - right.chance);
    return shuffled.map(({ url }) => url);
  }

  succeeded(url: string): void {
    this.#entries.delete(url);
  }

  /** Monotonic `nowMs`. An envelope or root that is not proven (E2xx, E3xx) costs ten minutes. */
  failed(url: string, error: PilotfishError, random: Random, nowMs: number): void {
    const failures = (this.#entries.get(url)?.failures ?? 0) + 1;
    const isUnproven = /^E[23]/.test(error.code);
    const waitMs = isUnproven ? quarantineMs : fullJitterMs(random, failures, backoff);
    this.#entries.set(url, { failures, blockedUntilMs: nowMs + waitMs });
  }

  /** When the first blocked publisher may be asked again; undefined when none is blocked. */
  nextAtMs(urls: readonly string[], nowMs: number): number | undefined {
    const blocked = urls
      .map((url) => this.#entries.get(url)?.blockedUntilMs ?? 0)
      .filter((untilMs) => untilMs > nowMs);
    return blocked.length === 0 ? undefined : Math.min(...blocked);
  }
}
