/** What goes wrong with stock nodes must not go wrong with ours (cluster-protocol.md 9). */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { fault } from '../../../src/cluster/wire/fault.ts';
import { createSeal } from '../../../src/cluster/wire/seal.ts';
import { HeldBookFile, PeerBookFile } from '../../../src/host/cluster-books.ts';
import { silentLog } from '../../../src/log.ts';
import { Home, key, startMaster, startWorker, until } from './nodes.ts';
import { admitAll, dialAs, emptyManifest, rawDial, requestBytes, sendManifest } from './peers.ts';

const rules = Object.fromEntries(
  Array.from({ length: 40 }, (_, index) => [`etc/rules/r${index}.xml`, `<r n="${index}"/>`]),
);
const files = { 'etc/client.keys': '001 a any k\n', 'etc/lists/l': 'a:b', ...rules };
const equal = (left: Home, right: Home): boolean => isDeepStrictEqual(left.tree(), right.tree());

test('hazard empty-map: before its first scan a master permits and judges nothing', async (t) => {
  const mine = new Home(t, files);
  mine.write('etc/shared/large.bin', Buffer.alloc(300_000_000));
  const master = await startMaster(t, mine);
  const link = await dialAs(t, master.port);
  await link.request('hello', { node: 'w', cluster: 'wazuh', type: 'worker', version: '4.14.8' });
  const permission = await link.request('mayCheckIntegrity', undefined);
  const start = await link.request('integrityStart', undefined);
  assert.ok(!master.log.has('Calculated metadata'), 'the scan was too quick for this test');
  assert.equal(permission.kind === 'ok' ? permission.payload.toString() : '', 'False');
  assert.equal(start.kind, 'fault');
  await until('scanned', () => master.log.has('Calculated metadata'));
  const later = await link.request('mayCheckIntegrity', undefined);
  assert.equal(later.kind === 'ok' ? later.payload.toString() : '', 'True');
});

test('hazard unreadable: a folder that vanished from the master deletes nothing on workers', async (t) => {
  const [mine, theirs] = [new Home(t, files), new Home(t)];
  const master = await startMaster(t, mine);
  startWorker(t, theirs, { name: 'w', port: master.port });
  await until('first', () => equal(theirs, mine));
  renameSync(join(mine.path, 'etc/rules'), join(mine.path, 'elsewhere'));
  mine.write('etc/lists/l2', 'c:d');
  await until('rest goes on', () => theirs.tree()['etc/lists/l2'] !== undefined);
  assert.ok(master.log.has(/WARNING.*Error getting file status/), master.log.text());
  assert.equal(
    Object.keys(theirs.tree()).filter((name) => name.startsWith('etc/rules/')).length,
    40,
  );
});

test('hazard mass-deletion: a master holds it until further complete scans agree', async (t) => {
  const [mine, theirs] = [new Home(t, files), new Home(t)];
  const master = await startMaster(t, mine);
  startWorker(t, theirs, { name: 'w', port: master.port });
  await until('first', () => equal(theirs, mine));
  for (const name of Object.keys(rules)) mine.remove(name);
  await until('held', () => (master.role.workers()[0]?.heldDeletions ?? 0) === 40);
  assert.equal(Object.keys(theirs.tree()).length, 42);
  assert.equal(master.log.count(/WARNING.*40 deletions are held/), 1);
  assert.match(master.role.workers()[0]?.heldReason ?? '', /40 of 42 files/);
});

test('hazard mass-deletion: accept-deletions releases what is held', async (t) => {
  const cluster = { intervals: { master: { recalculate_integrity: 0.3 } } };
  const [mine, theirs] = [new Home(t, files), new Home(t)];
  const master = await startMaster(t, mine, { cluster });
  startWorker(t, theirs, { name: 'w', port: master.port });
  await until('first', () => equal(theirs, mine));
  for (const name of Object.keys(rules)) mine.remove(name);
  await until('held', () => (master.role.workers()[0]?.heldDeletions ?? 0) === 40);
  new HeldBookFile(mine.state, silentLog).accept('w');
  await until('ordered', () => master.log.has('Files to delete in worker: 40'));
  await until('held by the worker too', () => Object.keys(theirs.tree()).length === 42);
});

