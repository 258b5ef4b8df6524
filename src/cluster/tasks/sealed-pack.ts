/**
 * A bundle sealed while it is packed: one token per message, written away at once. It runs where
 * the files are read, so the main thread never touches the content (cluster-protocol.md 3.2).
 */
import { createHash } from 'node:crypto';
import { endEarly, type Packed } from '../files/pack.ts';
import type { Seal, SealSalt } from '../wire/seal.ts';

/** One `appendFile` of the upload, as it lies in the file of tokens. */
export interface SealedChunk {
  readonly offset: number;
  readonly tokenBytes: number;
  /** Before sealing, with the path. */
  readonly plainBytes: number;
  readonly contentBytes: number;
}

export interface SealedEnd {
  readonly packed: Packed;
  /** SHA-256 of all content, for `endFile`. */
  readonly digest: Uint8Array;
}

/** A file of ours that the thread for files writes once and we read by offset. */
export interface SealedSpool {
  /** For the thread, until the stream has ended. */
  readonly descriptor: number;
  read(offset: number, into: Buffer): Promise<void>;
  /** Nobody reads it any more. */
  drop(): Promise<void>;
}

export interface SealingParts {
  readonly seal: Seal;
  /** The upload's path on the receivers. */
  readonly path: string;
  salt(): SealSalt;
  /** To the end of the file of tokens; the bytes are good for this call only. */
  write(token: Uint8Array): void;
}

/** Each message is given in parts, which are used before the next is asked for. */
export function* sealPack(
  messages: Generator<readonly Uint8Array[], Packed>,
  { seal, path, salt, write }: SealingParts,
): Generator<SealedChunk, SealedEnd> {
  const head = Buffer.from(`${path} `, 'utf8');
  const hash = createHash('sha256');
  const room = new Room();
  let offset = 0;
  try {
    for (let next = messages.next(); ; next = messages.next()) {
      if (next.done === true) return { packed: next.value, digest: hash.digest() };
      for (const part of next.value) hash.update(part);
      const contentBytes = next.value.reduce((sum, { length }) => sum + length, 0);
      const plainBytes = head.length + contentBytes;
      const token = seal.sealParts([head, ...next.value], salt(), room.for(plainBytes));
      write(token);
      yield { offset, tokenBytes: token.length, plainBytes, contentBytes };
      offset += token.length;
    }
  } finally {
    endEarly(messages);
  }
}

/** Memory for one token after the other. */
class Room {
  #buffer = Buffer.alloc(0);

  for(plainBytes: number): Buffer {
    const enough = Math.ceil((plainBytes + 128) / 3) * 4;
    if (this.#buffer.length < enough) this.#buffer = Buffer.allocUnsafeSlow(enough);
    return this.#buffer;
  }
}
