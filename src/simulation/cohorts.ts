/**
 * Agents of one network that ask their managers at the same instants. Every agent keeps its phase
 * for ever, so that what a cohort sees is worked out once and shared; agents that something happens
 * to (a kill, a move, a clock) go their own way within it.
 */
import { chanceOf } from './fleet.ts';

const phaseSalt = 0x9a5e;

export class Cohorts {
  readonly phases: number;
  /** `site * phases + phase`. */
  readonly count: number;
  /** The one pending round of each; NaN for none. */
  readonly roundAtMs: Float64Array;
  readonly #members: Int32Array;
  readonly #starts: Int32Array;

  /** `site`: by agent. */
  constructor(site: Uint8Array, sites: number) {
    this.phases = site.length < 20_000 ? 32 : 128;
    this.count = sites * this.phases;
    this.roundAtMs = new Float64Array(this.count).fill(Number.NaN);
    this.#starts = new Int32Array(this.count + 1);
    this.#members = new Int32Array(site.length);
    for (let agent = 0; agent < site.length; agent += 1) {
      const place = this.of(agent, site[agent] ?? 0) + 1;
      this.#starts[place] = (this.#starts[place] ?? 0) + 1;
    }
    for (let place = 1; place <= this.count; place += 1) {
      this.#starts[place] = (this.#starts[place] ?? 0) + (this.#starts[place - 1] ?? 0);
    }
    const next = this.#starts.slice();
    for (let agent = 0; agent < site.length; agent += 1) {
      const cohort = this.of(agent, site[agent] ?? 0);
      const place = next[cohort] ?? 0;
      this.#members[place] = agent;
      next[cohort] = place + 1;
    }
  }

  of(agent: number, site: number): number {
    return site * this.phases + Math.floor(chanceOf(agent, phaseSalt) * this.phases);
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
