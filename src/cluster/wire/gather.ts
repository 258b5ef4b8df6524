/** Bytes that arrive in pieces: memory follows what arrived, never what was announced. */

const firstBytes = 1024;
/** Who has sent this much of one frame, said a good hello: a little room ahead is no gift. */
const trustedBytes = 32 * 1024;
const roomAhead = 8;
/** Larger than this is not kept for later. */
const mostKeptBytes = 512 * 1024;

export class Gather {
  #buffer: Buffer = Buffer.alloc(0);
  #length = 0;
  #spare: Buffer = Buffer.alloc(0);

  get length(): number {
    return this.#length;
  }

  /** Copy `bytes` to the end; the room grows by factors, but never beyond `limitBytes`. */
  append(bytes: Uint8Array, limitBytes: number): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#buffer.length) this.#grow(needed, limitBytes);
    this.#buffer.set(bytes, this.#length);
    this.#length = needed;
  }

  /** What was gathered; the gatherer is empty again. */
  take(): Buffer {
    const whole = this.#buffer.subarray(0, this.#length);
    this.#buffer = Buffer.alloc(0);
    this.#length = 0;
    return whole;
  }

  /** What `take` gave is no longer looked at: the next may have its memory. */
  giveBack(whole: Buffer): void {
    const { byteLength } = whole.buffer;
    if (byteLength >= trustedBytes && byteLength <= mostKeptBytes) {
      this.#spare = Buffer.from(whole.buffer);
    }
  }

  /** No large frame is likely to follow soon. */
  dropSpare(): void {
    if (this.#spare.length > 0) this.#spare = Buffer.alloc(0);
  }

  #grow(needed: number, limitBytes: number): void {
    const ahead = needed >= trustedBytes ? Math.min(roomAhead * needed, mostKeptBytes) : firstBytes;
    const wished = Math.min(Math.max(this.#buffer.length * 2, ahead), limitBytes);
    const size = Math.max(needed, wished);
    const larger = this.#spare.length >= size ? this.#spare : Buffer.allocUnsafeSlow(size);
    this.#spare = Buffer.alloc(0);
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
  }
}
