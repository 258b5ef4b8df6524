/** What the members of one received bundle may cost: their number, each, all, how far they inflate. */
import type { FileName } from './name.ts';
import { FileRefusal, shown } from './refusal.ts';
import type { MemberSink, UnpackLimits } from './unpack.ts';

/** Takes content together with the count of compressed bytes it came from so far. */
export interface CountedSink {
  take(content: Uint8Array, compressedBytes: number): void;
}

export class MemberCount {
  readonly #limits: UnpackLimits;
  readonly #seen = new Set<FileName>();
  #totalBytes = 0;

  constructor(limits: UnpackLimits) {
    this.#limits = limits;
  }

  /** Throws `FileRefusal` for the second of a name, and for one too many. */
  begin(name: FileName): void {
    if (this.#seen.has(name)) throw new FileRefusal(3003, `two members are called ${shown(name)}`);
    if (this.#seen.size >= this.#limits.members) {
      throw new FileRefusal(3053, `the bundle has more than ${this.#limits.members} members`);
    }
    this.#seen.add(name);
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
