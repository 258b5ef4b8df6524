/**
 * The 20-byte header and what follows it (cluster-protocol.md 1.2): counter, payload length,
 * command field. Knows nothing of sealing or of the meaning of commands. Invariants: any
 * chunking gives the same frames; an announced length is judged before a byte of it is kept;
 * header and payload leave together, because a stock node misreads a header that comes alone.
 */
import { WireError } from '../../errors.ts';
import { Gather } from './gather.ts';
import { wireFormat } from './limits.ts';

const { headerBytes, fieldBytes, wordBytes } = wireFormat;
const partFlag = 'd'.charCodeAt(0);
const dash = '-'.charCodeAt(0);
const space = ' '.charCodeAt(0);
/** Whoever sends such frames is not in the middle of bulk. */
const smallBytes = 16 * 1024;

/** `whole`: not divided. `part`: more follow. `last`: ends a divided message. */
export type FrameRole = 'whole' | 'part' | 'last';

export interface FrameHead {
  readonly counter: number;
  /** The wire word, at most 11 bytes; may end in a space as stock's `ok ` does. */
  readonly word: string;
  readonly role: FrameRole;
}

export interface Frame {
  readonly counter: number;
  readonly word: string;
  /** Flag `d`: this frame is a part and more follow. */
  readonly isPart: boolean;
  /** Shares memory with the chunk it came in: use it before the next chunk, or copy it. */
  readonly payload: Buffer;
}

/** Header and payload as one contiguous buffer. Throws `RangeError` for a word that does not fit. */
export function encodeFrame(head: FrameHead, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(headerBytes + payload.length);
  encodeHeader(head, payload.length, frame);
  frame.set(payload, headerBytes);
  return frame;
}

/** The header alone, for a payload that is large and shall not be copied; throws as `encodeFrame`. */
export function encodeHeader(
  head: FrameHead,
  payloadBytes: number,
  frame = Buffer.allocUnsafe(headerBytes),
): Buffer {
  const { word, role } = head;
  if (word.length === 0 || word.length > wordBytes) {
    throw new RangeError(`command of ${word.length} bytes; 1 to ${wordBytes} fit`);
  }
  frame.writeUInt32BE(head.counter, 0);
  frame.writeUInt32BE(payloadBytes, 4);
  frame.write(`${word} ----------`, 8, fieldBytes, 'latin1');
  // Stock overwrites the last byte in a divided message's frames, also the space of a long word.
  if (role === 'part') frame[headerBytes - 1] = partFlag;
  if (role === 'last') frame[headerBytes - 1] = dash;
  return frame;
}

/** Drop the flag byte, cut at the first space: tolerates every padding seen on the wire. */
function wordOf(header: Buffer): string {
  const field = header.subarray(8, 8 + wordBytes);
  const end = field.indexOf(space);
  return field.toString('latin1', 0, end === -1 ? wordBytes : end);
}

interface Header {
  readonly counter: number;
  readonly lengthBytes: number;
  readonly word: string;
  readonly isPart: boolean;
}

function decodeHeader(header: Buffer): Header {
  return {
    counter: header.readUInt32BE(0),
    lengthBytes: header.readUInt32BE(4),
    word: wordOf(header),
    isPart: header[headerBytes - 1] === partFlag,
  };
}

/** Push a chunk, then call `next` until it gives nothing: the limit may change in between. */
export class FrameDecoder {
  readonly #partial = Buffer.alloc(headerBytes);
  #partialBytes = 0;
  #header: Header | undefined;
  readonly #body = new Gather();
  #chunk: Buffer = Buffer.alloc(0);
  #offset = 0;
  /** Gathered, and given out. */
  #given: Buffer | undefined;

  /** Bytes of an unfinished frame that this decoder keeps. */
  get heldBytes(): number {
    return this.#partialBytes + this.#body.length + this.#chunk.length - this.#offset;
  }

  /** The frame given last was used up: its memory may serve the next. */
  recycle(): void {
    if (this.#given !== undefined) this.#body.giveBack(this.#given);
    this.#given = undefined;
  }

  /** Payload length of the frame under way, as announced; 0 between frames. */
  get announcedBytes(): number {
    return this.#header?.lengthBytes ?? 0;
  }

  push(chunk: Uint8Array): void {
    const fresh = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    const rest = this.#chunk.length - this.#offset;
    this.#chunk = rest === 0 ? fresh : Buffer.concat([this.#chunk.subarray(this.#offset), fresh]);
    this.#offset = 0;
  }

  /**
   * The next whole frame, or undefined when more bytes are needed.
   * Throws `WireError` when a header announces more than `limitBytes` of payload.
   */
  next(limitBytes: number): Frame | undefined {
    const header = this.#header ?? this.#nextHeader();
    if (header === undefined) return undefined;
    if (header.lengthBytes > limitBytes) {
      throw new WireError(
        'wire_limit',
        `a frame announces ${header.lengthBytes} bytes; ${limitBytes} are allowed here`,
      );
    }
    const payload = this.#nextPayload(header.lengthBytes);
    this.#header = payload === undefined ? header : undefined;
    if (payload === undefined) return undefined;
    const { counter, word, isPart } = header;
    return { counter, word, isPart, payload };
  }

  #nextHeader(): Header | undefined {
    const available = this.#chunk.length - this.#offset;
    if (this.#partialBytes === 0 && available >= headerBytes) {
      this.#offset += headerBytes;
      return decodeHeader(this.#chunk.subarray(this.#offset - headerBytes, this.#offset));
    }
    const wanted = Math.min(headerBytes - this.#partialBytes, available);
    this.#chunk.copy(this.#partial, this.#partialBytes, this.#offset, this.#offset + wanted);
    this.#offset += wanted;
    this.#partialBytes += wanted;
    if (this.#partialBytes < headerBytes) return this.#letGo();
    this.#partialBytes = 0;
    return decodeHeader(this.#partial);
  }

  #nextPayload(lengthBytes: number): Buffer | undefined {
    const missing = lengthBytes - this.#body.length;
    const taken = this.#chunk.subarray(this.#offset, this.#offset + missing);
    this.#offset += taken.length;
    this.#given = undefined;
    if (lengthBytes < smallBytes) this.#body.dropSpare();
    if (taken.length === lengthBytes) return taken;
    this.#body.append(taken, lengthBytes);
    if (this.#body.length < lengthBytes) return this.#letGo();
    this.#given = this.#body.take();
    return this.#given;
  }

  /** The chunk is used up: do not keep it alive. */
  #letGo(): undefined {
    this.#chunk = Buffer.alloc(0);
    this.#offset = 0;
    return undefined;
  }
}
