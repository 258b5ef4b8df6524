/** The shortest schedule that still fails in the same way: delta debugging (Zeller, ddmin). */
import type { Fault } from './fault.ts';

/** `fails` runs a schedule; bounded by `maxRuns` of them. The order of the faults is kept. */
export function shrinkFaults(
  faults: readonly Fault[],
  fails: (faults: readonly Fault[]) => boolean,
  maxRuns = 200,
): readonly Fault[] {
  let current = faults;
  let parts = 2;
  let runs = 0;
  while (current.length > 1 && runs < maxRuns) {
    const size = Math.ceil(current.length / parts);
    let smaller: readonly Fault[] | undefined;
    for (let start = 0; start < current.length && runs < maxRuns; start += size) {
      const rest = [...current.slice(0, start), ...current.slice(start + size)];
      runs += 1;
      if (rest.length > 0 && fails(rest)) {
        smaller = rest;
        break;
      }
    }
    if (smaller !== undefined) {
      current = smaller;
      parts = Math.max(2, parts - 1);
    } else if (size > 1) {
      parts = Math.min(current.length, parts * 2);
    } else {
      break;
    }
  }
  return current;
}
