import assert from 'node:assert/strict';
import { test } from 'node:test';
import { campaign } from '../../scripts/campaigns/wire.ts';

test('the short wire campaign finds no crash, no quadratic cost and no growth', async () => {
  const lines: string[] = [];
  const code = await campaign.run(['--short', '--seed', '7'], (line) => void lines.push(line));
  assert.equal(code, 0, lines.join('\n'));
  assert.match(lines.join('\n'), /60\d{3} frames, \d+ sessions[\s\S]*200 hostile sockets opened/);
});
