/** What the members of one received bundle may cost: their number, each, all, how far they inflate. */
import type { FileName } from './name.ts';
import { FileRefusal, shown } from './refusal.ts';

export interface UnpackLimits {
  /** Content of one member, and of all together with the metadata. */
  readonly memberBytes: number;
  readonly totalBytes: number;
  readonly metadataBytes: number;
  readonly members: number;
  /** Above `ratioFreeBytes` of content a member may not inflate more than this many times. */
  readonly ratio: number;
  readonly ratioFreeBytes: number;
}

const mebibyte = 1024 * 1024;

export const defaultUnpackLimits: UnpackLimits = {
  memberBytes: 1024 * mebibyte,
  totalBytes: 1024 * mebibyte,
  metadataBytes: 64 * mebibyte,
  members: 500_000,
  ratio: 200,
  ratioFreeBytes: 64 * mebibyte, // zeros, or one line over and over, shrink more, and are honest
};

/** Where one member's content goes; after `abort` nothing of it may remain. */
export interface MemberSink {
  write(bytes: Uint8Array): void;
  /** `hash`: BLAKE2b-512 in hex, where the sender proved it. */
  end(hash?: string): void;
  abort(): void;
}

/** Takes content together with the count of compressed bytes it came from so far. */
export interface CountedSink {
  take(content: Uint8Array, compressedBytes: number): void;
}

export class MemberCount {
  readonly #limits: UnpackLimits;
  readonly #seen = new Set<FileName>();
  #members = 0;
  #nameCharacters = 0;
  #totalBytes = 0;

  constructor(limits: UnpackLimits) {
    this.#limits = limits;
  }

  /** Throws `FileRefusal` for the second of a name, and for one too many. */
  begin(name: FileName): void {
    if (this.#seen.has(name)) throw twice(name);
    this.next(name);
    this.#seen.add(name);
  }

  /** Where whoever takes members refuses the second of a name (`twice`). */
  next(name: FileName): void {
    this.#members += 1;
    this.#nameCharacters += name.length; // they are kept, and say what the metadata would
    if (this.#nameCharacters > this.#limits.metadataBytes) {
      throw new FileRefusal(3053, 'the names of the members are longer than allowed');
    }
    if (this.#members <= this.#limits.members) return;
    throw new FileRefusal(3053, `the bundle has more than ${this.#limits.members} members`);
  }

  /** Content that is there at once. Throws `FileRefusal` above a limit. */
  add(name: FileName, bytes: number): void {
    const { memberBytes, totalBytes } = this.#limits;
    this.#totalBytes += bytes;
    if (bytes <= memberBytes && this.#totalBytes <= totalBytes) return;
    throw new FileRefusal(3053, `the member ${shown(name)} is larger than allowed`);
  }

  /** Counts, then writes; `take` throws `FileRefusal` above a limit. */
  sinkOf(name: FileName, sink: MemberSink, memberBytes = this.#limits.memberBytes): CountedSink {
    const { totalBytes, ratio, ratioFreeBytes } = this.#limits;
    let content = 0;
    return {
      take: (bytes, compressedBytes) => {
        content += bytes.length;
        this.#totalBytes += bytes.length;
        const isBomb = content > ratioFreeBytes && content > compressedBytes * ratio;
        if (content > memberBytes || this.#totalBytes > totalBytes || isBomb) {
          const why = isBomb ? `inflates more than ${ratio} times` : 'is larger than allowed';
          throw new FileRefusal(3053, `the member ${shown(name)} ${why}`);
        }
        sink.write(bytes);
      },
    };
  }
}

export function twice(name: FileName): FileRefusal {
  return new FileRefusal(3003, `two members are called ${shown(name)}`);
}
