/**
 * Bytes to opened messages and back: frames, joining, MAC of the link, seal. Knows nothing of
 * commands or phases. What is unfinished is bounded in bytes and in time.
 */
import type { Random } from '../../clock.ts';
import { WireError } from '../../errors.ts';
import { FrameDecoder } from '../wire/frame.ts';
import type { SessionLimits } from '../wire/limits.ts';
import { encodeParts, type MessageHead, MessageJoiner } from '../wire/message.ts';
import type { Seal, SealSalt } from '../wire/seal.ts';
import { LinkMac } from './link-mac.ts';

export interface OpenMessage extends MessageHead {
  readonly payload: Buffer;
}

export interface ChannelOptions {
  /** Absent on the local socket, which is not sealed. */
  readonly seal: Seal | undefined;
  readonly limits: SessionLimits;
  readonly random: Random;
  /** Wall clock minus the monotonic clock of every `nowMs`: dates our tokens. */
  readonly wallOffsetMs: number;
}

const ivBytes = 16;
const drawnBytes = 4096;

export class Channel {
  readonly #options: ChannelOptions;
  readonly #decoder = new FrameDecoder();
  readonly #joiner: MessageJoiner;
  #macs: { readonly send: LinkMac; readonly receive: LinkMac } | undefined;
  #frameSinceMs: number | undefined;
  #drawn: Uint8Array = new Uint8Array(0);
  #drawnUsed = 0;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#joiner = new MessageJoiner(options.limits);
  }

  get isProtected(): boolean {
    return this.#macs !== undefined;
  }

  /** From the next message on, both directions carry a MAC and must. */
  protect(keys: { readonly send: Uint8Array; readonly receive: Uint8Array }): void {
    this.#macs = { send: new LinkMac(keys.send), receive: new LinkMac(keys.receive) };
  }

  push(bytes: Uint8Array, nowMs: number): void {
    this.#frameSinceMs ??= nowMs;
    this.#decoder.push(bytes);
  }

  /**
   * The next whole message, opened. `soloBytes`: before hello a message must be one frame of at
   * most this size. Throws `WireError`.
   */
  next(nowMs: number, soloBytes?: number): OpenMessage | undefined {
    for (;;) {
      const limitBytes = soloBytes ?? this.#options.limits.messageBytes - this.#joiner.heldBytes;
      const frame = this.#decoder.next(limitBytes);
      if (frame === undefined) break;
      this.#frameSinceMs = nowMs;
      if (frame.isPart && soloBytes !== undefined) {
        throw new WireError('wire_broken', 'a divided message before hello');
      }
      const message = this.#joiner.add(frame, nowMs);
      if (message === undefined) continue;
      const { counter, word } = message;
      const token = this.#macs?.receive.check(message) ?? message.body;
      const payload = this.#options.seal?.open(token) ?? token;
      if (payload !== token) this.#decoder.recycle();
      return { counter, word, payload };
    }
    if (this.#decoder.heldBytes === 0 && this.#decoder.announcedBytes === 0) {
      this.#frameSinceMs = undefined;
    }
    return undefined;
  }

  /** When an unfinished frame or message is too late; infinite when nothing is unfinished. */
  get deadlineMs(): number {
    const { arrivalMs, slowestBytesPerMs, messageBytes } = this.#options.limits;
    const sinceMs = this.#frameSinceMs ?? Number.POSITIVE_INFINITY;
    const frame = sinceMs + arrivalMs + this.#decoder.announcedBytes / slowestBytesPerMs;
    const joinMs = this.#joiner.oldestSinceMs ?? Number.POSITIVE_INFINITY;
    return Math.min(frame, joinMs + arrivalMs + messageBytes / slowestBytesPerMs);
  }

  /** The bytes of a message; what is large is not copied. */
  encode(head: MessageHead, plaintext: Uint8Array, nowMs: number): readonly Buffer[] {
    const token = this.#options.seal?.seal(plaintext, this.#salt(nowMs)) ?? plaintext;
    return this.encodeSealed(head, Buffer.from(token.buffer, token.byteOffset, token.length), {
      plainBytes: plaintext.length,
    });
  }

  encodeSealed(
    head: MessageHead,
    token: Buffer,
    size: { readonly plainBytes: number },
  ): readonly Buffer[] {
    const suffix = this.#macs?.send.protect(head, token);
    const parts = suffix === undefined ? [token] : [token, suffix];
    return encodeParts(head, parts, size.plainBytes);
  }

  #salt(nowMs: number): SealSalt {
    if (this.#drawnUsed + ivBytes > this.#drawn.length) {
      this.#drawn = this.#options.random.bytes(drawnBytes);
      this.#drawnUsed = 0;
    }
    const iv = this.#drawn.subarray(this.#drawnUsed, this.#drawnUsed + ivBytes);
    this.#drawnUsed += ivBytes;
    const unixSeconds = Math.max(0, Math.floor((nowMs + this.#options.wallOffsetMs) / 1000));
    return { iv, unixSeconds };
  }
}
