/** A real keepalived moves a virtual IP between two network namespaces, under an agent in the relay. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { play } from '../../scripts/benches/vip.ts';
import { missingForVip } from '../../scripts/vip/network.ts';

test('the virtual IP moves to a node that drops what it does not know: the agent is freed', {
  skip: missingForVip() ?? false,
}, async () => {
  const [result] = await play(['--move', 'silent', '--subjects', 'relay'], () => undefined);
  assert.equal(result?.isTold, true);
  assert.equal(result?.restarts, 0);
  // Natively it takes 41 to 61 s from the last keepalive, or a quarter of an hour.
  assert.ok(result?.awayS !== undefined && result.awayS < 40, `${result?.awayS}`);
});