test('hazard mass-deletion: a worker obeys no such order at once, and reports it once', async (t) => {
  const theirs = new Home(t, files);
  const stock = await stockMaster(t);
  const worker = startWorker(t, theirs, {
    name: 'w',
    port: stock.port,
    cluster: { intervals: { worker: { sync_integrity: 0.3 } } },
  });
  await until('orders', () => stock.orders >= 3);
  assert.equal(Object.keys(theirs.tree()).length, 42);
  assert.equal(stock.reports.filter((text) => text.includes('deletions are held')).length, 1);
  assert.equal(worker.role.status().heldDeletions, 42);
  new HeldBookFile(theirs.state, silentLog).accept('master');
  await until('released', () => Object.keys(theirs.tree()).length === 0);
});

/** A stock master with nothing in it that orders the deletion of all it hears of. */
async function stockMaster(t: Parameters<typeof admitAll>[0]) {
  const seen = { port: 0, orders: 0, reports: [] as string[] };
  seen.port = await admitAll(t, {
    onManifest: (manifest) => {
      seen.orders += 1;
      return { missing: {}, shared: {}, extra: manifest };
    },
    onReport: (text) => void seen.reports.push(text),
  });
  return seen;
}

test('hazard ghost: a refused hello leaves no node behind, and its name stays free', async (t) => {
  const master = await startMaster(t, new Home(t));
  for (const [node, cluster, version, code] of [
    ['bad.name', 'wazuh', '4.14.8', 3060],
    ['m', 'wazuh', '4.14.8', 3029],
    ['w', 'other', '4.14.8', 3030],
    ['w', 'wazuh', '4.14.7', 3031],
  ] as const) {
    const link = await dialAs(t, master.port);
    const answer = await link.request('hello', { node, cluster, type: 'worker', version });
    assert.equal(answer.kind === 'fault' ? answer.fault.code : 0, code);
    assert.deepEqual(master.role.workers(), []);
    await link.close();
  }
  const link = await dialAs(t, master.port);
  const hello = { node: 'w', cluster: 'wazuh', type: 'worker', version: '4.14.8' };
  const answer = await link.request('hello', hello);
  assert.equal(answer.kind === 'ok' ? answer.payload.toString() : '', 'Client w added');
});

test('hazard second-hello: it is refused, and only the first name is known', async (t) => {
  const master = await startMaster(t, new Home(t));
  const link = await dialAs(t, master.port);
  const hello = { node: 'w', cluster: 'wazuh', type: 'worker', version: '4.14.8' };
  await link.request('hello', hello);
  const second = await link.request('hello', { ...hello, node: 'ghost' });
  assert.deepEqual(second, { kind: 'fault', fault: fault(3028, 'w') });
  assert.deepEqual(
    master.role.workers().map(({ name }) => name),
    ['w'],
  );
  await link.close();
  await until('forgotten', () => master.role.workers().length === 0);
});

test('hazard duplicate name: 3028 while the first lives, welcome after it left', async (t) => {
  const master = await startMaster(t, new Home(t));
  const hello = { node: 'w', cluster: 'wazuh', type: 'worker', version: '4.14.8' };
  const [first, second] = [await dialAs(t, master.port), await dialAs(t, master.port)];
  await first.request('hello', hello);
  assert.deepEqual(await second.request('hello', hello), {
    kind: 'fault',
    fault: fault(3028, 'w'),
  });
  await first.close();
  await until('forgotten', () => master.role.workers().length === 0);
  assert.equal((await second.request('hello', hello)).kind, 'ok');
});

test('hazard before-hello: no request has an effect on a master', async (t) => {
  const home = new Home(t, files);
  const master = await startMaster(t, home);
  const socket = await rawDial(t, master.port);
  const seal = createSeal(key);
  socket.write(requestBytes(seal, 1, 'new_file', '/queue/cluster/x.zip'));
  socket.write(requestBytes(seal, 2, 'syn_i_w_m', ''));
  socket.write(requestBytes(seal, 3, 'get_nodes', '{}'));
  await new Promise((resolve) => socket.once('close', resolve));
  assert.deepEqual(home.leftovers(), []);
  assert.ok(master.log.has('Error during handshake with incoming connection'));
});

