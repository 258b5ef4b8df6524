/** Byte offsets as people read them. */

const LF = 0x0a;

export interface Position {
  /** 1-based; only `\n` counts, as in the agent. */
  readonly line: number;
  /** 1-based, in bytes. */
  readonly column: number;
}

/** Line and column of the byte at `offset`. Linear in `offset`. */
export function lineOf(bytes: Uint8Array, offset: number): Position {
  return new Positions(bytes).at(offset);
}

/** Line numbers of many offsets in one pass, as long as they are asked for in rising order. */
export class Positions {
  readonly #bytes: Uint8Array;
  #line = 1;
  #lineStart = 0;
  /** The `\n` that ends the current line, the length of the file on its last one. */
  #lineEnd: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#lineEnd = this.#nextEnd(0);
  }

  at(offset: number): Position {
    if (offset < this.#lineStart) {
      this.#line = 1;
      this.#lineStart = 0;
      this.#lineEnd = this.#nextEnd(0);
    }
    while (this.#lineEnd < offset && this.#lineEnd < this.#bytes.length) {
      this.#line += 1;
      this.#lineStart = this.#lineEnd + 1;
      this.#lineEnd = this.#nextEnd(this.#lineStart);
    }
    return { line: this.#line, column: offset - this.#lineStart + 1 };
  }

  #nextEnd(from: number): number {
    const found = this.#bytes.indexOf(LF, from);
    return found < 0 ? this.#bytes.length : found;
  }
}
