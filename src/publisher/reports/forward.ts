/**
 * Reports that reached a publisher which stands by, handed on to the one that leads, whose rollouts
 * look at them. They go on as they came, proven by the agent's own key, so nothing is believed on our
 * word; a number that was seen before is not taken twice. The newest of each agent waits, no more.
 */
import { type Clock, deadline, sleep, untilAborted } from '../../clock.ts';
import { PilotfishError } from '../../errors.ts';
import type { Complaints } from '../complaints.ts';
import type { IncomingReport } from './report-desk.ts';

/** A report as it came. */
export type RawReport = Pick<IncomingReport, 'agent' | 'mac' | 'body' | 'hops'>;

/** Port: one report to another publisher. Throws PeerError when no answer came. */
export interface TellPort {
  tell(report: RawReport, signal: AbortSignal): Promise<TellAnswer>;
}

export interface TellAnswer {
  readonly status: number;
  readonly nextSec?: number;
  readonly seq?: number;
}

/** More publishers than that in a row are a circle. */
export const maxHops = 3;

export interface ForwardParts {
  readonly clock: Clock;
  readonly complaints: Complaints;
  /** `here`: this one leads. A string: nobody can be told, and why. */
  writer(): TellPort | 'here' | string;
}

export interface ForwardCounts {
  readonly passed: number;
  /** The one that leads did not take them: another key, or known already. */
  readonly refused: number;
  /** Nobody could be told for so long that newer ones needed the room. */
  readonly dropped: number;
  readonly waiting: number;
}

const maxWaiting = 20_000;
const lanes = 4;
const limitMs = 10_000;
const backoff = { firstMs: 500, mostMs: 15_000 } as const;
const topic = 'reports.forward';

export class ReportForwarder {
  readonly #parts: ForwardParts;
  readonly #waiting = new Map<string, RawReport>();
  #arrival = Promise.withResolvers<void>();
  #pauseMs = 0;
  #passed = 0;
  #refused = 0;
  #dropped = 0;

  constructor(parts: ForwardParts) {
    this.#parts = parts;
  }

  counts(): ForwardCounts {
    const waiting = this.#waiting.size;
    return { passed: this.#passed, refused: this.#refused, dropped: this.#dropped, waiting };
  }

  /** One that was proven and taken here. */
  offer(report: RawReport): void {
    if (this.#parts.writer() === 'here' || (report.hops ?? 0) >= maxHops) return;
    this.#waiting.delete(report.agent); // the newest of an agent stands last
    this.#waiting.set(report.agent, report);
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size > maxWaiting && oldest !== undefined) {
      this.#waiting.delete(oldest);
      this.#dropped += 1;
    }
    this.#arrival.resolve();
    this.#arrival = Promise.withResolvers();
  }

  /** Until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(Array.from({ length: lanes }, () => this.#lane(signal)));
  }

  async #lane(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    while (!signal.aborted) {
      const report = this.#next();
      if (report === undefined) {
        await untilAborted(this.#arrival.promise, signal).catch(() => undefined);
        continue;
      }
      if (await this.#send(report, signal)) continue;
      await sleep(clock, this.#pauseMs, signal).catch(() => undefined);
    }
  }

  #next(): RawReport | undefined {
    const [first] = this.#waiting.values();
    if (first !== undefined) this.#waiting.delete(first.agent);
    return first;
  }

  /** False: nobody could be told now. */
  async #send(report: RawReport, signal: AbortSignal): Promise<boolean> {
    const writer = this.#parts.writer();
    if (writer === 'here') {
      this.#waiting.clear(); // what they say is in our own book
      return this.#succeed();
    }
    if (typeof writer === 'string') return this.#fail(report, writer);
    const limit = deadline(this.#parts.clock, limitMs, signal);
    try {
      const { status } = await writer.tell(
        { ...report, hops: (report.hops ?? 0) + 1 },
        limit.signal,
      );
      if (status === 429 || status >= 500 || status === 404) {
        return this.#fail(report, `the publisher that leads answers ${status}`);
      }
      if (status === 200) this.#passed += 1;
      else this.#refused += 1;
      return this.#succeed();
    } catch (thrown) {
      if (signal.aborted) return false;
      if (!(thrown instanceof PilotfishError) && !limit.signal.aborted) throw thrown;
      const seen = thrown instanceof PilotfishError ? thrown.message : 'no answer in time';
      return this.#fail(report, seen);
    } finally {
      limit.cancel();
    }
  }

  #succeed(): true {
    this.#pauseMs = 0;
    this.#parts.complaints.end(topic);
    return true;
  }

  #fail(report: RawReport, why: string): false {
    if (!this.#waiting.has(report.agent)) this.#waiting.set(report.agent, report);
    this.#pauseMs = Math.min(backoff.mostMs, Math.max(backoff.firstMs, this.#pauseMs * 2));
    this.#parts.complaints.begin(topic, `reports are not handed on: ${why}`);
    return false;
  }
}
