/** What a run showed: violations, counts, a series for the plot. */
import type { Fault } from './fault.ts';
import { fates } from './fleet.ts';

/**
 * I1 to I10 of trust-and-safety 5.3, and how each is checked here:
 * - I1, I2, I4: the file after every step of every replacement, kills and power cuts between them;
 *   the managers of every list that a host accepts (`apply.ts`, `accept.ts`).
 * - I3, I8: every memory that changed is compared with the one before, by a comparison of its own.
 * - I5: every restart, in virtual time: the host's own clock may lie.
 * - I6: `strandedMs` after every change of the world, when no other one followed; strict worlds
 *   excuse nobody whom a bound of ours holds back (`peace.ts`).
 * - I9: every agent that a move of ours sends somewhere, over the last 5 s there (`native.ts`);
 *   the agents' own loops are shown beside it (`peakArrived`), nobody can slot those.
 * - I10: every poll of a source without end.
 * I7 (one fenced writer a token) is not here: the world has one writer of lists.
 * `rollout` are the rules of `rollout-rules.ts`, and that a list which works nowhere stays in its
 * first wave and is taken back. `flap` is G7, `target` and `stages` are rules of decide and of waves.
 */
export type Invariant =
  | 'I1'
  | 'I2'
  | 'I3'
  | 'I4'
  | 'I5'
  | 'I6'
  | 'I8'
  | 'I9'
  | 'I10'
  | 'flap'
  | 'target'
  | 'stages'
  | 'rollout';

export interface Violation {
  readonly invariant: Invariant;
  readonly atMs: number;
  /** -1 when it is nobody's in particular. */
  readonly agent: number;
  readonly what: string;
}

/** Mutable while the world runs. */
export class Stats {
  events = 0;
  cycles = 0;
  decisions = 0;
  /** Of them, those that `decide` was asked for one by one; the others are known by their class. */
  asked = 0;
  /** Sessions lost through a fault and found again. */
  failovers = 0;
  /** Connections to live managers that those took. */
  attempts = 0;
  /** Handshakes after the first one, SYNs sent again included, by what ended the one before: `fates`. */
  readonly repeats = new Uint32Array(Object.keys(fates).length);
  /** Those of the failovers that our restart, or our relay, brought to a manager. */
  moved = 0;
  /** Handshakes that those took since then, SYNs sent again included. */
  movedKnocks = 0;
  /** Sessions that went on when a short fault ended. */
  survived = 0;
  moves = 0;
  /** Ordered although the manager worked and could be reached. */
  wrongMoves = 0;
  /** Arrivals above 1.2 of the accept rate where no publisher is. */
  overloads = 0;
  writes = 0;
  /** Sessions that relays cut. */
  switches = 0;
  restarts = 0;
  listsAccepted = 0;
  listsRefused = 0;
  published = 0;
  /** Agents away at a check of I6 because of a bound of our own, see `peace.ts`. */
  readonly held = { budget: 0, confirm: 0, cooldown: 0 };
  checks = 0;
  /** Waves after the first of a rollout, and rollouts taken back. */
  waves = 0;
  halts = 0;
  away = 0;
  maxAway = 0;
  /** Away times of failovers: quarters of a second up to 40 minutes, the last bin beyond. */
  readonly awayBins = new Uint32Array(9_601);
  maxAwayMs = 0;

  countRepeat(fate: number): void {
    this.repeats[fate] = (this.repeats[fate] ?? 0) + 1;
  }

  countAway(awayMs: number): void {
    const bin = Math.min(this.awayBins.length - 1, Math.floor(awayMs / 250));
    this.awayBins[bin] = (this.awayBins[bin] ?? 0) + 1;
    if (awayMs > this.maxAwayMs) this.maxAwayMs = awayMs;
  }

  /** Milliseconds; `share` of the failovers were over by then. */
  awayQuantileMs(share: number): number {
    let left = Math.ceil(this.failovers * share);
    for (let bin = 0; bin < this.awayBins.length; bin += 1) {
      left -= this.awayBins[bin] ?? 0;
      if (left <= 0) return (bin + 1) * 250;
    }
    return this.maxAwayMs;
  }
}

export interface Sample {
  readonly atMs: number;
  readonly away: number;
  /** By manager. */
  readonly sessions: readonly number[];
  readonly arrivals: readonly number[];
}

export interface Outcome {
  readonly seed: number;
  readonly faults: readonly Fault[];
  readonly violations: readonly Violation[];
  readonly stats: Stats;
  readonly samples: readonly Sample[];
  readonly doors: readonly DoorCount[];
  /** Same seed and same code, same trace. */
  readonly traceHash: string;
}

export interface DoorCount {
  readonly sessions: number;
  readonly arrived: number;
  readonly dropped: number;
  /** The worst 5 s of arrivals that our moves sent, as a share of what the manager admits. */
  readonly peakLoad: number;
  /** The same of all arrivals: the agents' own loops know no slots. */
  readonly peakArrived: number;
}
