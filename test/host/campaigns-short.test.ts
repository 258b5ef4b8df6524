/** The short forms of the crash and race campaigns; the long ones run by `npm run campaign`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { campaign as crash } from '../../scripts/campaigns/crash.ts';
import { campaign as race } from '../../scripts/campaigns/race.ts';
import { straceObstacle } from '../../scripts/crash/strace.ts';

test('no kill, errno, lying result, power cut or full disk tears ossec.conf (short form)', async (context) => {
  const obstacle = straceObstacle();
  if (obstacle !== undefined) context.diagnostic(`faults are not injected: ${obstacle}`);
  const lines: string[] = [];
  const exit = await crash.run(['--short', '--seed', '3'], (line) => void lines.push(line));
  for (const line of lines.filter((text) => text.includes('not run'))) context.diagnostic(line);
  assert.equal(exit, 0, lines.join('\n'));
});

test('an attacker in the directory never makes us touch a file outside (short form)', async () => {
  const lines: string[] = [];
  const exit = await race.run(['--short', '--seed', '3'], (line) => void lines.push(line));
  assert.equal(exit, 0, lines.join('\n'));
});
