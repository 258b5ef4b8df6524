/** More of what stock nodes stumble over (cluster-protocol.md 9.2, real-cluster-lab.md 2). */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { encodeFrame } from '../../../src/cluster/wire/frame.ts';
import { createSeal } from '../../../src/cluster/wire/seal.ts';
import { Home, key, startMaster, until } from './nodes.ts';
import { dialAs, rawDial, requestBytes } from './peers.ts';

const hello = (node: string) => ({ node, cluster: 'wazuh', type: 'worker', version: '4.14.8' });

test('hazard worker-called-master: that name, and the name of the master, get 3029 and end nothing', async (t) => {
  const master = await startMaster(t, new Home(t));
  const link = await dialAs(t, master.port);
  for (const name of ['master', 'm']) {
    const answer = await link.request('hello', hello(name));
    assert.equal(answer.kind === 'fault' ? answer.fault.code : 0, 3029, name);
  }
  assert.deepEqual(master.role.workers(), []);
  assert.equal((await link.request('hello', hello('w'))).kind, 'ok');
});

test('hazard empty-token: a sealed channel takes no empty payload; the link ends, the master does not', async (t) => {
  const master = await startMaster(t, new Home(t));
  const socket = await rawDial(t, master.port);
  socket.write(requestBytes(createSeal(key), 1, 'hello', 'w wazuh worker 4.14.8'));
  await until('known', () => master.role.workers().length === 1);
  socket.write(encodeFrame({ counter: 2, word: 'echo', role: 'whole' }, Buffer.alloc(0)));
  await new Promise((resolve) => socket.once('close', resolve));
  await until('forgotten', () => master.role.workers().length === 0);
  const link = await dialAs(t, master.port);
  assert.equal((await link.request('hello', hello('w'))).kind, 'ok');
});

test('hazard bad-checksum: a file whose digest is wrong is refused and nothing of it stays', async (t) => {
  const home = new Home(t, { 'etc/client.keys': '001 a any k\n' });
  const master = await startMaster(t, home);
  const link = await dialAs(t, master.port);
  await link.request('hello', hello('w'));
  const path = '/queue/cluster/w/w-1.zip';
  await link.request('openFile', path);
  await link.request('appendFile', { path, bytes: Buffer.from('content') });
  const digest = createHash('sha256').update('other content').digest();
  const ended = await link.request('endFile', { path, digest });
  assert.equal(ended.kind, 'fault');
  await until('gone', () => home.leftovers().every((name) => !name.endsWith('.part')));
});

test('hazard abandoned-upload: what a link leaves half sent goes with the link', async (t) => {
  const home = new Home(t);
  const master = await startMaster(t, home);
  const link = await dialAs(t, master.port);
  await link.request('hello', hello('w'));
  const path = '/queue/cluster/w/w-2.zip';
  await link.request('openFile', path);
  await link.request('appendFile', { path, bytes: Buffer.alloc(10_000) });
  await until('there', () => home.leftovers().some((name) => name.endsWith('.part')));
  await link.close();
  await until('gone', () => home.leftovers().every((name) => !name.endsWith('.part')));
});
