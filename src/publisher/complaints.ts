/**
 * What is wrong with the publisher's surroundings, told once when it begins and once when it ends,
 * and kept for `status` in between. A fault that comes every second stays one line in the log.
 */
import type { Log } from '../log.ts';

export interface Complaint {
  /** What it is about: `reports.store`, `cluster.socket`. */
  readonly topic: string;
  readonly message: string;
  readonly sinceAtMs: number;
}

export class Complaints {
  readonly #open = new Map<string, Complaint>();
  readonly #log: Log;
  readonly #nowMs: () => number;

  constructor(log: Log, nowMs: () => number) {
    this.#log = log;
    this.#nowMs = nowMs;
  }

  /** Another message on an open topic only replaces what `status` shows. */
  begin(topic: string, message: string): void {
    const before = this.#open.get(topic);
    this.#open.set(topic, { topic, message, sinceAtMs: before?.sinceAtMs ?? this.#nowMs() });
    if (before === undefined) this.#log.error('trouble.began', { topic, message });
  }

  end(topic: string): void {
    if (!this.#open.delete(topic)) return;
    this.#log.info('trouble.ended', { topic });
  }

  list(): readonly Complaint[] {
    return [...this.#open.values()];
  }
}
