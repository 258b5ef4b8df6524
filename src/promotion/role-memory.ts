/** What a node remembers of the role, in memory and in its book; the greatest token only grows. */
import { HostError } from '../errors.ts';
import type { RoleBook, RoleMemory } from './ports.ts';

export class KeptMemory {
  readonly #book: RoleBook;
  #memory: RoleMemory;

  constructor(book: RoleBook) {
    this.#book = book;
    this.#memory = book.read();
  }

  get now(): RoleMemory {
    return this.#memory;
  }

  /** False: it is known to this process only. */
  keep(change: Partial<RoleMemory>): boolean {
    const greatestToken = Math.max(change.greatestToken ?? 0, this.#memory.greatestToken);
    const record = change.record ?? this.#memory.record;
    const kept = record && { ...record, keys: { ...record.keys, steps: [] } };
    this.#memory = { ...this.#memory, ...change, greatestToken, record: kept };
    return this.#book.write(this.#memory);
  }

  /**
   * What a master must not forget: without it, what only this node gave out would not be put aside
   * when it comes back as a worker. Throws HostError `store_failed`.
   */
  keepSurely(change: Partial<RoleMemory>): void {
    if (this.keep(change)) return;
    throw new HostError('store_failed', 'what this node remembers of the role cannot be written');
  }
}
