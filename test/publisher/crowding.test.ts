/** Where agents have piled up, the list names lower accept rates: a death there moves more of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manager } from '../../src/list/model.ts';
import { crowdingOf, slowedRate } from '../../src/publisher/crowding.ts';

const manager = (id: string, weight = 100, state: Manager['state'] = 'up'): Manager => ({
  ...{ id, address: `${id}.example`, port: 1514, protocol: 'tcp', zone: 'z', prio: 0, weight },
  state,
});
const [a, b, c] = [manager('a'), manager('b'), manager('c')];

/** For a fleet of 30. */
const cases: readonly (readonly [string, readonly Manager[], Record<string, number>, number])[] = [
  ['nobody reports', [a, b, c], {}, 1],
  ['spread evenly', [a, b, c], { a: 10, b: 10, c: 10 }, 1],
  ['all on one', [a, b, c], { a: 30 }, 3],
  ['two thirds on one', [a, b, c], { a: 20, b: 5, c: 5 }, 2],
  ['by weight', [manager('a', 200), b, c], { a: 15, b: 8, c: 7 }, 1.067],
  ['more than its weight', [manager('a', 200), b, c], { a: 7, b: 23, c: 0 }, 3.067],
  ['one is dead: two share', [a, b, manager('c', 100, 'down')], { a: 15, b: 15 }, 1],
  ['one is drained and full still', [a, b, manager('c', 100, 'drain')], { a: 6, c: 24 }, 2.4],
  ['a last resort has no share', [a, b, manager('c', 0)], { a: 10, b: 10, c: 10 }, 1],
  ['others than those of the list', [a, b], { a: 10, b: 10, gone: 500 }, 1],
  ['half of them are away: no pile-up', [a, b, c], { a: 10, b: 5 }, 1],
  ['only a last resort', [manager('c', 0)], { c: 10 }, 1],
];

for (const [what, managers, loads, expected] of cases) {
  test(`crowding: ${what}`, () => {
    assert.equal(
      crowdingOf(managers, 30, new Map(Object.entries(loads))).toFixed(3),
      expected.toFixed(3),
    );
  });
}

test('a rate is slowed to whole sessions, and never to none', () => {
  assert.deepEqual([slowedRate(100, 1), slowedRate(100, 3), slowedRate(2, 8)], [100, 33, 1]);
});
