/** The sidecar's end of the spool: what it asks of an applier that runs as another user. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { encodeMemory, newMemory, parseMemory } from '../../src/applier/memory.ts';
import { applySpool } from '../../src/applier/spool.ts';
import { versionOf } from '../../src/applier/verify-again.ts';
import { buildSpoolApplier } from '../../src/cli/build-sidecar-applier.ts';
import { sleep } from '../../src/clock.ts';
import { openSpool, sharedMemory } from '../../src/host/spool-directory.ts';
import { systemClock } from '../../src/host/system-clock.ts';
import { maxRoots } from '../../src/sidecar/memory.ts';
import {
  addressOf,
  configOf,
  HostInMemory,
  list,
  names,
  request,
} from '../applier/host-in-memory.ts';
import { aRoot, signedList, signedRoot } from '../list/documents.ts';

function temporary(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'pf-spool-'));
  context.after(() => rmSync(directory, { recursive: true, force: true, maxRetries: 9 }));
  return directory;
}

test('an order that nobody waits for any more moves no agent later', async (context) => {
  const [spool, results] = [temporary(context), temporary(context)];
  const asking = buildSpoolApplier({ spool, results, timeoutMs: 0 }, async () => []);
  const order = [...names].reverse();
  await assert.rejects(asking.apply(request({ order, urgent: true })), /does the applier run/);
  await assert.rejects(asking.restoreNewest(), /does the applier run/);
  assert.deepEqual(readdirSync(spool), []);
  // Hours later the agent is well, at a listed manager, and somebody starts the applier.
  const host = await HostInMemory.make({}, configOf(...names.map(addressOf)));
  await applySpool(host.world(), openSpool(spool, results));
  assert.deepEqual([host.connectedTo, host.steps], [addressOf('wm-01'), []]);
});

test('an applier behind the spool that is 70 roots behind catches up, in few requests', async (context) => {
  const [spool, results] = [temporary(context), temporary(context)];
  const host = await HostInMemory.make();
  const plain = host.world();
  const world = { ...plain, memory: sharedMemory(plain.memory, results) };
  const { trust } = parseMemory(host.memory ?? new Uint8Array());
  await world.memory.write(encodeMemory(newMemory(trust)));
  const own = versionOf(trust.root.envelope);
  const rootOf = (version: number): Uint8Array => signedRoot(aRoot({ version }));
  const rootsOf = (from: number, to: number): readonly Uint8Array[] =>
    Array.from({ length: to - from + 1 }, (_, index) => rootOf(from + index));
  const asking = buildSpoolApplier({ spool, results, timeoutMs: 60_000 }, async (from, to) =>
    rootsOf(from, to),
  );
  const newest = own + 70;
  const asked = request({
    listEnvelope: signedList(list({ rootVersion: newest })),
    rootEnvelopes: rootsOf(newest - maxRoots + 1, newest),
  });
  let requests = 0;
  let isDone = false;
  const applying = (async () => {
    while (!isDone) {
      requests += (await applySpool(world, openSpool(spool, results))).length;
      await sleep(systemClock, 1);
    }
  })();
  const result = await asking.apply(asked).finally(() => {
    isDone = true;
  });
  await applying;
  assert.deepEqual([result.outcome, host.connectedTo], ['moved', addressOf('wm-01')]);
  assert.equal(requests, 2);
});
