/**
 * Every bound of the cluster protocol, as data. A peer is judged by what it announces, before
 * any of its bytes are kept. Sources: cluster-protocol.md 1.2, 1.5 and 11.1, trust-and-safety 2.3.
 */

/** What the wire itself fixes; the same on every node that speaks this protocol. */
export const wireFormat = {
  headerBytes: 20,
  /** The command field: word, one space, `-` up to the end; the last byte doubles as a flag. */
  fieldBytes: 12,
  wordBytes: 11,
  /** A plaintext above this is cut into frames of at most this size, header included. */
  requestChunkBytes: 5_242_880,
  /** No stock node accepts a payload above this. */
  stockPayloadBytes: 268_435_456,
  keyCharacters: 32,
} as const;

/** What one peer may make us hold, and for how long. */
export interface SessionLimits {
  /** Before hello is accepted: all bytes of the connection together. */
  readonly greetingBytes: number;
  readonly greetingMs: number;
  /** Commands other than a good hello before we hang up. */
  readonly greetingStrikes: number;
  /** One message as it travels; also all unfinished frames and parts of a peer together. */
  readonly messageBytes: number;
  readonly dividedMessages: number;
  /** An unfinished frame or message may take this long, plus its size at `slowestBytesPerMs`. */
  readonly arrivalMs: number;
  readonly slowestBytesPerMs: number;
  /** A string may announce this much; above `stringMemoryBytes` it goes to the spool. */
  readonly stringBytes: number;
  readonly stringMemoryBytes: number;
  /** All strings kept in memory together. */
  readonly stringsMemoryBytes: number;
  readonly strings: number;
  readonly fileBytes: number;
  readonly files: number;
  /** A string or file that nobody asked for or continued is dropped after this. */
  readonly transferIdleMs: number;
  /** With all places taken, one that idles this long makes room for a new one. */
  readonly evictIdleMs: number;
  readonly pendingRequests: number;
  readonly tombstones: number;
  /** Requests of the peer that our side has not answered yet. */
  readonly openAsks: number;
  readonly requestTimeoutMs: number;
  /** Messages waiting for the end of the negotiation between own nodes. */
  readonly heldMessages: number;
  readonly heldBytes: number;
}

const mebibyte = 1024 * 1024;

export const defaultLimits: SessionLimits = {
  greetingBytes: 64 * 1024,
  greetingMs: 5_000,
  greetingStrikes: 3,
  messageBytes: 64 * mebibyte,
  dividedMessages: 10,
  arrivalMs: 30_000,
  slowestBytesPerMs: 64,
  stringBytes: 256 * mebibyte,
  stringMemoryBytes: 8 * mebibyte,
  stringsMemoryBytes: 64 * mebibyte,
  strings: 64,
  fileBytes: 1024 * mebibyte,
  files: 16,
  transferIdleMs: 600_000,
  evictIdleMs: 30_000,
  pendingRequests: 1024,
  tombstones: 1024,
  openAsks: 1024,
  requestTimeoutMs: 20_000,
  heldMessages: 1024,
  heldBytes: 16 * mebibyte,
};

/** What one address may make us hold before any of its connections said a good hello. */
export const addressLimits = {
  unauthenticatedBytes: 256 * 1024,
  /** Charged for a connection before its first byte, so that silent ones are bounded too. */
  connectionBytes: 1024,
} as const;
