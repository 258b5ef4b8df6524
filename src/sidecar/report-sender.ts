/**
 * Tells the publisher how this host fares: at once (spread) when something changed, else every few
 * minutes. It runs beside the cycles and never holds one up: what cannot be told is told later, in
 * its newest form only, and nothing is queued.
 */
import { type Clock, fullJitterMs, type Random } from '../clock.ts';
import { messageOf } from '../guards.ts';
import { renderAgentReport, reportMac } from '../list/agent-report.ts';
import type { Log } from '../log.ts';
import { isNews, type ReportFacts } from './agent-report.ts';
import { Bell } from './bell.ts';
import type { PublisherBook } from './publisher-book.ts';

/** A publisher and how it is known: as in the root. */
export interface ReportTarget {
  readonly url: string;
  readonly pins: readonly string[];
}

export interface ReportAnswer {
  readonly status: number;
  /** Seconds until the next one, where the publisher says so. */
  readonly nextSec?: number;
  /** The newest number it knows, when ours was not newer. */
  readonly seq?: number;
}

/** Port: `host/https-source.ts`. */
export interface ReportLink {
  /** Rejects with PeerError when no answer came, and with `signal`. */
  tell(
    target: ReportTarget,
    report: {
      readonly agent: string;
      readonly mac: string;
      readonly body: Uint8Array;
      /** Of a publisher that hands it on. */
      readonly hops?: number;
    },
    signal?: AbortSignal,
  ): Promise<ReportAnswer>;
}

export interface ReportSenderParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly link: ReportLink;
  readonly book: Pick<PublisherBook, 'order'>;
  readonly everyMs: number;
  /** The agent's key as `client.keys` has it now; undefined before enrolment. */
  readKey(): Promise<string | undefined>;
}

/** What the newest cycle knows. */
export interface ReportOrder {
  readonly facts: ReportFacts;
  readonly org: string;
  readonly targets: readonly ReportTarget[];
  readonly lastPublisher: string | undefined;
  /** How many agents share the publisher; 0 when unknown. */
  readonly agents: number;
}

/** A change is told after at most so long, longer in a large fleet. */
const minSpreadMs = 3_000;
const agentsPerSecond = 1_000;
const minGapMs = 5_000;
const backoff = { baseMs: 5_000, capMs: 600_000 } as const;
const bounds = { minMs: 10_000, maxMs: 3_600_000 } as const;

export class ReportSender {
  readonly #parts: ReportSenderParts;
  readonly #bell = new Bell();
  #order: ReportOrder | undefined;
  #told: ReportFacts | undefined;
  #everyMs: number;
  #dueMs: number;
  #sentMs = Number.NEGATIVE_INFINITY;
  #seq = 0;
  #failures = 0;
  #isTold = true;

  constructor(parts: ReportSenderParts) {
    this.#parts = parts;
    this.#everyMs = parts.everyMs;
    this.#dueMs = parts.clock.monotonicMs() + minSpreadMs * parts.random.fraction();
  }

  /** The newest state; costs nothing but a comparison. */
  look(order: ReportOrder): void {
    const { clock, random } = this.#parts;
    const isFirst = this.#order === undefined;
    const isChanged = isNews(this.#order?.facts ?? this.#told, order.facts);
    this.#order = order;
    if (isFirst || !isChanged || this.#failures > 0) return;
    const spreadMs = Math.max(minSpreadMs, (order.agents * 1_000) / agentsPerSecond);
    const soonMs = clock.monotonicMs() + spreadMs * random.fraction();
    this.#dueMs = Math.min(this.#dueMs, Math.max(soonMs, this.#sentMs + minGapMs));
    this.#bell.ring();
  }

  /** Until `signal` aborts; rejects with its reason. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    for (;;) {
      const waitMs = this.#order === undefined ? minSpreadMs : this.#dueMs - clock.monotonicMs();
      if (waitMs > 0) await this.#bell.wait(clock, waitMs, signal);
      const order = this.#order;
      if (order === undefined || clock.monotonicMs() < this.#dueMs) continue;
      await this.#send(order, signal);
    }
  }

  async #send(order: ReportOrder, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#parts;
    this.#sentMs = clock.monotonicMs();
    try {
      await this.#tellSomebody(order, signal);
      this.#failures = 0;
      this.#told = order.facts;
      this.#dueMs = clock.monotonicMs() + this.#everyMs * (0.8 + 0.2 * random.fraction());
      this.#note(undefined);
    } catch (thrown) {
      signal.throwIfAborted();
      this.#failures += 1;
      const waitMs = minGapMs + fullJitterMs(random, this.#failures, backoff);
      this.#dueMs = clock.monotonicMs() + waitMs;
      this.#note(messageOf(thrown));
    }
  }

  /** The publisher that served us last first; one that takes no reports is passed over. */
  async #tellSomebody(order: ReportOrder, signal: AbortSignal): Promise<void> {
    const { book, random, clock } = this.#parts;
    const urls = order.targets.map(({ url }) => url);
    let seen = 'no publisher is known';
    for (const url of book.order(urls, order.lastPublisher, random, clock.monotonicMs())) {
      const target = order.targets.find((one) => one.url === url);
      if (target === undefined) continue;
      try {
        const answer = await this.#tell(target, order, signal);
        if (answer.status === 200) return;
        seen = `${url} answered ${answer.status}`;
      } catch (thrown) {
        signal.throwIfAborted();
        seen = messageOf(thrown);
      }
    }
    throw new Error(seen);
  }

  async #tell(target: ReportTarget, order: ReportOrder, signal: AbortSignal) {
    const first = await this.#tellOnce(target, order, signal);
    if (first.status !== 409 || first.seq === undefined) return this.#heed(first);
    this.#seq = Math.max(this.#seq, first.seq); // our clock was ahead once, or the state went
    return this.#heed(await this.#tellOnce(target, order, signal));
  }

  async #tellOnce(target: ReportTarget, { facts, org }: ReportOrder, signal: AbortSignal) {
    const { clock, link } = this.#parts;
    const key = await this.#parts.readKey();
    if (key === undefined) throw new Error('the agent has no key yet');
    this.#seq = Math.max(this.#seq + 1, Math.floor(clock.nowMs()));
    const everySec = Math.max(1, Math.round(this.#everyMs / 1_000));
    const report = { ...facts, seq: this.#seq, at: Math.max(0, clock.nowMs()), everySec };
    const body = renderAgentReport(report);
    const mac = reportMac(key, { org, agent: facts.agent }, body);
    return link.tell(target, { agent: facts.agent, mac, body }, signal);
  }

  #heed(answer: ReportAnswer): ReportAnswer {
    const { nextSec } = answer;
    if (nextSec !== undefined) {
      this.#everyMs = Math.min(bounds.maxMs, Math.max(bounds.minMs, nextSec * 1_000));
    }
    return answer;
  }

  /** Only the change is told: a publisher that is away fails for hours. */
  #note(failure: string | undefined): void {
    const isTold = failure === undefined;
    if (isTold === this.#isTold) return;
    this.#isTold = isTold;
    if (isTold) this.#parts.log.info('report.sent_again');
    else this.#parts.log.warn('report.failed', { message: failure });
  }
}
