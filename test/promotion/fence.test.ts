/** The token of the master's role on the link: two of ours, and stock nodes that know nothing of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RoleFence } from '../../src/cluster/tasks/node-ports.ts';
import { startDaemon } from '../cluster/system/daemon.ts';
import { Home, startMaster, startWorker, until } from '../cluster/system/nodes.ts';

const cluster = { intervals: { worker: { connection_retry: 0.2 } } };

class Fence implements RoleFence {
  readonly token: number;
  readonly shown: number[] = [];
  isHeld = true;
  noted: () => Promise<void> = async () => undefined;

  constructor(token: number) {
    this.token = token;
  }

  holds = (): boolean => this.isHeld;
  saw = (token: number): void => void this.shown.push(token);
  keysNoted = (): Promise<void> => this.noted();
}

const cases: readonly (readonly [
  what: string,
  worker: number | undefined,
  master: number | undefined,
  isTaken: boolean,
])[] = [
  ['the same token', 7, 7, true],
  ['a newer master', 7, 9, true],
  ['an older master', 9, 7, false],
  ['a master of ours without a role that moves', 7, undefined, false],
  ['a worker without promotion', undefined, 7, true],
  ['a worker that has seen no master yet', 0, 7, true],
];
for (const [what, own, theirs, isTaken] of cases) {
  test(`${what}: the worker ${isTaken ? 'follows' : 'refuses'}`, async (t) => {
    const fences = { w: new Fence(own ?? 0), m: new Fence(theirs ?? 0) };
    const fenceOf = (token: number | undefined, fence: Fence) =>
      token === undefined ? {} : { fence };
    const master = await startMaster(t, new Home(t), { cluster, more: fenceOf(theirs, fences.m) });
    const more = fenceOf(own, fences.w);
    const worker = startWorker(t, new Home(t), { name: 'w', port: master.port, cluster, more });
    if (!isTaken) {
      await until('it tried', () => worker.role.status().attempts > 2);
      assert.equal(worker.role.status().isConnected, false);
      return;
    }
    await until('it is connected', () => worker.role.status().isConnected);
    if (theirs !== undefined && own !== undefined) assert.ok(fences.w.shown.includes(theirs));
  });
}

test('a master hears of a newer one from its worker', async (t) => {
  const fence = new Fence(7);
  const master = await startMaster(t, new Home(t), { cluster, more: { fence } });
  const more = { fence: new Fence(9) };
  startWorker(t, new Home(t), { name: 'w', port: master.port, cluster, more });
  await until('it knows', () => fence.shown.includes(9));
});

test('when the role is gone nothing is answered any more, at that very instant', async (t) => {
  const fence = new Fence(7);
  const home = new Home(t);
  let asked = 0;
  await startDaemon(t, home.path, 'queue/sockets/auth', () => `{"error":0,"n":${++asked}}`);
  const master = await startMaster(t, home, { cluster, more: { fence } });
  const worker = startWorker(t, new Home(t), { name: 'w', port: master.port, cluster });
  await until('connected', () => worker.role.status().isConnected);
  const id = '1';
  const body = Buffer.from('{"daemon_name":"authd","message":"x"}');
  const link = worker.role.connection?.link;
  assert.equal((await link?.request('askDaemon', { id, body }))?.kind, 'ok');
  await until('authd was asked', () => asked === 1);
  fence.isHeld = false;
  await assert.rejects(async () => link?.request('askDaemon', { id, body }));
  assert.equal(asked, 1);
  await until('and nobody is let in', () => worker.role.status().attempts > 3);
  assert.equal(worker.role.status().isConnected, false);
});