test('hazard hang: what nobody serves is answered with an error at once', async (t) => {
  const master = await startMaster(t, new Home(t));
  const link = await dialAs(t, master.port);
  await link.request('hello', { node: 'w', cluster: 'wazuh', type: 'worker', version: '4.14.8' });
  const answers = await Promise.all([
    link.request('listNodes', { filter_node: 'nosuch' }, { timeoutMs: 2_000 }),
    link.request('wantAllGroups', undefined, { timeoutMs: 2_000 }),
    link.request('agentInfoReady', '1', { timeoutMs: 2_000 }),
    link.request('extraValidStart', undefined, { timeoutMs: 2_000 }),
  ]);
  assert.deepEqual(
    answers.map(({ kind }) => kind),
    ['fault', 'fault', 'fault', 'fault'],
  );
  const permission = await link.request('maySendAgentInfo', undefined);
  assert.equal(permission.kind === 'ok' ? permission.payload.toString() : '', 'False');
});

test('hazard no-permission: a check that was not granted does not run beside another', async (t) => {
  const master = await startMaster(t, new Home(t));
  await until('scan', () => master.log.has('Calculated metadata'));
  const link = await dialAs(t, master.port);
  await link.request('hello', { node: 'w', cluster: 'wazuh', type: 'worker', version: '4.14.8' });
  assert.equal((await link.request('integrityStart', undefined)).kind, 'ok');
  assert.equal((await link.request('integrityStart', undefined)).kind, 'fault');
});

test('hazard separator: content that holds the separators of bundles is synchronised', async (t) => {
  const mine = new Home(t, files);
  const noise = [randomBytes(5_000), '|@@//@@|a|//@@//|', randomBytes(5_000), '|@@//@@|'];
  mine.write('etc/shared/sep.bin', Buffer.concat(noise.map((part) => Buffer.from(part))));
  mine.write('etc/lists/plain', '|//@@//|\n|@@//@@|\n'.repeat(50));
  const master = await startMaster(t, mine);
  const theirs = new Home(t);
  startWorker(t, theirs, { name: 'w', port: master.port });
  await until('first', () => equal(theirs, mine));
});

test('hazard merged-name: a file called *.merged is an ordinary file', async (t) => {
  const mine = new Home(t, { ...files, 'etc/shared/default/x.merged': 'plain text' });
  const master = await startMaster(t, mine);
  const theirs = new Home(t);
  startWorker(t, theirs, { name: 'w', port: master.port });
  await until('first', () => equal(theirs, mine));
});

test('hazard ten-connections: the limit per address is configurable, and silent strangers take no place of a node', async (t) => {
  const more = { maxConnectionsPerAddress: 2 };
  const master = await startMaster(t, new Home(t), { more });
  const hello = { node: 'w', cluster: 'wazuh', type: 'worker', version: '4.14.8' } as const;
  const strangers = [await rawDial(t, master.port), await rawDial(t, master.port)];
  const evicted = strangers.map((one) => once(one, 'close'));
  for (const node of ['w1', 'w2']) {
    const link = await dialAs(t, master.port);
    assert.equal((await link.request('hello', { ...hello, node })).kind, 'ok');
  }
  await Promise.all(evicted);
  const fifth = await rawDial(t, master.port);
  await new Promise((resolve) => fifth.once('close', resolve));
  assert.ok(master.log.has(/WARNING.*Too many connections from 127\.0\.0\.1 \(2\), rejecting\./));
  assert.equal(master.role.workers().length, 2);
});

test('a place that a node leaves is free at once', async (t) => {
  const more = { maxConnectionsPerAddress: 1 };
  const master = await startMaster(t, new Home(t), { more });
  const hello = { node: 'w', cluster: 'wazuh', type: 'worker', version: '4.14.8' } as const;
  for (let turn = 0; turn < 3; turn++) {
    const link = await dialAs(t, master.port);
    assert.equal((await link.request('hello', hello)).kind, 'ok');
    await link.close();
    await until('left', () => master.role.workers().length === 0);
  }
});

