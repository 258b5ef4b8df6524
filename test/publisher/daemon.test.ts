/** What the rounds of a publisher that runs make up for. */
import assert from 'node:assert/strict';
import { createServer } from 'node:https';
import { type TestContext, test } from 'node:test';
import { HostError } from '../../src/errors.ts';
import type { VerifiedRoot } from '../../src/list/root.ts';
import { silentLog } from '../../src/log.ts';
import { Complaints } from '../../src/publisher/complaints.ts';
import { buildConnectionLedger } from '../../src/publisher/connection-ledger.ts';
import { type DaemonWorld, runDaemon } from '../../src/publisher/daemon.ts';
import { buildListService } from '../../src/publisher/list-service.ts';
import { buildLocalWriter } from '../../src/publisher/writer.ts';
import { VirtualClock } from '../sidecar/scene.ts';
import { configuredOf, listKey, openDesk, rootOf, verifiedRoot } from './fixture.ts';
import { looseLimits } from './server-fixture.ts';

/** A publisher on a clock of the test's own, whose disk may be full. */
async function worldOf(t: TestContext) {
  const bare = await openDesk(t);
  const clock = new VirtualClock(bare.clock.nowMs());
  const local = buildLocalWriter(bare.history);
  const disk = { isFull: false };
  const writer: typeof local = {
    ...local,
    async append(...words) {
      if (disk.isFull) throw new HostError('store_failed', 'database or disk is full');
      return local.append(...words);
    },
  };
  const service = buildListService({
    ...{ clock, listKey, ledger: buildConnectionLedger(looseLimits) },
    ...{ maxReceiptsPerSecond: 10, isBusy: () => false },
  });
  const news: VerifiedRoot[] = [];
  const world: DaemonWorld = {
    ...{ desk: { ...bare, clock, writer }, service, clock, log: silentLog },
    front: {
      server: createServer(),
      listen: async () => 1,
      setCertificate: () => undefined,
      close: async () => undefined,
    },
    notices: { listen: async () => async () => undefined },
    complaints: new Complaints(silentLog, () => clock.nowMs()),
    status: () => '',
    listen: { host: '', port: 0 },
    readSettings: async () => ({ configured: configuredOf('a', 'b'), resignEveryMs: 10_800_000 }),
    readNewerRoot: async () => news.pop(),
    renewCertificate: async () => undefined,
    onReload: () => () => undefined,
  };
  return { world, clock, service, news, disk };
}

test('a publisher that fails after it began to listen listens no more', async (t) => {
  const ended: string[] = [];
  const { world } = await worldOf(t);
  const failing: DaemonWorld = {
    ...world,
    front: { ...world.front, close: async () => void ended.push('front') },
    notices: { listen: () => Promise.reject(new Error('no socket')) },
  };
  await assert.rejects(runDaemon(failing, new AbortController().signal), /no socket/);
  assert.deepEqual(ended, ['front']);
});

test('a list that could not be signed under a new root is signed when it can be', async (t) => {
  const { world, clock, service, news, disk } = await worldOf(t);
  const stop = new AbortController();
  const running = runDaemon(world, stop.signal);
  t.after(async () => {
    stop.abort();
    await running;
  });
  await clock.pass(2_000);
  assert.equal(service.served()?.entry.rootVersion, 1);
  disk.isFull = true;
  news.push(await verifiedRoot({ ...rootOf(), version: 2, epoch: 2 }));
  await clock.pass(2_000);
  assert.equal(service.served()?.entry.rootVersion, 1);
  disk.isFull = false;
  await clock.pass(60_000);
  const { rootVersion, epoch } = service.served()?.entry ?? {};
  assert.deepEqual([rootVersion, epoch], [2, 2]);
});
