/** A view of the next bytes of a stream, as far ahead as the reader asks, and no further. */

/** The next bytes, empty at the end; the buffer may be reused by the next call. */
export type ByteSource = () => Uint8Array;

const startingBytes = 512 * 1024;

export class ByteWindow {
  readonly #source: ByteSource;
  #buffer = Buffer.allocUnsafe(startingBytes);
  #start = 0;
  #end = 0;
  #isEnded = false;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /**
   * At least `bytes` of what comes next, fewer only at the end; more may be there. The view is
   * good until the next call.
   */
  fill(bytes: number): Buffer {
    while (!this.#isEnded && this.#end - this.#start < bytes) this.#pull();
    return this.#buffer.subarray(this.#start, this.#end);
  }

  skip(bytes: number): void {
    this.#start += bytes;
  }

  #pull(): void {
    const next = this.#source();
    this.#isEnded = next.length === 0;
    if (this.#buffer.length - this.#end < next.length) this.#makeRoom(next.length);
    this.#buffer.set(next, this.#end);
    this.#end += next.length;
  }

  #makeRoom(bytes: number): void {
    const rest = this.#end - this.#start;
    const isEnough = rest + bytes <= this.#buffer.length;
    const target = isEnough ? this.#buffer : Buffer.allocUnsafe(2 * (rest + bytes));
    this.#buffer.copy(target, 0, this.#start, this.#end);
    this.#buffer = target;
    this.#start = 0;
    this.#end = rest;
  }
}