test('hazard log-flood: strangers by the hundred cost a few lines', async (t) => {
  const master = await startMaster(t, new Home(t));
  for (let turn = 0; turn < 200; turn++) {
    const socket = await rawDial(t, master.port);
    socket.end('GET / HTTP/1.1\r\n\r\n');
  }
  await until('gone', () => master.log.has('Error during handshake'));
  assert.ok(master.log.count('127.0.0.1') <= 4, master.log.text());
});

test('hazard broken-manifest: it ends its own check only, and the next one is served', async (t) => {
  const cluster = { intervals: { master: { recalculate_integrity: 0.1 } } };
  const home = new Home(t, files);
  const master = await startMaster(t, home, { cluster });
  await until('scan', () => master.log.has('Calculated metadata'));
  const link = await dialAs(t, master.port);
  await link.request('hello', { node: 'w', cluster: 'wazuh', type: 'worker', version: '4.14.8' });
  const bad = ['', 'no bundle at all', 'files_metadata.json|//@@//|not zlib'];
  for (const [turn, body] of bad.entries()) {
    await sendManifest(link, `bad${turn}`, Buffer.from(body));
    await until('said', () => master.log.count('Error synchronizing integrity') > turn);
  }
  assert.equal(master.role.workers()[0]?.isIntegrityFree, true);
  await sendManifest(link, 'good', emptyManifest);
  await until('served', () => master.log.has('Sync required'));
  assert.deepEqual(
    home.leftovers().filter((name) => name.endsWith('.part')),
    [],
  );
});

test('hazard killed-midway: a worker that ends during a large bundle leaves no half files', async (t) => {
  const mine = new Home(t, files);
  mine.write('etc/shared/big.bin', randomBytes(60_000_000));
  const master = await startMaster(t, mine);
  const theirs = new Home(t);
  const worker = startWorker(t, theirs, { name: 'w', port: master.port });
  await until('under way', () => theirs.leftovers().length > 0 && equalKeys(theirs, mine));
  await worker.stop();
  assert.deepEqual(theirs.leftovers(), []);
  assert.equal(theirs.tree()['etc/shared/big.bin'], undefined);
  startWorker(t, theirs, { name: 'w', port: master.port });
  await until('again', () => equal(theirs, mine), 90_000);
});

const equalKeys = (left: Home, right: Home): boolean =>
  left.tree()['etc/client.keys'] === right.tree()['etc/client.keys'];

test('a node once seen as ours is taken as a stock one only when it is forgotten, as the log says', async (t) => {
  const [mine, theirs] = [new Home(t, files), new Home(t)];
  const master = await startMaster(t, mine);
  const worker = startWorker(t, theirs, { name: 'w', port: master.port });
  await until('first', () => equal(theirs, mine));
  await worker.stop();
  await until('forgotten', () => master.role.workers().length === 0);
  const link = await dialAs(t, master.port);
  await link.request('hello', { node: 'w', cluster: 'wazuh', type: 'worker', version: '4.14.8' });
  const asked = link.request('mayCheckIntegrity', undefined);
  await assert.rejects(asked, /the link ended/);
  await until('said', () => master.log.has('must be one of ours'));
  assert.ok(master.log.has('pilotfish-publisher cluster forget-peer w'));

  assert.ok(new PeerBookFile(mine.state, silentLog).forget('w')); // the command, beside the node
  const stock = await dialAs(t, master.port);
  await stock.request('hello', { node: 'w', cluster: 'wazuh', type: 'worker', version: '4.14.8' });
  assert.equal((await stock.request('mayCheckIntegrity', undefined)).kind, 'ok');
});

test('peers: ours admits no stock worker, and follows no stock master', async (t) => {
  const more = { peers: 'ours' } as const;
  const master = await startMaster(t, new Home(t), { more });
  const link = await dialAs(t, master.port);
  await link.request('hello', { node: 'w', cluster: 'wazuh', type: 'worker', version: '4.14.8' });
  await assert.rejects(link.request('mayCheckIntegrity', undefined), /the link ended/);
  const stock = await stockMaster(t);
  const theirs = new Home(t, files);
  const worker = startWorker(t, theirs, { name: 'w', port: stock.port, more });
  await until('refused', () => worker.log.has('it answers as a stock node does'));
  assert.equal(stock.orders, 0);
});
