/** Checks of integrity that go wrong, over whole nodes: known at once, made again soon, one at a time. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fault } from '../../../src/cluster/wire/fault.ts';
import { Home, startMaster, startWorker, until } from './nodes.ts';
import { dialAs } from './peers.ts';

test('a master without room for a bundle tells the worker, which is in step soon after there is some', async (t) => {
  const [mine, theirs] = [new Home(t, { 'etc/rules/r.xml': '<r/>' }), new Home(t)];
  const master = await startMaster(t, mine);
  const spool = join(mine.path, 'queue/cluster/.sealed');
  rmSync(spool, { recursive: true, force: true });
  writeFileSync(spool, ''); // no spool can be opened below it, as on a full disk
  const cluster = { intervals: { worker: { sync_integrity: 0.3 } } };
  startWorker(t, theirs, { name: 'w', port: master.port, cluster });
  await until('failed', () => master.log.has('Error synchronizing integrity'));
  rmSync(spool);
  mkdirSync(spool);
  await until('in step', () => theirs.tree()['etc/rules/r.xml'] !== undefined, 10_000);
});

test('a failure of no task, told while a check is under way, lets no second one begin', async (t) => {
  const master = await startMaster(t, new Home(t));
  await until('scanned', () => master.log.has('Calculated metadata'));
  const link = await dialAs(t, master.port);
  await link.request('hello', { node: 'w', cluster: 'wazuh', type: 'worker', version: '4.14.8' });
  const starts: string[] = [];
  for (let turn = 0; turn < 3; turn++) {
    starts.push((await link.request('integrityStart', undefined)).kind);
    await link.request('integrityFailed', { taskId: undefined, fault: fault(1000, 'x') });
  }
  assert.deepEqual(starts, ['ok', 'fault', 'fault']);
});
