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

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  at(offset: number): Position {
    if (offset < this.#lineStart) {
      this.#line = 1;
      this.#lineStart = 0;
    }
    for (;;) {
      const newline = this.#bytes.indexOf(LF, this.#lineStart);
      if (newline < 0 || newline >= offset) break;
      this.#line += 1;
      this.#lineStart = newline + 1;
    }
    return { line: this.#line, column: offset - this.#lineStart + 1 };
  }
}
