/** A real keepalived moves a virtual IP between two network namespaces, under an agent in the relay. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { playInNamespace } from '../../scripts/bench-peers/namespace-play.ts';
import { play } from '../../scripts/benches/vip.ts';
import { missingForVip, vip } from '../../scripts/vip/network.ts';
import type { StaleResult } from '../../scripts/vip/stale-neighbour.ts';

test('the virtual IP moves to a node that drops what it does not know: the agent is freed', {
  skip: missingForVip() ?? false,
}, async () => {
  const [result] = await play(['--move', 'silent', '--subjects', 'relay'], () => undefined);
  assert.equal(result?.isTold, true);
  assert.equal(result?.restarts, 0);
  // Natively it takes 41 to 61 s from the last keepalive, or a quarter of an hour.
  assert.ok(result?.awayS !== undefined && result.awayS < 40, `${result?.awayS}`);
});

test('a neighbour entry that still names the old node is told, left as it is, and told no more once mended', {
  skip: missingForVip() ?? false,
}, async () => {
  const program = fileURLToPath(new URL('../../scripts/vip/stale-neighbour.ts', import.meta.url));
  const [result] = await playInNamespace<StaleResult>({ program, args: [] }, () => undefined);
  const { alarms = [], oldMac = '', entry } = result ?? {};
  const told = `${vip} (wm-1) does not answer, and this host still sends to ${oldMac}, which is wm-2`;
  assert.match(oldMac, /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
  assert.ok(
    alarms.some((one) => one.startsWith(told)),
    alarms.join('\n'),
  );
  assert.equal(entry, `${vip} dev br0 lladdr ${oldMac} PERMANENT`);
});
