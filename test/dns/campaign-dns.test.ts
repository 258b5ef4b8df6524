import assert from 'node:assert/strict';
import { test } from 'node:test';
import { campaign } from '../../scripts/campaigns/dns.ts';

test('damaged and forged replies: no crash, no accepted spoof (short campaign)', async () => {
  const lines: string[] = [];
  assert.equal(
    await campaign.run(['--short'], (line) => void lines.push(line)),
    0,
    lines.join('\n'),
  );
  assert.match(lines.join('\n'), /accepted {2}[1-9]\d{3}/);
});
