/** What a master asks its workers for. */
import type { FileName } from '../files/name.ts';

/** A file that could not be taken is not wished again and again. */
const mostWishes = 3;
const largestWish = 1_000;

/** What a worker has and this node lacks, as often as it makes sense to ask for it. */
export class Wishes {
  readonly #asked = new Map<FileName, number>();

  next(names: readonly FileName[]): readonly FileName[] {
    const due = names.filter((name) => (this.#asked.get(name) ?? 0) < mostWishes);
    const chosen = due.slice(0, largestWish);
    for (const name of chosen) this.#asked.set(name, (this.#asked.get(name) ?? 0) + 1);
    return chosen;
  }
}
