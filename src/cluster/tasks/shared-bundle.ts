/**
 * One bundle for many workers: read, packed and sealed once, kept sealed on disk while anybody
 * still reads it, sent to each under its own counters (cluster-protocol.md 3.2, corrections).
 * Memory holds what is under way, whatever the size, and once for all readers that are at the same
 * place. Readers follow the writer, so the first worker need not wait for the last chunk.
 */
import { PeerError } from '../../errors.ts';
import type { SealedStream } from '../files/jobs.ts';
import type { Packed } from '../files/pack.ts';
import type { Link } from '../link.ts';
import { heldBytesIn } from '../session/incoming.ts';
import type { Answer } from '../session/output.ts';
import { expectOk, Flight } from '../upload.ts';
import { ChunkReads, type TakenChunk } from './chunk-reads.ts';
import type { SealedChunk, SealedSpool } from './sealed-pack.ts';
import type { Sent } from './sending.ts';

export interface BundleParts {
  /** On every receiver: directly under `/queue/cluster/`, a name of our own. */
  readonly path: string;
  /** Writes into the spool. */
  readonly stream: SealedStream;
  readonly spool: SealedSpool;
  /** Chunks under way to one reader. */
  readonly window: number;
}

/** One worker that is being sent the bundle. */
export interface BundleReader {
  readonly link: Link;
  readonly signal: AbortSignal;
  /** An upload that its last link cut goes on. */
  readonly mayResume: boolean;
  progress(sentBytes: number): void;
  /** It holds the first `bytes` already. */
  resumed(bytes: number): void;
}

export class SharedBundle {
  readonly path: string;
  readonly #spool: SealedSpool;
  readonly #window: number;
  readonly #reads: ChunkReads;
  readonly #chunks: SealedChunk[] = [];
  readonly #written: Promise<void>;
  #state: 'writing' | 'whole' | 'broken' = 'writing';
  #digest: Uint8Array = Buffer.alloc(0);
  #packed: Packed | undefined;
  #more = Promise.withResolvers<void>();
  #readers = 0;

  constructor({ path, stream, spool, window }: BundleParts) {
    this.path = path;
    this.#spool = spool;
    this.#window = window;
    this.#reads = new ChunkReads(spool);
    this.#written = this.#write(stream);
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
  async sendTo(reader: BundleReader): Promise<Sent> {
    const { link, signal } = reader;
    this.#readers += 1;
    try {
      const first = await this.#open(reader);
      const sentBytes = await this.#sendChunks(reader, first);
      if (signal.aborted) await closeEarly(link, this.path);
      signal.throwIfAborted();
      const end = { path: this.path, digest: this.#digest };
      expectOk(await link.request('endFile', end), `the file ${this.path} was not taken`);
      return { path: this.path, sentBytes };
    } finally {
      this.#readers -= 1;
    }
  }

  /** Index of the first chunk that the worker lacks. */
  async #open({ link, mayResume, resumed }: BundleReader): Promise<number> {
    const what = `the file ${this.path} was refused`;
    const answer = expectOk(await link.request('openFile', this.path), what);
    const heldBytes = mayResume ? heldBytesIn(answer) : 0;
    if (heldBytes === 0) return 0;
    const first = await this.#chunkBehind(heldBytes);
    if (first !== undefined) {
      resumed(heldBytes);
      return first;
    }
    expectOk(await link.request('openFile', this.path), what); // from the start: it holds no more
    return 0;
  }

  /** Undefined: no chunk ends there. */
  async #chunkBehind(bytes: number): Promise<number | undefined> {
    let index = 0;
    for (let at = 0; at < bytes; index++) {
      const chunk = await this.#chunk(index);
      if (chunk === undefined) return undefined;
      at += chunk.contentBytes;
      if (at > bytes) return undefined;
    }
    return index;
  }

  async #sendChunks({ link, signal, progress }: BundleReader, first: number): Promise<number> {
    const flight = new Flight(link, this.#window);
    let sentBytes = 0;
    for (let index = first; !signal.aborted; index++) {
      const chunk = await this.#chunk(index);
      if (chunk === undefined) break;
      await flight.room();
      flight.launch(send(link, chunk, await this.#reads.take(chunk)));
      sentBytes += chunk.contentBytes;
      progress(sentBytes);
    }
    await flight.landed();
    return sentBytes;
  }

  /** Waits for the writer; undefined after the last one. Throws when the writer failed. */
  async #chunk(index: number): Promise<SealedChunk | undefined> {
    while (index >= this.#chunks.length && this.#state === 'writing') await this.#more.promise;
    if (index < this.#chunks.length) return this.#chunks[index];
    await this.#written;
    return undefined;
  }

  async #write(stream: SealedStream): Promise<void> {
    try {
      for (let next = await stream.next(); ; next = await stream.next()) {
        if (next.done === true) {
          this.#packed = next.value.packed;
          this.#digest = next.value.digest;
          break;
        }
        this.#chunks.push(...next.value);
        this.#wake();
      }
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

/** Leaves at once, so chunks keep their order. */
async function send(
  link: Link,
  { plainBytes }: SealedChunk,
  { token, done }: TakenChunk,
): Promise<Answer> {
  let end: 'answered' | 'lost' = 'lost';
  try {
    const answer = await link.requestSealed({ command: 'appendFile', token, plainBytes });
    end = 'answered';
    return answer;
  } finally {
    done(end);
  }
}

/** A stock receiver never closes an abandoned file: end it, with a digest that cannot match. */
async function closeEarly(link: Link, path: string): Promise<void> {
  if (link.isOpen) await link.request('endFile', { path, digest: Buffer.alloc(32) });
}
