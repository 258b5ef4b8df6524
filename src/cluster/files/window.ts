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
    this.#has(bytes);
    return this.#buffer.subarray(this.#start, this.#end);
  }

  /** The next `bytes` bytes, no more; undefined where the stream ends before. Good as `fill`'s. */
  take(bytes: number): Buffer | undefined {
    if (!this.#has(bytes)) return undefined;
    const start = this.#start;
    this.#start += bytes;
    return this.#buffer.subarray(start, start + bytes);
  }

  /** The next 1 to 4 bytes as a big-endian number; undefined where the stream ends before. */
  takeNumber(bytes: 1 | 2 | 4): number | undefined {
    if (!this.#has(bytes)) return undefined;
    const start = this.#start;
    this.#start += bytes;
    return this.#buffer.readUIntBE(start, bytes);
  }

  skip(bytes: number): void {
    this.#start += bytes;
  }

  #has(bytes: number): boolean {
    while (!this.#isEnded && this.#end - this.#start < bytes) this.#pull();
    return this.#end - this.#start >= bytes;
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
