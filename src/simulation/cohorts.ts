/**
 * Agents of one network that ask their managers at the same instants. Every agent keeps its phase
 * for ever, so that what a cohort sees is worked out once and shared; agents that something happens
 * to (a kill, a move, a clock) go their own way within it.
 */
import { chanceOf } from './fleet.ts';

const phaseSalt = 0x9a5e;
/** From here on columns are larger than caches: agents of one cohort are numbered in a row. */
const bigWorld = 20_000;

export class Cohorts {
  readonly phases: number;
  /** `site * phases + phase`. */
  readonly count: number;
  /** The one pending round of each; NaN for none. */
  readonly roundAtMs: Float64Array;
  readonly #cohort: Uint16Array;
  readonly #members: Int32Array;
  readonly #starts: Int32Array;

  /** `site`: by agent; sorted in a big world. */
  constructor(site: Uint8Array, sites: number) {
    const isBig = site.length >= bigWorld;
    this.phases = isBig ? 128 : 32;
    this.count = sites * this.phases;
    this.roundAtMs = new Float64Array(this.count).fill(Number.NaN);
    this.#starts = new Int32Array(this.count + 1);
    this.#members = new Int32Array(site.length);
    this.#cohort = isBig ? inBlocks(site, this.phases) : scattered(site, this.phases);
    for (let agent = 0; agent < site.length; agent += 1) {
      const place = this.of(agent) + 1;
      this.#starts[place] = (this.#starts[place] ?? 0) + 1;
    }
    for (let place = 1; place <= this.count; place += 1) {
      this.#starts[place] = (this.#starts[place] ?? 0) + (this.#starts[place - 1] ?? 0);
    }
    const next = this.#starts.slice();
    for (let agent = 0; agent < site.length; agent += 1) {
      const cohort = this.of(agent);
      const place = next[cohort] ?? 0;
      this.#members[place] = agent;
      next[cohort] = place + 1;
    }
  }

  of(agent: number): number {
    return this.#cohort[agent] ?? 0;
  }

  members(cohort: number): Int32Array {
    return this.#members.subarray(this.#starts[cohort] ?? 0, this.#starts[cohort + 1] ?? 0);
  }

  siteOf(cohort: number): number {
    return Math.floor(cohort / this.phases);
  }

  /** The cohort's next instant after `nowMs`, one round being `intervalMs`. */
  nextRoundMs(cohort: number, nowMs: number, intervalMs: number): number {
    const offsetMs = ((cohort % this.phases) * intervalMs) / this.phases;
    const rounds = Math.floor((nowMs - offsetMs) / intervalMs) + 1;
    const atMs = offsetMs + rounds * intervalMs;
    return atMs > nowMs ? atMs : atMs + intervalMs;
  }
}

/** The agents of every site, in a row each, as many as the draw gave it. */
export function sortSites(site: Uint8Array): void {
  if (site.length >= bigWorld) site.sort();
}

function scattered(site: Uint8Array, phases: number): Uint16Array {
  return Uint16Array.from(
    site,
    (one, agent) => one * phases + Math.floor(chanceOf(agent, phaseSalt) * phases),
  );
}

function inBlocks(site: Uint8Array, phases: number): Uint16Array {
  const cohort = new Uint16Array(site.length);
  for (let from = 0; from < site.length; ) {
    const one = site[from] ?? 0;
    const next = site.findIndex((other, agent) => agent > from && other !== one);
    const to = next < 0 ? site.length : next;
    for (let agent = from; agent < to; agent += 1) {
      cohort[agent] = one * phases + Math.floor(((agent - from) * phases) / (to - from));
    }
    from = to;
  }
  return cohort;
}
