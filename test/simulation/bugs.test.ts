/** The simulator finds the bugs of small worlds, and finds nothing in the product there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bugs } from './bugs.ts';
import { testWorlds } from './world-tests.ts';

test('at least thirty bugs are listed', () => {
  assert.ok(new Set(bugs.map(({ name }) => name)).size >= 30);
});

testWorlds(['small', 'tight', 'relay', 'rollout']);
