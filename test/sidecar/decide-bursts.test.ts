/** Nobody is sent among a crowd whose kernels send their SYNs again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { burstsMs, quietAtMs } from '../../src/sidecar/decide-bursts.ts';

const lostAtMs = Date.UTC(2026, 10, 21);

/** Seconds after the loss. */
function quietSec(fromSec: number, offsetSec: number): number {
  const fromMs = lostAtMs + fromSec * 1_000;
  return (quietAtMs(lostAtMs, fromMs, offsetSec * 1_000) - lostAtMs) / 1_000;
}

test('bursts are not counted, whole or from the middle', () => {
  assert.equal(quietSec(20, 0), 24); // inside the first one, which lasts from 14 to 24
  assert.equal(quietSec(20, 5.9), 29.9);
  assert.equal(quietSec(20, 6), 40);
  assert.equal(quietSec(20, 27.9), 61.9);
  assert.equal(quietSec(20, 28), 72);
  assert.equal(quietSec(45, 1), 46); // only what comes after it
  assert.equal(quietSec(80, 9), 89);
});

test('order is kept, and no slot is later than all bursts together make it', () => {
  const slots = Array.from({ length: 900 }, (_, tenth) => quietSec(0, tenth / 10));
  slots.forEach((slot, place) => {
    assert.ok(place === 0 || slot > (slots[place - 1] ?? 0), `slot ${place}`);
    assert.ok(slot <= place / 10 + burstsMs / 1_000, `slot ${place}`);
  });
});
