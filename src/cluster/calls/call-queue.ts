/**
 * Calls under way, bounded: a few at once for each asker, a few more waiting, the rest refused at
 * once. One slow asker never holds up another (stock runs one call at a time for all).
 */
export interface QueueLimits {
  readonly atOncePerAsker: number;
  readonly waitingPerAsker: number;
  readonly total: number;
}

export const defaultQueueLimits: QueueLimits = {
  atOncePerAsker: 4,
  waitingPerAsker: 64,
  total: 512,
};

interface Lane {
  running: number;
  readonly waiting: (() => void)[];
}

export class CallQueue {
  readonly #limits: QueueLimits;
  readonly #lanes = new Map<unknown, Lane>();
  #size = 0;

  constructor(limits: QueueLimits = defaultQueueLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#size;
  }

  /** False: full, `work` will not run. `work` must not reject. */
  push(asker: unknown, work: () => Promise<void>): boolean {
    const lane = this.#lanes.get(asker) ?? { running: 0, waiting: [] };
    if (this.#size >= this.#limits.total) return false;
    if (lane.running >= this.#limits.atOncePerAsker) {
      if (lane.waiting.length >= this.#limits.waitingPerAsker) return false;
      this.#size += 1;
      lane.waiting.push(() => void this.#run(asker, lane, work));
      return true;
    }
    this.#size += 1;
    this.#lanes.set(asker, lane);
    void this.#run(asker, lane, work);
    return true;
  }

  /** The asker is gone: what waits for him is not begun. */
  drop(asker: unknown): void {
    const lane = this.#lanes.get(asker);
    this.#size -= lane?.waiting.splice(0).length ?? 0;
  }

  async #run(asker: unknown, lane: Lane, work: () => Promise<void>): Promise<void> {
    lane.running += 1;
    try {
      await work();
    } finally {
      lane.running -= 1;
      this.#size -= 1;
      const next = lane.waiting.shift();
      if (next !== undefined) next();
      else if (lane.running === 0) this.#lanes.delete(asker);
    }
  }
}
