/** The config campaign in its short form, and that its checks can fail. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { campaign } from '../../scripts/campaigns/config.ts';
import { violation } from '../../scripts/campaigns/verdicts.ts';

test('four thousand made and damaged files: no crash, no violation', async () => {
  const lines: string[] = [];
  const code = await campaign.run(['--short', '--seed', '20260'], (line) => {
    lines.push(line);
  });
  assert.equal(code, 0, lines.join('\n'));
  assert.match(lines[0] ?? '', /^files {7}4000 \(seed 20260\)/);
});

test('a seed that is no number is a usage error', async () => {
  assert.equal(await campaign.run(['--seed', 'x'], () => undefined), 2);
});

test('an edit that loads another list, breaks the file or is not stable is a violation', () => {
  const wish = { servers: [{ address: 'b', port: 1514, protocol: 'tcp' as const }] };
  const config = (servers: string): Buffer =>
    Buffer.from(`<ossec_config><client>${servers}</client></ossec_config>`);
  const a = config('<server><address>a</address></server>');
  const b = config('<server><address>b</address></server>');
  const old = config('<server-ip>10.0.0.1</server-ip>');
  const toIp = { servers: [{ address: '10.0.0.1', port: 1514, protocol: 'tcp' as const }] };
  assert.equal(violation(a, b, '4', wish), undefined);
  assert.match(violation(a, a, '4', wish) ?? '', /^loads /);
  assert.equal(violation(a, Buffer.from('<'), '4', wish), 'after the edit: refused');
  assert.equal(violation(a, old, '4', toIp), 'a second edit would change it again');
});
