/** A view of the next bytes of a stream, as far ahead as the reader asks, and no further. */

/** The next bytes, empty at the end; the buffer may be reused by the next call. */
export type ByteSource = () => Uint8Array;

export class ByteWindow {
  readonly #source: ByteSource;
  #buffer = Buffer.alloc(0);
  #start = 0;
  #isEnded = false;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** At least `bytes` of what comes next, fewer only at the end; more may be there. */
  fill(bytes: number): Buffer {
    while (!this.#isEnded && this.#buffer.length - this.#start < bytes) this.#pull();
    return this.#buffer.subarray(this.#start);
  }

  skip(bytes: number): void {
    this.#start += bytes;
  }

  #pull(): void {
    const next = this.#source();
    this.#isEnded = next.length === 0;
    const rest = this.#buffer.subarray(this.#start);
    this.#buffer = Buffer.concat([rest, next]);
    this.#start = 0;
  }
}
