/**
 * Tokens on their way from the spool to the sockets. Readers at the same place share one read, and
 * memory that an answer has freed serves the next chunk: bulk leaves no garbage behind.
 */
import type { SealedChunk, SealedSpool } from './sealed-pack.ts';

export interface TakenChunk {
  /** Good until `done`. */
  readonly token: Buffer;
  /** `answered`: the peer has read every byte, so the memory may be used again. */
  done(end: 'answered' | 'lost'): void;
}

interface Loaded {
  readonly room: Buffer;
  readonly token: Promise<Buffer>;
  users: number;
  mayServeAgain: boolean;
}

const mostSpare = 8;

export class ChunkReads {
  readonly #spool: Pick<SealedSpool, 'read'>;
  readonly #loaded = new Map<number, Loaded>();
  readonly #spare: Buffer[] = [];

  constructor(spool: Pick<SealedSpool, 'read'>) {
    this.#spool = spool;
  }

  async take(chunk: SealedChunk): Promise<TakenChunk> {
    const loaded = this.#loaded.get(chunk.offset) ?? this.#load(chunk);
    loaded.users += 1;
    const done = (end: 'answered' | 'lost'): void => this.#done(chunk.offset, loaded, end);
    try {
      return { token: await loaded.token, done };
    } catch (error) {
      done('lost');
      throw error;
    }
  }

  #done(offset: number, loaded: Loaded, end: 'answered' | 'lost'): void {
    loaded.users -= 1;
    if (end === 'lost') loaded.mayServeAgain = false;
    if (loaded.users > 0) return;
    this.#loaded.delete(offset);
    if (loaded.mayServeAgain && this.#spare.length < mostSpare) this.#spare.push(loaded.room);
  }

  #load({ offset, tokenBytes }: SealedChunk): Loaded {
    const at = this.#spare.findIndex(({ length }) => length >= tokenBytes);
    const [spare] = at === -1 ? [] : this.#spare.splice(at, 1);
    const room = spare ?? Buffer.allocUnsafeSlow(tokenBytes);
    const token = room.subarray(0, tokenBytes);
    const read = this.#spool.read(offset, token).then(() => token);
    const loaded = { room, token: read, users: 0, mayServeAgain: true };
    this.#loaded.set(offset, loaded);
    return loaded;
  }
}
