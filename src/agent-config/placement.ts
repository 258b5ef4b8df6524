/**
 * Which existing entries stay where they are, which slots get other content, what is inserted
 * and what goes. Values only: positions in two sequences, no bytes.
 */

export type Placement =
  /** The entry in this slot stays; `after` are wanted ones to insert right behind it. */
  | { readonly kind: 'stay'; readonly slot: number; readonly after: readonly number[] }
  /** The slot's entry is replaced by these wanted ones. */
  | { readonly kind: 'replace'; readonly slot: number; readonly by: readonly number[] }
  | { readonly kind: 'before'; readonly slot: number; readonly insert: readonly number[] }
  | { readonly kind: 'remove'; readonly slot: number };

/**
 * @param slots how many entries there are
 * @param kept for each wanted one the slot of the entry it keeps, or undefined
 */
export function place(slots: number, kept: readonly (number | undefined)[]): readonly Placement[] {
  const anchors = longestRising(kept);
  const placements: Placement[] = [];
  let slot = 0;
  let wanted = 0;
  for (const anchor of [...anchors, undefined]) {
    const slotEnd = anchor === undefined ? slots : (kept[anchor] ?? slots);
    const wantedEnd = anchor ?? kept.length;
    const gap = { slots: range(slot, slotEnd), wanted: range(wanted, wantedEnd) };
    fillGap(placements, gap, anchor === undefined ? undefined : slotEnd);
    if (anchor !== undefined) placements.push({ kind: 'stay', slot: slotEnd, after: [] });
    slot = slotEnd + 1;
    wanted = wantedEnd + 1;
  }
  return placements;
}

interface Gap {
  readonly slots: readonly number[];
  readonly wanted: readonly number[];
}

/** Between two staying entries: slot by slot, the surplus behind the last one or removed. */
function fillGap(placements: Placement[], gap: Gap, next: number | undefined): void {
  const { slots, wanted } = gap;
  for (const [index, slot] of slots.entries()) {
    const isLast = index === slots.length - 1;
    const by = isLast ? wanted.slice(index) : wanted.slice(index, index + 1);
    if (by.length === 0) placements.push({ kind: 'remove', slot });
    else placements.push({ kind: 'replace', slot, by });
  }
  if (slots.length > 0 || wanted.length === 0) return;
  const previous = placements.at(-1);
  if (previous?.kind === 'stay') {
    placements[placements.length - 1] = { ...previous, after: wanted };
  } else if (next !== undefined) {
    placements.push({ kind: 'before', slot: next, insert: wanted });
  }
}

/** Indexes into `values` of a longest strictly rising subsequence. Quadratic, for short lists. */
function longestRising(values: readonly (number | undefined)[]): readonly number[] {
  let best: readonly number[] = [];
  const endingAt: (readonly number[])[] = [];
  for (const [index, value] of values.entries()) {
    let chain: readonly number[] = [];
    for (let before = 0; before < index; before += 1) {
      const earlier = values[before];
      const candidate = endingAt[before] ?? [];
      const rises = earlier !== undefined && value !== undefined && earlier < value;
      if (rises && candidate.length > chain.length) chain = candidate;
    }
    endingAt.push(value === undefined ? [] : [...chain, index]);
    if ((endingAt[index]?.length ?? 0) > best.length) best = endingAt[index] ?? [];
  }
  return best;
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, index) => from + index);
}
