/**
 * One bundle for many workers: read, packed and sealed once, kept sealed on disk while anybody
 * still reads it, sent to each under its own counters (cluster-protocol.md 3.2, corrections).
 * Memory holds one chunk per reader whatever the size. Readers follow the writer, so the first
 * worker need not wait for the last chunk to be packed.
 */
import { createHash } from 'node:crypto';
import { PeerError } from '../../errors.ts';
import type { PackStream } from '../files/jobs.ts';
import type { Packed } from '../files/pack.ts';
import type { Link } from '../link.ts';
import { type SealedMessage, sealMessage } from '../session/sealed-message.ts';
import { expectOk, Flight } from '../upload.ts';
import type { Seal, SealSalt } from '../wire/seal.ts';
import type { Sent } from './sending.ts';

/** A file of ours that is written once and read by offset. */
export interface SealedSpool {
  append(bytes: Uint8Array): Promise<void>;
  read(offset: number, length: number): Promise<Buffer>;
  /** Nobody reads it any more. */
  drop(): Promise<void>;
}

export interface BundleParts {
  /** On every receiver: directly under `/queue/cluster/`, a name of our own. */
  readonly path: string;
  readonly stream: PackStream;
  readonly seal: Seal;
  readonly spool: SealedSpool;
  /** Chunks under way to one reader. */
  readonly window: number;
  salt(): SealSalt;
}

interface Chunk {
  readonly offset: number;
  readonly tokenBytes: number;
  readonly plainBytes: number;
  readonly contentBytes: number;
}

export class SharedBundle {
  readonly path: string;
  readonly #spool: SealedSpool;
  readonly #window: number;
  readonly #chunks: Chunk[] = [];
  readonly #written: Promise<void>;
  #state: 'writing' | 'whole' | 'broken' = 'writing';
  #digest = Buffer.alloc(0);
  #packed: Packed | undefined;
  #contentBytes = 0;
  #more = Promise.withResolvers<void>();
  #readers = 0;

  constructor(parts: BundleParts) {
    this.path = parts.path;
    this.#spool = parts.spool;
    this.#window = parts.window;
    this.#written = this.#write(parts);
    this.#written.catch(() => undefined); // every reader looks at it
  }

  get readers(): number {
    return this.#readers;
  }

  get isBroken(): boolean {
    return this.#state === 'broken';
  }

  /** What is inside, once it is whole. */
  async packed(): Promise<Packed> {
    await this.#written;
    if (this.#packed === undefined) throw new PeerError('link_closed', 'the bundle was dropped');
    return this.#packed;
  }

  /** Resolves when the writer is done; the files on disk may then be dropped. */
  async drop(): Promise<void> {
    await this.#written.catch(() => undefined);
    await this.#spool.drop();
  }

  /** Upload to one worker. Throws what the peer refuses and what packing failed with. */
  async sendTo(link: Link, signal: AbortSignal, progress: (bytes: number) => void): Promise<Sent> {
    this.#readers += 1;
    try {
      expectOk(await link.request('openFile', this.path), `the file ${this.path} was refused`);
      const sentBytes = await this.#sendChunks(link, signal, progress);
      if (signal.aborted) await closeEarly(link, this.path);
      signal.throwIfAborted();
      const end = { path: this.path, digest: this.#digest };
      expectOk(await link.request('endFile', end), `the file ${this.path} was not taken`);
      return { path: this.path, sentBytes };
    } finally {
      this.#readers -= 1;
    }
  }

  async #sendChunks(
    link: Link,
    signal: AbortSignal,
    progress: (bytes: number) => void,
  ): Promise<number> {
    const flight = new Flight(link, this.#window);
    let sentBytes = 0;
    for (let index = 0; !signal.aborted; index++) {
      const chunk = await this.#chunk(index);
      if (chunk === undefined) break;
      const message = await this.#read(chunk);
      await flight.add(() => link.requestSealed(message));
      sentBytes += chunk.contentBytes;
      progress(sentBytes);
    }
    await flight.landed();
    return sentBytes;
  }

  /** Waits for the writer; undefined after the last one. Throws when the writer failed. */
  async #chunk(index: number): Promise<Chunk | undefined> {
    while (index >= this.#chunks.length && this.#state === 'writing') await this.#more.promise;
    if (index < this.#chunks.length) return this.#chunks[index];
    await this.#written;
    return undefined;
  }

  async #read({ offset, tokenBytes, plainBytes }: Chunk): Promise<SealedMessage> {
    const token = await this.#spool.read(offset, tokenBytes);
    return { command: 'appendFile', token, plainBytes };
  }

  async #write({ stream, seal, salt }: BundleParts): Promise<void> {
    const hash = createHash('sha256');
    let offset = 0;
    try {
      for (;;) {
        const next = await stream.next();
        if (next.done === true) {
          this.#packed = next.value;
          break;
        }
        const bytes = next.value;
        hash.update(bytes);
        this.#contentBytes += bytes.length;
        const message = sealMessage(seal, 'appendFile', { path: this.path, bytes }, salt());
        await this.#spool.append(message.token);
        const { plainBytes, token } = message;
        const chunk = { offset, tokenBytes: token.length, plainBytes, contentBytes: bytes.length };
        this.#chunks.push(chunk);
        offset += token.length;
        this.#wake();
      }
      this.#digest = hash.digest();
      this.#state = 'whole';
    } catch (error) {
      this.#state = 'broken';
      throw error;
    } finally {
      this.#wake();
    }
  }

  #wake(): void {
    this.#more.resolve();
    this.#more = Promise.withResolvers();
  }
}

/** A stock receiver never closes an abandoned file: end it, with a digest that cannot match. */
async function closeEarly(link: Link, path: string): Promise<void> {
  if (link.isOpen) await link.request('endFile', { path, digest: Buffer.alloc(32) });
}
