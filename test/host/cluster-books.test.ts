/** Which peers are ours, on disk: the file of a running node is the operator's too. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { PeerBookFile } from '../../src/host/cluster-books.ts';
import { silentLog } from '../../src/log.ts';

function books(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'pf-books-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const open = () => new PeerBookFile(folder, silentLog);
  return { folder, node: open(), command: open };
}

test('a peer that the operator has forgotten is forgotten by the running node too, for good', (t) => {
  const { node, command } = books(t);
  node.remember('w1');
  node.remember('w2');
  assert.equal(command().forget('w2'), true);
  assert.deepEqual([node.isOurs('w1'), node.isOurs('w2')], [true, false]);
  assert.equal(command().forget('w1'), true);
  node.remember('w3');
  assert.deepEqual([command().isOurs('w1'), command().isOurs('w3')], [false, true]);
});

test('a book that is damaged or gone makes a running node forget nobody', (t) => {
  const { folder, node } = books(t);
  node.remember('w1');
  writeFileSync(join(folder, 'cluster-peers.json'), '{"ours":');
  assert.equal(node.isOurs('w1'), true);
  rmSync(join(folder, 'cluster-peers.json'));
  assert.equal(node.isOurs('w1'), true);
});
