/**
 * The framed `#ping` of the agent protocol (agent-side.md 5.1, real-agent-lab.md 5): on TCP a
 * four-byte little-endian length and five characters, on UDP the bare characters. A pong proves
 * that remoted's workers take work; it needs no key and leaves no log line on the manager.
 */
import { equalBytes } from '../bytes.ts';

const ping = Buffer.from('#ping');
const pong = Buffer.from('#pong');
const lengthBytes = 4;

/** What TCP carries: `05 00 00 00 #ping`. */
export const framedPing: Uint8Array = frame(ping);
/** What a UDP datagram carries. */
export const barePing: Uint8Array = ping;

const framedPong = frame(pong);

/** What the bytes received so far say. `wrong`: whatever answers there is not remoted. */
export type PongReading = 'more' | 'pong' | 'wrong';

/** Judge everything received on one TCP connection since the ping; never asks for over 9 bytes. */
export function readFramedPong(received: Uint8Array): PongReading {
  const seen = received.subarray(0, framedPong.length);
  if (!equalBytes(seen, framedPong.subarray(0, seen.length))) return 'wrong';
  return seen.length === framedPong.length ? 'pong' : 'more';
}

/** Nothing but pongs, from byte `offset` of a stream that held nothing else before it. */
export function isFramedPongs(bytes: Uint8Array, offset: number): boolean {
  return bytes.every((byte, index) => byte === framedPong[(offset + index) % framedPong.length]);
}

export function isBarePong(datagram: Uint8Array): boolean {
  return equalBytes(datagram, pong);
}

/** One message of the agent protocol on TCP. */
function frame(message: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(lengthBytes + message.length);
  bytes.writeUInt32LE(message.length, 0);
  bytes.set(message, lengthBytes);
  return bytes;
}
