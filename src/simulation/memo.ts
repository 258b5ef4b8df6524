/**
 * Results of pure product functions that many agents ask for at one instant. Forgotten as soon as
 * time moves, so that it stays small; it never changes a result, only who works it out.
 */
export class InstantMemo<Before, After> {
  #atMs = Number.NaN;
  readonly #byVariant = new Map<number | string, Map<Before, After>>();

  /** `variant`: everything but `before` that the result depends on. */
  take(atMs: number, variant: number | string, before: Before, work: () => After): After {
    if (atMs !== this.#atMs) {
      this.#byVariant.clear();
      this.#atMs = atMs;
    }
    const known = this.#byVariant.get(variant) ?? new Map<Before, After>();
    if (known.size === 0) this.#byVariant.set(variant, known);
    const found = known.get(before);
    if (found !== undefined) return found;
    const after = work();
    known.set(before, after);
    return after;
  }
}
