/** A history in memory that keeps the promises of the real one, and counts what is appended. */
import type { History, PublishedList, RolloutMark } from '../publisher/history.ts';

export class MemoryHistory implements History {
  readonly entries: PublishedList[] = [];
  readonly #marks = new Map<string, RolloutMark>();

  newest = (): PublishedList | undefined => this.entries.at(-1);
  find = (version: number): PublishedList | undefined =>
    this.entries.find((entry) => entry.version === version);
  list = (limit: number): readonly PublishedList[] => this.entries.slice(-limit).reverse();
  append = (entry: PublishedList, expectedVersion: number | undefined): boolean => {
    if (this.newest()?.version !== expectedVersion) return false;
    this.entries.push(entry);
    return true;
  };
  adopt = (entry: PublishedList): void => {
    const from = this.entries.findIndex(({ version }) => version >= entry.version);
    if (from >= 0) this.entries.splice(from);
    this.entries.push(entry);
  };
  noteSource = (version: number, source: string): void => {
    const index = this.entries.findIndex((entry) => entry.version === version);
    const entry = this.entries[index];
    if (entry !== undefined) this.entries[index] = { ...entry, source };
  };
  mark = (mark: RolloutMark): void => void this.#marks.set(mark.id, mark);
  markOf = (id: string): RolloutMark | undefined => this.#marks.get(id);
  changeMark = (): number => this.entries.length;
  close = (): void => undefined;
}
