import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Damping,
  defaultDamping,
  isSuppressed,
  penaltyAt,
  punish,
  returnedShare,
} from '../../src/health/damping.ts';

const minuteMs = 60_000;

/** Falls at these minutes. */
function fall(...minutes: readonly number[]): Damping | undefined {
  return minutes.reduce<Damping | undefined>(
    (before, minute) => punish(before, defaultDamping, minute * minuteMs),
    undefined,
  );
}

function suppressedAt(damping: Damping | undefined, minute: number): boolean {
  return isSuppressed(damping, defaultDamping, minute * minuteMs);
}

test('a fall costs a thousand, and half of it is forgiven in five minutes', () => {
  assert.equal(penaltyAt(fall(0), defaultDamping, 0), 1_000);
  assert.equal(penaltyAt(fall(0), defaultDamping, 5 * minuteMs), 500);
  assert.equal(penaltyAt(fall(0), defaultDamping, 10 * minuteMs), 250);
});

test('three falls in a row suppress, two do not', () => {
  assert.equal(suppressedAt(fall(0, 0), 0), false);
  assert.equal(suppressedAt(fall(0, 0, 0), 0), true);
});

test('it stays suppressed until the penalty is under the reuse mark, not the suppress mark', () => {
  const damping = fall(0, 0, 0);
  assert.equal(suppressedAt(damping, 5), true, '1500 left');
  assert.equal(suppressedAt(damping, 9), true, '862 left');
  assert.equal(suppressedAt(damping, 10), false, '750 left');
});

test('a fall while suppressed keeps it suppressed although the sum is under the mark', () => {
  assert.equal(suppressedAt(fall(0, 0, 0, 8), 8), true);
});

test('the penalty has a cap: after twenty minutes of peace everybody is forgiven', () => {
  const damping = fall(...Array.from({ length: 100 }, () => 0));
  assert.equal(penaltyAt(damping, defaultDamping, 0), 12_000);
  assert.equal(suppressedAt(damping, 19), true);
  assert.equal(suppressedAt(damping, 20), false);
});

test('a clock that was set back neither forgives nor punishes', () => {
  assert.equal(penaltyAt(fall(10), defaultDamping, 0), 1_000);
});

test('slow start: a tenth at once, all of it after two minutes, never more', () => {
  assert.equal(returnedShare(0), 0.1);
  assert.equal(returnedShare(60_000), 0.55);
  assert.equal(returnedShare(120_000), 1);
  assert.equal(returnedShare(1e9), 1);
  assert.equal(returnedShare(-5), 0.1);
});
