/** Our master and our workers: real sockets, real directories, trees compared by hash. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { type Files, Home, startMaster, startWorker, until } from './nodes.ts';

const files: Files = {
  'etc/client.keys': '001 agent any 0123\n',
  'etc/rules/local_rules.xml': '<group name="local"/>\n',
  'etc/decoders/local_decoder.xml': '<decoder/>\n',
  'etc/lists/audit-keys': 'a:b\n',
  'etc/shared/default/agent.conf': '<agent_config/>\n',
  'var/multigroups/0a1b/merged.mg': '!5 x\nhello',
};

const equal = (left: Home, right: Home): boolean => isDeepStrictEqual(left.tree(), right.tree());
const inSync = (what: string, left: Home, right: Home): Promise<number> =>
  until(what, () => equal(left, right));

test('a worker gets everything, then every kind of change from a push, not from a poll', async (t) => {
  const [mine, theirs] = [new Home(t, files), new Home(t)];
  const master = await startMaster(t, mine);
  const worker = startWorker(t, theirs, { name: 'w', port: master.port });
  await inSync('first', theirs, mine);
  await until('in step', () => master.role.workers()[0]?.behindSinceMs === undefined);
  const times: number[] = [];
  mine.write('etc/rules/new.xml', '<new/>\n');
  times.push(await inSync('missing', theirs, mine));
  mine.write('etc/client.keys', '001 agent any 0123\n002 b any 4567\n');
  times.push(await inSync('shared', theirs, mine));
  mine.write('etc/shared/g/deep/odd name é.conf', 'x');
  times.push(await inSync('new folder', theirs, mine));
  mine.remove('etc/rules/new.xml');
  times.push(await inSync('extra', theirs, mine));
  mine.remove('etc/shared/g');
  times.push(await inSync('folder', theirs, mine));
  // Stock polls every nine seconds; the bench shows what a quiet machine takes.
  assert.ok(Math.max(...times) < 5_000, `took ${times.map(Math.round)} ms`);
  assert.equal(worker.role.status().peer, 'ours');
  assert.equal(master.role.workers()[0]?.peer, 'ours');
  assert.equal(worker.log.count('ERROR'), 0, worker.log.text());
});

test('files get the permissions of their item, whatever they were on the master', async (t) => {
  const [mine, theirs] = [new Home(t, files), new Home(t)];
  chmodSync(join(mine.path, 'etc/client.keys'), 0o777);
  const master = await startMaster(t, mine);
  startWorker(t, theirs, { name: 'w', port: master.port });
  await inSync('first', theirs, mine);
  assert.equal(theirs.mode('etc/client.keys'), 0o640);
  assert.equal(theirs.mode('etc/rules/local_rules.xml'), 0o660);
  assert.equal(theirs.mode('etc/shared/default'), 0o770);
});

test('what a worker changed by itself is put right, and never reaches the master', async (t) => {
  const [mine, theirs] = [new Home(t, files), new Home(t)];
  const master = await startMaster(t, mine);
  startWorker(t, theirs, { name: 'w', port: master.port });
  await inSync('first', theirs, mine);
  await until('in step', () => master.role.workers()[0]?.behindSinceMs === undefined);
  const before = mine.tree();
  theirs.write('etc/client.keys', 'intruder\n');
  theirs.write('etc/rules/intruder.xml', '<x/>');
  await inSync('repaired', theirs, mine);
  assert.deepEqual(mine.tree(), before);
});

test('several workers are served from one packed and sealed bundle', async (t) => {
  const mine = new Home(t, files);
  mine.write('etc/shared/big.bin', randomBytes(3_000_000));
  const master = await startMaster(t, mine);
  await until('scan', () => master.log.has('Calculated metadata'));
  const homes = ['w1', 'w2', 'w3', 'w4'].map((name) => {
    const home = new Home(t);
    startWorker(t, home, { name, port: master.port });
    return home;
  });
  await until('all', () => homes.every((home) => equal(home, mine)));
  // The keys, and all the rest; for a worker that a busy machine lets in late, one is made anew.
  const { bundlesMade } = master.role;
  assert.ok(bundlesMade >= 2 && bundlesMade < 2 * homes.length, `${bundlesMade} for 4 workers`);
});

test('the keys of agents arrive first, before a large bundle is packed', async (t) => {
  const mine = new Home(t, files);
  mine.write('etc/shared/big.bin', randomBytes(20_000_000));
  const master = await startMaster(t, mine);
  const theirs = new Home(t);
  startWorker(t, theirs, { name: 'w', port: master.port });
  await until('keys', () => theirs.tree()['etc/client.keys'] === mine.tree()['etc/client.keys']);
  assert.equal(theirs.tree()['etc/shared/big.bin'], undefined);
  await inSync('rest', theirs, mine);
});

test('a worker dials again after its master ended and came back, and catches up', async (t) => {
  const [mine, theirs] = [new Home(t, files), new Home(t)];
  const master = await startMaster(t, mine);
  const worker = startWorker(t, theirs, { name: 'w', port: master.port });
  await inSync('first', theirs, mine);
  await master.stop();
  await until('noticed', () => !worker.role.status().isConnected);
  mine.write('etc/rules/while-away.xml', '<y/>');
  const again = await startMaster(t, mine, { port: master.port });
  await inSync('caught up', theirs, mine);
  assert.equal(again.role.workers().length, 1);
  assert.ok(worker.log.has('The master closed the connection'));
});

test('a worker that ended is forgotten, and welcome again at once', async (t) => {
  const [mine, theirs] = [new Home(t, files), new Home(t)];
  const master = await startMaster(t, mine);
  const worker = startWorker(t, theirs, { name: 'w', port: master.port });
  await inSync('first', theirs, mine);
  await worker.stop();
  await until('forgotten', () => master.role.workers().length === 0);
  mine.remove('etc/rules/local_rules.xml');
  mine.write('etc/rules/other.xml', '<z/>');
  startWorker(t, theirs, { name: 'w', port: master.port });
  await inSync('again', theirs, mine);
  assert.deepEqual(
    mine.leftovers().filter((name) => name.endsWith('.part')),
    [],
  );
});

test('keep-alives flow both ways of knowing: the worker logs the answer, the master the time', async (t) => {
  const [mine, theirs] = [new Home(t), new Home(t)];
  const cluster = { intervals: { worker: { keep_alive: 0.05 } } };
  const master = await startMaster(t, mine);
  const worker = startWorker(t, theirs, { name: 'w', port: master.port, cluster });
  await until('answer', () =>
    worker.log.has('INFO: [Worker w] [Keep Alive] Successful response from master: keepalive'),
  );
  const [seen] = master.role.workers();
  assert.ok((seen?.lastKeepAliveAtMs ?? 0) > (seen?.connectedAtMs ?? 0));
});

test('a worker without keep-alives is disconnected by the master', async (t) => {
  const [mine, theirs] = [new Home(t), new Home(t)];
  const cluster = {
    intervals: {
      master: { check_worker_lastkeepalive: 0.05, max_allowed_time_without_keepalive: 0.2 },
    },
  };
  const master = await startMaster(t, mine, { cluster });
  const worker = startWorker(t, theirs, { name: 'w', port: master.port });
  await until('dropped', () => master.log.has('No keep alives have been received from w'));
  await until('noticed', () => worker.log.has('The master closed the connection'));
});
