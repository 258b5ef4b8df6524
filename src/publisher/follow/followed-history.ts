/**
 * The versions that came to a follower since it started, in memory: the writer keeps the history. What
 * would change anything is refused.
 */
import type { History, PublishedList } from '../history.ts';

const kept = 50;

export class FollowedHistory implements History {
  readonly #refuse: () => Error;
  /** Newest first. */
  #entries: readonly PublishedList[] = [];

  /** `refuse`: the error of whatever would write; it names the writer. */
  constructor(refuse: () => Error) {
    this.#refuse = refuse;
  }

  /** What is served from now on. */
  note(entry: PublishedList): void {
    const others = this.#entries.filter(({ version }) => version !== entry.version);
    this.#entries = [entry, ...others].slice(0, kept);
  }

  newest(): PublishedList | undefined {
    return this.#entries[0];
  }

  find(version: number): PublishedList | undefined {
    return this.#entries.find((one) => one.version === version);
  }

  list(limit: number): readonly PublishedList[] {
    return this.#entries.slice(0, limit);
  }

  append(): never {
    throw this.#refuse();
  }

  adopt(): never {
    throw this.#refuse();
  }

  noteSource(): never {
    throw this.#refuse();
  }

  mark(): never {
    throw this.#refuse();
  }

  markOf(): undefined {
    return undefined;
  }

  changeMark(): number {
    return this.newest()?.version ?? 0;
  }

  close(): void {
    this.#entries = [];
  }
}
