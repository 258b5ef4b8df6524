/** One line per source and while, however often something happens; bounded whatever the sources. */
import type { Clock } from '../../clock.ts';

interface Seen {
  readonly sinceMs: number;
  unsaid: number;
}

const mostSources = 1024;

export class Quiet {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #seen = new Map<string, Seen>();

  constructor(clock: Clock, everyMs = 60_000) {
    this.#clock = clock;
    this.#everyMs = everyMs;
  }

  /** Undefined: keep silent. A number: say it, and how often it was not said before. */
  ask(source: string): number | undefined {
    const nowMs = this.#clock.monotonicMs();
    const key = this.#seen.has(source) || this.#seen.size < mostSources ? source : 'others';
    const seen = this.#seen.get(key);
    if (seen !== undefined && nowMs - seen.sinceMs < this.#everyMs) {
      seen.unsaid += 1;
      return undefined;
    }
    this.#sweep(nowMs);
    this.#seen.set(key, { sinceMs: nowMs, unsaid: 0 });
    return seen?.unsaid ?? 0;
  }

  #sweep(nowMs: number): void {
    if (this.#seen.size < mostSources) return;
    for (const [key, { sinceMs }] of this.#seen) {
      if (nowMs - sinceMs >= this.#everyMs) this.#seen.delete(key);
    }
  }
}
