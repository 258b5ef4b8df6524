/**
 * Virtual time: a binary heap of (instant, order of arrival) over typed arrays, so that a million
 * pending events cost 24 bytes each. Equal instants come out in the order they were put in: one
 * seed is one history.
 */

/** What happens, to whom, and a detail that its handler understands. */
export interface SimEvent {
  atMs: number;
  kind: number;
  subject: number;
  detail: number;
}

export class EventQueue {
  #at = new Float64Array(1024);
  #order = new Uint32Array(1024);
  #kind = new Uint8Array(1024);
  #subject = new Int32Array(1024);
  #detail = new Int32Array(1024);
  #size = 0;
  #nextOrder = 0;

  get size(): number {
    return this.#size;
  }

  push(atMs: number, kind: number, subject: number, detail = 0): void {
    if (this.#size === this.#at.length) this.#grow();
    const order = this.#nextOrder;
    this.#nextOrder = (order + 1) >>> 0;
    let hole = this.#size;
    this.#size += 1;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (!this.#isBefore(atMs, order, parent)) break;
      this.#copy(parent, hole);
      hole = parent;
    }
    this.#at[hole] = atMs;
    this.#order[hole] = order;
    this.#kind[hole] = kind;
    this.#subject[hole] = subject;
    this.#detail[hole] = detail;
  }

  /** Fills `into`; false when nothing is left. */
  pop(into: SimEvent): boolean {
    if (this.#size === 0) return false;
    into.atMs = this.#at[0] ?? 0;
    into.kind = this.#kind[0] ?? 0;
    into.subject = this.#subject[0] ?? 0;
    into.detail = this.#detail[0] ?? 0;
    this.#size -= 1;
    if (this.#size > 0) this.#sink(this.#size);
    return true;
  }

  /** Puts the entry at `from` where the first one was, and lets it sink to its place. */
  #sink(from: number): void {
    const at = this.#at[from] ?? 0;
    const order = this.#order[from] ?? 0;
    const size = this.#size;
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= size) break;
      const right = child + 1;
      if (right < size && this.#isBefore(this.#at[right] ?? 0, this.#order[right] ?? 0, child)) {
        child = right;
      }
      if (this.#isBefore(at, order, child)) break;
      this.#copy(child, hole);
      hole = child;
    }
    this.#copy(from, hole);
  }

  #isBefore(atMs: number, order: number, place: number): boolean {
    const other = this.#at[place] ?? 0;
    return atMs < other || (atMs === other && order < (this.#order[place] ?? 0));
  }

  #copy(from: number, to: number): void {
    this.#at[to] = this.#at[from] ?? 0;
    this.#order[to] = this.#order[from] ?? 0;
    this.#kind[to] = this.#kind[from] ?? 0;
    this.#subject[to] = this.#subject[from] ?? 0;
    this.#detail[to] = this.#detail[from] ?? 0;
  }

  #grow(): void {
    const length = this.#at.length * 2;
    const bigger = <Numbers extends { set(from: Numbers): void }>(to: Numbers, from: Numbers) => {
      to.set(from);
      return to;
    };
    this.#at = bigger(new Float64Array(length), this.#at);
    this.#order = bigger(new Uint32Array(length), this.#order);
    this.#kind = bigger(new Uint8Array(length), this.#kind);
    this.#subject = bigger(new Int32Array(length), this.#subject);
    this.#detail = bigger(new Int32Array(length), this.#detail);
  }
}
