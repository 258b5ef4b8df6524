/** The short form of the promotion campaign; the long one runs by `npm run campaign -- promotion`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { campaign } from '../../scripts/campaigns/promotion.ts';

test('twelve histories of masters that die and come back: no key lost, no id twice', async (t) => {
  const lines: string[] = [];
  const exit = await campaign.run(['--short', '--seed', '7'], (line) => void lines.push(line));
  for (const line of lines) t.diagnostic(line);
  assert.equal(exit, 0, lines.join('\n'));
});
