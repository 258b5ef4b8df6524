/** How many agents each manager had, over the last day: a ring that never grows, filled again after a restart. */

/** Between two samples. */
export const sampleEveryMs = 30_000;
export const maxSamples = 24 * 120;

/** One look at all managers of the list. */
export interface LoadSample {
  readonly atMs: number;
  readonly loads: ReadonlyMap<string, number>;
}

export interface LoadSeries {
  readonly times: number[];
  /** `null`: it was not in the list then. */
  readonly managers: { readonly id: string; readonly agents: (number | null)[] }[];
}

interface Sample {
  readonly atMs: number;
  /** One array for all samples between two changes of the list. */
  readonly ids: readonly string[];
  readonly counts: Uint32Array;
}

export class LoadHistory {
  readonly #samples: Sample[] = [];

  /** `before`: what is known from before, oldest first. */
  constructor(before: Iterable<LoadSample> = []) {
    for (const { atMs, loads } of before) this.note(atMs, loads);
  }

  note(atMs: number, loads: ReadonlyMap<string, number>): void {
    const before = this.#samples.at(-1)?.ids ?? [];
    const isSame = before.length === loads.size && before.every((id) => loads.has(id));
    const ids = isSame ? before : [...loads.keys()];
    this.#samples.push({ atMs, ids, counts: Uint32Array.from(ids, (id) => loads.get(id) ?? 0) });
    if (this.#samples.length > maxSamples) this.#samples.shift();
  }

  /** At most `points` samples since `fromMs`, evenly left out, the newest always in. */
  series(fromMs: number, points: number): LoadSeries {
    const seen = this.#samples.filter(({ atMs }) => atMs >= fromMs);
    const step = Math.max(1, Math.ceil(seen.length / points));
    const kept = seen.filter((_, index) => (seen.length - 1 - index) % step === 0);
    const ids = [...new Set(kept.flatMap((sample) => sample.ids))];
    return {
      times: kept.map(({ atMs }) => atMs),
      managers: ids.map((id) => ({
        id,
        agents: kept.map((sample) => sample.counts[sample.ids.indexOf(id)] ?? null),
      })),
    };
  }
}
