/**
 * Messages above the frames (cluster-protocol.md 1.5): a long body is cut into parts with flag
 * `d` that share counter and word; the last frame carries no flag. Sealing happens per message,
 * before it is cut; the plaintext's length decides.
 */
import { WireError } from '../../errors.ts';
import { encodeFrame, encodeHeader, type Frame } from './frame.ts';
import { Gather } from './gather.ts';
import { wireFormat } from './limits.ts';

export interface MessageHead {
  readonly counter: number;
  readonly word: string;
}

/** A message whose body is still as it travelled: a token, or plain bytes on the local socket. */
export interface RawMessage extends MessageHead {
  readonly body: Buffer;
}

/** One buffer per frame. `plainBytes` is the length of the plaintext inside `body`. */
export function encodeMessage(
  head: MessageHead,
  body: Uint8Array,
  plainBytes: number,
  chunkBytes: number = wireFormat.requestChunkBytes,
): readonly Buffer[] {
  if (plainBytes <= chunkBytes) return [encodeFrame({ ...head, role: 'whole' }, body)];
  const partBytes = chunkBytes - wireFormat.headerBytes;
  const frames: Buffer[] = [];
  for (let start = 0; start < body.length; start += partBytes) {
    const part = body.subarray(start, start + partBytes);
    const role = start + partBytes < body.length ? 'part' : 'last';
    frames.push(encodeFrame({ ...head, role }, part));
  }
  return frames;
}

/** From here on a body is not copied behind its header. */
const largeBytes = 16 * 1024;

/**
 * The bytes of a message whose body comes in parts, in order, to be written with one call: frames
 * as above, or header and parts as they are where the message is large and not divided.
 */
export function encodeParts(
  head: MessageHead,
  parts: readonly Buffer[],
  plainBytes: number,
): readonly Buffer[] {
  const bodyBytes = parts.reduce((sum, { length }) => sum + length, 0);
  if (bodyBytes >= largeBytes && plainBytes <= wireFormat.requestChunkBytes) {
    return [encodeHeader({ ...head, role: 'whole' }, bodyBytes), ...parts];
  }
  const [only] = parts;
  const body = only?.length === bodyBytes ? only : Buffer.concat(parts, bodyBytes);
  return encodeMessage(head, body, plainBytes);
}

export interface JoinLimits {
  readonly messageBytes: number;
  readonly dividedMessages: number;
}

interface Unfinished {
  readonly parts: Gather;
  readonly sinceMs: number;
}

/** Joins parts by counter. Holds at most `messageBytes` over all unfinished messages together. */
export class MessageJoiner {
  readonly #limits: JoinLimits;
  readonly #open = new Map<number, Unfinished>();
  #heldBytes = 0;

  constructor(limits: JoinLimits) {
    this.#limits = limits;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** When the oldest unfinished message began; undefined when there is none. */
  get oldestSinceMs(): number | undefined {
    return this.#open.values().next().value?.sinceMs;
  }

  /** The finished message, or undefined while parts are missing. Throws `WireError` at a limit. */
  add(frame: Frame, nowMs: number): RawMessage | undefined {
    const { counter, word, payload } = frame;
    const open = this.#open.get(counter);
    if (open === undefined && !frame.isPart) return { counter, word, body: payload };
    this.#heldBytes += payload.length;
    if (this.#heldBytes > this.#limits.messageBytes) {
      throw new WireError(
        'wire_limit',
        `divided messages of ${this.#heldBytes} bytes; ${this.#limits.messageBytes} are allowed`,
      );
    }
    const unfinished = open ?? this.#begin(counter, nowMs);
    unfinished.parts.append(payload, this.#limits.messageBytes);
    if (frame.isPart) return undefined;
    this.#open.delete(counter);
    this.#heldBytes -= unfinished.parts.length;
    return { counter, word, body: unfinished.parts.take() };
  }

  #begin(counter: number, nowMs: number): Unfinished {
    if (this.#open.size >= this.#limits.dividedMessages) {
      throw new WireError(
        'wire_limit',
        `more than ${this.#limits.dividedMessages} divided messages at once`,
      );
    }
    const unfinished = { parts: new Gather(), sinceMs: nowMs };
    this.#open.set(counter, unfinished);
    return unfinished;
  }
}
