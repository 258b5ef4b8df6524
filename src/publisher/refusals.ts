/** How often something was refused, by what and why: `report wrong_mac`, `connection too_fast`. */

/** Names come from our own code; the bound is against a mistake in it. */
const maxNames = 128;

export class Refusals {
  readonly #counts = new Map<string, number>();

  note(name: string): void {
    const count = this.#counts.get(name);
    if (count === undefined && this.#counts.size >= maxNames) return;
    this.#counts.set(name, (count ?? 0) + 1);
  }

  /** Since the start of the process. */
  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#counts].sort(([left], [right]) => (left < right ? -1 : 1)));
  }
}
