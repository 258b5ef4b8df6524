/**
 * One manager's front door: handshakes wait in a queue and are served at a rate that sinks when
 * the queue is long (trust-and-safety 4.4); more than the queue holds are dropped, as a kernel
 * drops a SYN. It also counts what our own moves send it, for I9.
 */
import type { ManagerSettings } from './settings.ts';

const slotMs = 250;
const slots = 20;

export class ManagerDoor {
  readonly settings: ManagerSettings;
  sessions = 0;
  /** Handshakes that came while it lived, and those it dropped. */
  arrived = 0;
  dropped = 0;
  #busyUntilMs = 0;
  readonly #directed = new SlidingCount();
  readonly #all = new SlidingCount();
  /** All arrivals since the last sample of the plot. */
  sinceSample = 0;

  constructor(settings: ManagerSettings) {
    this.settings = settings;
  }

  /** When this handshake is through; undefined when it is dropped. */
  arrive(nowMs: number): number | undefined {
    this.arrived += 1;
    this.sinceSample += 1;
    this.#all.count(nowMs);
    const { acceptRate, queue, overloadFactor } = this.settings;
    const serviceMs = 1000 / acceptRate;
    const backlog = Math.max(0, this.#busyUntilMs - nowMs) / serviceMs;
    if (backlog >= queue) {
      this.dropped += 1;
      return undefined;
    }
    const strain = Math.max(0, backlog / queue - 0.5) * 2;
    const slowedMs = serviceMs * (1 + (overloadFactor - 1) * strain);
    this.#busyUntilMs = Math.max(this.#busyUntilMs, nowMs) + slowedMs;
    return this.#busyUntilMs;
  }

  /** Counts one agent that our move sends here; returns how many in the last 5 s. */
  countDirected(nowMs: number): number {
    return this.#directed.count(nowMs);
  }

  get peakDirected(): number {
    return this.#directed.peak;
  }

  get peakArrived(): number {
    return this.#all.peak;
  }
}

/** How many in the last 5 s, to a quarter of a second. */
class SlidingCount {
  peak = 0;
  readonly #counts = new Uint32Array(slots);
  readonly #slotOf = new Float64Array(slots).fill(-1);

  count(nowMs: number): number {
    const slot = Math.floor(nowMs / slotMs);
    const place = slot % slots;
    if (this.#slotOf[place] !== slot) {
      this.#slotOf[place] = slot;
      this.#counts[place] = 0;
    }
    this.#counts[place] = (this.#counts[place] ?? 0) + 1;
    let sum = 0;
    for (let index = 0; index < slots; index += 1) {
      if ((this.#slotOf[index] ?? -1) > slot - slots) sum += this.#counts[index] ?? 0;
    }
    if (sum > this.peak) this.peak = sum;
    return sum;
  }
}
