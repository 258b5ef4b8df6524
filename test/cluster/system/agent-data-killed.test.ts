import assert from 'node:assert/strict';
import { test } from 'node:test';
import { campaign } from '../../../scripts/campaigns/agentdata.ts';

test('a kill of either node at a random step of agent-info or groups loses nothing', async () => {
  const lines: string[] = [];
  const seed = String(Math.floor(performance.timeOrigin) % 100_000);
  const code = await campaign.run(['--short', '--seed', seed], (line) => void lines.push(line));
  assert.equal(code, 0, lines.join('\n'));
  assert.match(lines.join('\n'), /nothing lost/);
});
