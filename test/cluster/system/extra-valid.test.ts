/** Files that a worker may add, because the configuration of both ends marks their item. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { Home, startMaster, startWorker, until } from './nodes.ts';
import { dialAs } from './peers.ts';

const files = { 'etc/client.keys': '001 a any 0123\n', 'etc/lists/ours': 'master\n' };
const marked = { files: { 'etc/lists/': { extra_valid: true } } };
const hello = { node: 'w', cluster: 'wazuh', type: 'worker', version: '4.14.8' };

test('what one worker adds to a marked item reaches the master and the other workers', async (t) => {
  const mine = new Home(t, files);
  const one = new Home(t, { 'etc/lists/theirs': 'worker\n', 'etc/lists/ours': 'worker\n' });
  const other = new Home(t);
  const master = await startMaster(t, mine, { cluster: marked });
  startWorker(t, one, { name: 'w1', port: master.port, cluster: marked });
  startWorker(t, other, { name: 'w2', port: master.port, cluster: marked });
  const same = (): boolean =>
    isDeepStrictEqual(one.tree(), mine.tree()) && isDeepStrictEqual(other.tree(), mine.tree());
  await until('added', () => mine.tree()['etc/lists/theirs'] !== undefined && same(), 30_000);
  assert.equal(mine.read('etc/lists/theirs'), 'worker\n');
  assert.equal(mine.read('etc/lists/ours'), 'master\n');
  assert.ok(master.log.has('[Worker w1] [Integrity sync] Received 1 extra valid files.'));
});

test('a worker adds nothing where only its own configuration marks the item', async (t) => {
  const mine = new Home(t, files);
  const theirs = new Home(t, { 'etc/lists/theirs': 'worker\n' });
  const master = await startMaster(t, mine);
  startWorker(t, theirs, { name: 'w1', port: master.port, cluster: marked });
  await until('removed', () => isDeepStrictEqual(theirs.tree(), mine.tree()), 30_000);
  assert.equal(mine.tree()['etc/lists/theirs'], undefined);
});

test('a stock worker is refused with the text of stock, whatever is marked', async (t) => {
  const master = await startMaster(t, new Home(t, files), { cluster: marked });
  const link = await dialAs(t, master.port);
  await link.request('hello', hello);
  const answer = await link.request('extraValidStart', undefined);
  assert.equal(answer.kind, 'fault');
  assert.match(JSON.stringify(answer), /File not allowed to be synced from worker/);
});
