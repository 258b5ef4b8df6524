/** The tests of some worlds: the product is clean in them, and every bug of theirs is found. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runSeed } from '../../src/simulation/campaign.ts';
import { type Bug, bugs } from './bugs.ts';
import { maxSeeds, partsOf, seedThatFinds } from './find.ts';

export function testWorlds(names: readonly Bug['world'][]): void {
  for (const world of names) {
    test(`the product breaks nothing on the seeds that find the bugs of ${world} worlds`, () => {
      const product: Bug = { name: 'none', world, logic: {} };
      for (let seed = 1; seed <= maxSeeds[world]; seed += 1) {
        const { violations } = runSeed(seed, partsOf(product));
        assert.deepEqual(violations, [], `seed ${seed}`);
      }
    });
  }
  for (const bug of bugs.filter(({ world }) => names.includes(world))) {
    test(`finds the bug: ${bug.name}`, (context) => {
      const seed = seedThatFinds(bug);
      assert.ok(seed !== undefined, `not found with ${maxSeeds[bug.world]} seeds`);
      context.diagnostic(`seed ${seed}`);
    });
  }
}
