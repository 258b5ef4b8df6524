/** Bytes that arrive in pieces: memory follows what arrived, never what was announced. */

const firstBytes = 1024;

export class Gather {
  #buffer: Buffer = Buffer.alloc(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Copy `bytes` to the end; the room doubles, but never beyond `limitBytes`. */
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

  #grow(needed: number, limitBytes: number): void {
    const doubled = Math.min(Math.max(this.#buffer.length * 2, firstBytes), limitBytes);
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, doubled));
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
  }
}
