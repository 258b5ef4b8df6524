/**
 * Live picture as server-sent events. Level-triggered: whoever is slow misses pictures in between,
 * never the newest, and nothing is queued for it. Every stream ends by itself, its token is looked
 * at again at every beat, and there are only so many.
 */
import type { Clock } from '../../clock.ts';
import { PilotfishError } from '../../errors.ts';
import { messageOf } from '../../guards.ts';
import type { Log } from '../../log.ts';
import type { Board } from '../board/board.ts';
import type { TokenRecord } from './token.ts';

export const streamPath = 'stream';
export const streamSummary = 'The overview, again whenever it changes';

export const streamLimits = {
  all: 64,
  perToken: 8,
  /** Then the client comes again, with whatever token it has by then. */
  lifeMs: 15 * 60_000,
  /** Who takes nothing for so long is cut off. */
  stalledMs: 30_000,
} as const;

const tickMs = 250;
const beatMs = 10_000;
/** Agents are counted again so often while somebody looks. */
const countEveryMs = 900;
/** One line of the log for the same fault. */
const faultEveryMs = 60_000;

/** One client, as the route knows it. */
export interface Listener {
  readonly token: TokenRecord;
  /** Bytes that it has not taken yet. */
  pending(): number;
  send(text: string): void;
  end(text: string): void;
  cut(): void;
}

export interface StreamParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly board: Board;
  tokens(): readonly TokenRecord[];
}

interface Stream {
  readonly listener: Listener;
  readonly openedMs: number;
  sentMs: number;
  /** What it was sent last. */
  picture: string;
  /** Since when it takes nothing. */
  stalledMs: number | undefined;
}

export class StreamHub {
  readonly #parts: StreamParts;
  readonly #streams = new Set<Stream>();
  #isTicking = false;
  #nextFaultMs = Number.NEGATIVE_INFINITY;

  constructor(parts: StreamParts) {
    this.#parts = parts;
  }

  hasRoomFor(token: TokenRecord): boolean {
    const own = [...this.#streams].filter(({ listener }) => listener.token.id === token.id);
    return this.#streams.size < streamLimits.all && own.length < streamLimits.perToken;
  }

  /** For who has room; returns the undo. */
  open(listener: Listener): () => void {
    const nowMs = this.#parts.clock.monotonicMs();
    const times = { openedMs: nowMs, sentMs: nowMs, stalledMs: undefined };
    const stream: Stream = { listener, ...times, picture: '' };
    this.#streams.add(stream);
    if (!this.#isTicking) this.#tick();
    return () => this.#streams.delete(stream);
  }

  count(): number {
    return this.#streams.size;
  }

  /** All of them, because this publisher stops. */
  endAll(): void {
    for (const stream of this.#streams) this.#end(stream, 'stopping');
  }

  #tick(): void {
    this.#isTicking = this.#streams.size > 0;
    if (!this.#isTicking) return;
    this.#parts.clock.after(tickMs, () => this.#tick());
    this.#beat();
  }

  #beat(): void {
    const { clock, board, log } = this.#parts;
    board.count(countEveryMs).catch((thrown: unknown) => this.#tellFault(thrown));
    const nowMs = clock.monotonicMs();
    const picture = this.#picture();
    const text =
      picture === undefined
        ? undefined
        : `event: overview\ndata: {"atMs":${clock.nowMs()},${picture.slice(1)}\n\n`;
    for (const stream of [...this.#streams]) {
      if (!this.#isGood(stream)) this.#end(stream, 'token');
      else if (nowMs - stream.openedMs > streamLimits.lifeMs) this.#end(stream, 'age');
      else if (isStalled(stream, nowMs)) {
        log.debug('stream.stalled', { who: stream.listener.token.name });
        this.#cut(stream);
      } else if (stream.stalledMs === undefined) {
        this.#send(stream, picture, text, nowMs);
      }
    }
  }

  /** Undefined while the disk refuses, or we fail: the last picture stays, and lists are served. */
  #picture(): string | undefined {
    try {
      return JSON.stringify(this.#parts.board.look());
    } catch (thrown) {
      this.#tellFault(thrown);
      return undefined;
    }
  }

  /** What is expected is told where it arises. */
  #tellFault(thrown: unknown): void {
    if (thrown instanceof PilotfishError) return;
    const { clock, log } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (nowMs < this.#nextFaultMs) return;
    this.#nextFaultMs = nowMs + faultEveryMs;
    log.error('stream.failed', { message: messageOf(thrown) });
  }

  #send(
    stream: Stream,
    picture: string | undefined,
    text: string | undefined,
    nowMs: number,
  ): void {
    const isNews = picture !== undefined && picture !== stream.picture;
    if (!isNews && nowMs - stream.sentMs < beatMs) return;
    stream.listener.send(isNews && text !== undefined ? text : ': beat\n\n');
    stream.sentMs = nowMs;
    if (isNews) stream.picture = picture;
  }

  #isGood({ listener: { token } }: Stream): boolean {
    const found = this.#parts.tokens().find(({ id }) => id === token.id);
    return found?.hash === token.hash && this.#parts.clock.nowMs() < found.expiresAtMs;
  }

  #end(stream: Stream, why: string): void {
    this.#streams.delete(stream);
    stream.listener.end(`event: end\ndata: ${JSON.stringify({ why })}\n\n`);
  }

  #cut(stream: Stream): void {
    this.#streams.delete(stream);
    stream.listener.cut();
  }
}

/** Remembers since when nothing is taken; true when that is too long. */
function isStalled(stream: Stream, nowMs: number): boolean {
  if (stream.listener.pending() === 0) {
    stream.stalledMs = undefined;
    return false;
  }
  stream.stalledMs ??= nowMs;
  return nowMs - stream.stalledMs > streamLimits.stalledMs;
}
