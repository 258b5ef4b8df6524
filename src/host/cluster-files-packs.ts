/** Bundles being packed in the thread for files, each a step at a time, so that no job waits long. */
import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { endEarly, type Packed } from '../cluster/files/pack.ts';
import { type SealedChunk, type SealedEnd, sealPack } from '../cluster/tasks/sealed-pack.ts';
import type { Seal } from '../cluster/wire/seal.ts';
import { HostError } from '../errors.ts';
import { bulkMemory } from './bulk-memory.ts';
import type { Chunk, SealedPart } from './cluster-files-messages.ts';

export type Pack = Generator<Uint8Array<ArrayBuffer>, Packed>;

/** Content of one step; then other jobs have their turn. */
const stepBytes = 1024 * 1024;
/** Ciphertext and its base64: what one byte of content leaves behind. */
const copiesPerByte = 2.4;

export class Packs {
  readonly #plain = new Map<number, Pack>();
  readonly #sealed = new Map<number, Generator<SealedChunk, SealedEnd>>();
  #lastId = 0;

  start(pack: Pack): number {
    this.#lastId += 1;
    this.#plain.set(this.#lastId, pack);
    return this.#lastId;
  }

  startSealed(
    messages: Generator<readonly Uint8Array[], Packed>,
    seal: Seal,
    { path, descriptor }: { readonly path: string; readonly descriptor: number },
  ): number {
    const salt = () => ({ iv: randomBytes(16), unixSeconds: Math.floor(Date.now() / 1000) });
    const write = (token: Uint8Array): void => writeAll(descriptor, token);
    this.#lastId += 1;
    this.#sealed.set(this.#lastId, sealPack(messages, { seal, path, salt, write }));
    return this.#lastId;
  }

  /** Throws what reading a file or the bundle's own disk failed with; the pack is then gone. */
  next(id: number): Chunk {
    return this.#step(this.#plain, id, (pack) => {
      const next = pack.next();
      if (next.done === true) return { kind: 'end', packed: next.value };
      bulkMemory.moved(next.value.length);
      return { kind: 'bytes', bytes: next.value };
    });
  }

  nextSealed(id: number): SealedPart {
    return this.#step(this.#sealed, id, (pack) => {
      const chunks: SealedChunk[] = [];
      for (let bytes = 0; bytes < stepBytes; ) {
        const next = pack.next();
        if (next.done === true) return { kind: 'end', chunks, end: next.value };
        chunks.push(next.value);
        bytes += next.value.contentBytes;
        bulkMemory.moved(next.value.contentBytes * copiesPerByte);
      }
      return { kind: 'chunks', chunks };
    });
  }

  stop(id: number): void {
    endEarly(this.#plain.get(id));
    endEarly(this.#sealed.get(id));
    this.#plain.delete(id);
    this.#sealed.delete(id);
  }

  #step<Kind, Part extends { readonly kind: string }>(
    packs: Map<number, Kind>,
    id: number,
    work: (pack: Kind) => Part,
  ): Part {
    const pack = packs.get(id);
    if (pack === undefined) throw new HostError('not_found', `no bundle ${id} is being packed`);
    try {
      const part = work(pack);
      if (part.kind === 'end') packs.delete(id);
      return part;
    } catch (error) {
      packs.delete(id);
      throw error;
    }
  }
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; )
    done += writeSync(file, bytes, done, bytes.length - done);
}
