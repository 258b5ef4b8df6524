/**
 * Whole frames to a socket: what one turn brings leaves in one write, so a header never leaves
 * without its payload. Gives up when nothing moves for a minute.
 */
import type { Socket } from 'node:net';
import type { Cancel, Clock } from '../clock.ts';

const joinBelowBytes = 64 * 1024;
const writeStallMs = 60_000;

export const pauseAtBytes = 4 * 1024 * 1024;

export class FrameWriter {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #onStall: () => void;
  #frames: Buffer[] = [];
  /** Answers handed to the socket since it was last empty. */
  #answerBytes = 0;
  #stall: Cancel | undefined;
  #whenFlushed: (() => void)[] = [];

  /** `onStall`: the peer has read nothing for a minute. */
  constructor(socket: Socket, clock: Clock, onStall: () => void) {
    this.#socket = socket;
    this.#clock = clock;
    this.#onStall = onStall;
  }

  /**
   * The peer does not read its answers. Our own requests do not count here: two ends that stop
   * reading because of what they ask would wait for each other.
   */
  get areAnswersPiling(): boolean {
    return Math.min(this.#answerBytes, this.#socket.writableLength) > pauseAtBytes;
  }

  add(frame: Buffer, kind: 'request' | 'answer'): void {
    this.#frames.push(frame);
    if (kind === 'answer') this.#answerBytes += frame.length;
  }

  flush(): void {
    const frames = this.#frames;
    if (frames.length === 0) return;
    this.#frames = [];
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    const total = frames.reduce((sum, { length }) => sum + length, 0);
    const writes = total <= joinBelowBytes ? [Buffer.concat(frames, total)] : frames;
    this.#socket.cork();
    for (const bytes of writes) this.#socket.write(bytes);
    this.#socket.uncork();
    if (this.#socket.writableNeedDrain) this.#watch();
    else this.#answerBytes = 0;
  }

  /** Resolves when little waits, or the writer was released. */
  flushed(): Promise<void> {
    if (this.#socket.writableLength <= pauseAtBytes) return Promise.resolve();
    return new Promise((resolve) => this.#whenFlushed.push(resolve));
  }

  /** The socket drained, or ended: nobody waits any more. */
  release(): void {
    this.#stall?.();
    this.#stall = undefined;
    this.#answerBytes = 0;
    for (const resolve of this.#whenFlushed.splice(0)) resolve();
  }

  /** Not the time a write takes counts, but the time in which nothing moves. */
  #watch(): void {
    if (this.#stall !== undefined) return;
    const sentBytes = this.#sentBytes();
    this.#stall = this.#clock.after(writeStallMs, () => {
      this.#stall = undefined;
      if (this.#sentBytes() > sentBytes) this.#watch();
      else this.#onStall();
    });
  }

  #sentBytes(): number {
    return this.#socket.bytesWritten - this.#socket.writableLength;
  }
}
