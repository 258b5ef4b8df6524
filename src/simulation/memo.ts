/**
 * Results of pure product functions that many agents ask for at one instant. Forgotten as soon as
 * time moves, so that it stays small; it never changes a result, only who works it out. Most
 * instants are one agent's own: the first few results are kept in a row, without any map.
 */
const few = 12;

export class InstantMemo<Before, After> {
  #atMs = Number.NaN;
  #count = 0;
  readonly #variants: (number | string)[] = [];
  readonly #befores: Before[] = [];
  readonly #afters: After[] = [];
  readonly #byVariant = new Map<number | string, Map<Before, After>>();

  /** `variant`: everything but `before` that the result depends on. */
  take(atMs: number, variant: number | string, before: Before, work: () => After): After {
    if (atMs !== this.#atMs) this.#forget(atMs);
    for (let place = 0; place < this.#count; place += 1) {
      if (this.#befores[place] !== before || this.#variants[place] !== variant) continue;
      return this.#afters[place] as After; // written together with the two that were compared
    }
    if (this.#count === few) return this.#takeMapped(variant, before, work);
    const after = work();
    const place = this.#count;
    this.#count = place + 1;
    this.#variants[place] = variant;
    this.#befores[place] = before;
    this.#afters[place] = after;
    return after;
  }

  #forget(atMs: number): void {
    if (this.#count === few) this.#byVariant.clear();
    this.#atMs = atMs;
    this.#count = 0;
  }

  #takeMapped(variant: number | string, before: Before, work: () => After): After {
    const known = this.#byVariant.get(variant) ?? new Map<Before, After>();
    if (known.size === 0) this.#byVariant.set(variant, known);
    const found = known.get(before);
    if (found !== undefined) return found;
    const after = work();
    known.set(before, after);
    return after;
  }
}
