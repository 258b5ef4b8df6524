import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Position } from '../../src/list/model.ts';
import { comparePositions, judgePosition } from '../../src/list/position.ts';
import { refusedAs } from './documents.ts';

const at = (epoch: number, term: number, version: number): Position => ({ epoch, term, version });
const known = { position: at(3, 12, 4_211), hash: 'a' };
const judge = (position: Position, hash = 'b') => judgePosition({ position, hash }, known);

test('epoch outranks term, term outranks version', () => {
  assert.ok(comparePositions(at(2, 0, 0), at(1, 9, 9)) > 0);
  assert.ok(comparePositions(at(1, 2, 0), at(1, 1, 9)) > 0);
  assert.ok(comparePositions(at(1, 1, 2), at(1, 1, 1)) > 0);
  assert.equal(comparePositions(at(1, 1, 1), at(1, 1, 1)), 0);
});

test('the first list of all is new wherever it stands', () => {
  assert.equal(judgePosition({ position: at(3, 9e9, 9e12), hash: 'a' }, undefined), 'new');
});

test('newer is new, the same is the same, older is rolled back, two of one are equivocation', () => {
  assert.equal(judge(at(3, 12, 4_212)), 'new');
  assert.equal(judge(at(3, 13, 1)), 'new');
  assert.equal(judge(at(3, 12, 4_211), 'a'), 'same');
  for (const older of [at(3, 12, 4_210), at(3, 11, 9_999), at(2, 99, 9_999)]) {
    assert.throws(() => judge(older), refusedAs('rolled_back'));
  }
  assert.throws(() => judge(at(3, 12, 4_211)), refusedAs('equivocation'));
});

test('within an epoch at most a thousand terms and a million versions at once', () => {
  assert.equal(judge(at(3, 1_012, 4_211)), 'new');
  assert.throws(() => judge(at(3, 1_013, 4_211)), refusedAs('version_jump'));
  assert.equal(judge(at(3, 12, 1_004_211)), 'new');
  assert.throws(() => judge(at(3, 12, 1_004_212)), refusedAs('version_jump'));
  assert.throws(() => judge(at(3, 13, 1_004_212)), refusedAs('version_jump'));
});

test('a new epoch starts the counters anew', () => {
  assert.equal(judge(at(4, 0, 1)), 'new');
  assert.equal(judge(at(4, 90_000, 9e12)), 'new');
});

test('the order is total and antisymmetric', () => {
  const position = fc.record({ epoch: fc.nat(3), term: fc.nat(3), version: fc.nat(3) });
  fc.assert(
    fc.property(position, position, position, (a, b, c) => {
      assert.equal(Math.sign(comparePositions(a, b)) + Math.sign(comparePositions(b, a)), 0);
      const isChain = comparePositions(a, b) <= 0 && comparePositions(b, c) <= 0;
      assert.ok(!isChain || comparePositions(a, c) <= 0);
    }),
    { seed: 20261121, numRuns: 1_000 },
  );
});
