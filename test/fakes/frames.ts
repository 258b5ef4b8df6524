/**
 * The framing of port 1514 as the stand-ins speak it: a 4-byte little-endian length, then the
 * payload (agent-side.md 5.1). Written on its own, so that the product's own codec is not its judge.
 */

/** Largest payload remoted takes; a longer announced length closes the connection. */
export const maxPayloadBytes = 65_536;

export function encodeFrame(payload: string | Buffer): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload) : payload;
  const head = Buffer.alloc(4);
  head.writeUInt32LE(body.length);
  return Buffer.concat([head, body]);
}

/** Collects chunks and hands out whole payloads. Throws when a length is over the limit. */
export class FrameReader {
  #kept: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): readonly Buffer[] {
    this.#kept = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk]);
    const payloads: Buffer[] = [];
    let at = 0;
    while (this.#kept.length - at >= 4) {
      const length = this.#kept.readUInt32LE(at);
      if (length > maxPayloadBytes) throw new RangeError(`too big message size: ${length}`);
      if (this.#kept.length - at - 4 < length) break;
      payloads.push(this.#kept.subarray(at + 4, at + 4 + length));
      at += 4 + length;
    }
    this.#kept = this.#kept.subarray(at);
    return payloads;
  }
}

/** One message of the stand-ins' own session; real ones are encrypted and look nothing like it. */
export interface StandInMessage {
  readonly standin: string;
  readonly agent?: string;
  readonly seq?: number;
  readonly reason?: string;
}

/** Undefined for anything that is not one of the stand-ins' own messages. */
export function readMessage(payload: Buffer): StandInMessage | undefined {
  try {
    const value: unknown = JSON.parse(payload.toString('utf8'));
    if (typeof value !== 'object' || value === null || !('standin' in value)) return undefined;
    return typeof value.standin === 'string' ? (value as StandInMessage) : undefined;
  } catch {
    return undefined; // a ping, or noise
  }
}

/** An event is the message and its filler, split by a NUL, so that big events cost no JSON. */
export function encodeEvent(seq: number, eventBytes: number): Buffer {
  const head = Buffer.from(`{"standin":"event","seq":${seq}}\0`);
  const filler = Buffer.alloc(Math.max(0, eventBytes - head.length), 0x78);
  return encodeFrame(Buffer.concat([head, filler]));
}

/** The part of a payload before the filler. */
export function messagePart(payload: Buffer): Buffer {
  const end = payload.indexOf(0);
  return end === -1 ? payload : payload.subarray(0, end);
}
