/**
 * Our requests that wait for an answer, by counter (cluster-protocol.md 1.3). The wire has no
 * direction bit: a message is an answer when its counter is pending and its word is one of the
 * answers. After a timeout the counter stays as a tombstone that swallows the late answer.
 */
import type { CommandName } from '../wire/command.ts';

export interface PendingLimits {
  readonly pendingRequests: number;
  readonly tombstones: number;
}

interface Waiting {
  readonly command: CommandName;
  readonly deadlineMs: number;
}

export interface Expired {
  readonly counter: number;
  readonly command: CommandName;
}

const counters = 2 ** 32;

export class Pending {
  readonly #limits: PendingLimits;
  readonly #waiting = new Map<number, Waiting>();
  readonly #tombstones = new Set<number>();
  #counter: number;
  #soonestMs = Number.POSITIVE_INFINITY;

  /** `start`: random, so that two ends hardly ever use one number at once. */
  constructor(limits: PendingLimits, start: number) {
    this.#limits = limits;
    this.#counter = start % counters;
  }

  get isFull(): boolean {
    return this.#waiting.size >= this.#limits.pendingRequests;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Not later than the first deadline; infinite when nothing waits. */
  get soonestMs(): number {
    return this.#waiting.size === 0 ? Number.POSITIVE_INFINITY : this.#soonestMs;
  }

  /** The counter of a new request. */
  add(command: CommandName, deadlineMs: number): number {
    do this.#counter = (this.#counter + 1) % counters;
    while (this.#waiting.has(this.#counter) || this.#tombstones.has(this.#counter));
    this.#waiting.set(this.#counter, { command, deadlineMs });
    this.#soonestMs = Math.min(this.#soonestMs, deadlineMs);
    return this.#counter;
  }

  /** What an answer with this counter belongs to; `late`: to a request given up. */
  settle(counter: number): CommandName | 'late' | undefined {
    const waiting = this.#waiting.get(counter);
    if (waiting === undefined) return this.#tombstones.delete(counter) ? 'late' : undefined;
    this.#waiting.delete(counter);
    return waiting.command;
  }

  /** Give up one request; its late answer will be swallowed. False when it waits no more. */
  abandon(counter: number): boolean {
    if (!this.#waiting.delete(counter)) return false;
    this.#bury(counter);
    return true;
  }

  expire(nowMs: number): readonly Expired[] {
    if (nowMs < this.#soonestMs) return [];
    const expired: Expired[] = [];
    this.#soonestMs = Number.POSITIVE_INFINITY;
    for (const [counter, { command, deadlineMs }] of this.#waiting) {
      if (deadlineMs <= nowMs) expired.push({ counter, command });
      else this.#soonestMs = Math.min(this.#soonestMs, deadlineMs);
    }
    for (const { counter } of expired) this.abandon(counter);
    return expired;
  }

  #bury(counter: number): void {
    this.#tombstones.add(counter);
    if (this.#tombstones.size <= this.#limits.tombstones) return;
    const [oldest] = this.#tombstones;
    if (oldest !== undefined) this.#tombstones.delete(oldest);
  }
}
