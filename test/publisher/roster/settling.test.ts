import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Settling } from '../../../src/publisher/roster/settling.ts';

test('a new leader listens for three seconds, whatever its wall clock says, and anew for each seat', () => {
  const settling = new Settling();
  const first = { leads: true, sinceAtMs: 1_700_000_000_000 };
  const asked = (at: typeof first, ms: number): boolean => settling.isOver(at, ms);
  // An hour ahead of the wall clock that is set back meanwhile: monotonic time alone counts.
  assert.deepEqual(
    [0, 2_999, 3_000].map((ms) => asked(first, ms)),
    [false, false, true],
  );
  assert.equal(asked({ ...first, leads: false }, 4_000), false);
  assert.deepEqual(
    [5_000, 8_000].map((ms) => asked(first, ms)),
    [false, true],
  );
  const next = { leads: true, sinceAtMs: first.sinceAtMs - 3_600_000 };
  assert.deepEqual(
    [9_000, 12_000].map((ms) => asked(next, ms)),
    [false, true],
  );
});
