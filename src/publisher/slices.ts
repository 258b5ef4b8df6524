/** A walk over many rows that lets others in every few milliseconds. */
import { type Clock, sleep } from '../clock.ts';

/** So long may one slice keep the event loop. */
const sliceMs = 4;
/** The clock is looked at once in so many rows. */
const rowsPerLook = 64;

export async function walkInSlices<Row>(
  rows: Iterable<Row>,
  visit: (row: Row) => void,
  clock: Clock,
): Promise<void> {
  let untilMs = clock.monotonicMs() + sliceMs;
  let count = 0;
  for (const row of rows) {
    visit(row);
    count += 1;
    if (count % rowsPerLook !== 0 || clock.monotonicMs() < untilMs) continue;
    await sleep(clock, 0);
    untilMs = clock.monotonicMs() + sliceMs;
  }
}
