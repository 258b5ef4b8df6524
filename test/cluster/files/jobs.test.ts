/** The jobs in their thread: streams, errors across threads, bounded memory. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { FileJobs } from '../../../src/cluster/files/jobs.ts';
import { noOrder, type Order } from '../../../src/cluster/files/manifest.ts';
import { parseName } from '../../../src/cluster/files/name.ts';
import { FileRefusal } from '../../../src/cluster/files/refusal.ts';
import { gather, jobsOn, makeHome, opened, readTree, saveBundle, stagingOf } from './homes.ts';
import { rawBundle, splitBundle } from './raw-bundle.ts';

for (const isOwn of [false, true]) {
  test(`a whole synchronisation between two threads, ${isOwn ? 'our own' : 'stock'} form`, (t) =>
    synchronised(t, isOwn));
}

async function synchronised(t: TestContext, isOwn: boolean): Promise<void> {
  const tree = {
    'etc/client.keys': 'k',
    'etc/shared/a/agent.conf': 'x'.repeat(5000),
    'etc/lists/n': randomBytes(3_000_000),
  };
  const [masterHome, workerHome] = [
    makeHome(t, tree),
    makeHome(t, { 'etc/lists/old': 'o', 'etc/lists/n': 'other' }),
  ];
  const [master, worker] = [jobsOn(t, masterHome), jobsOn(t, workerHome)];
  const [found, theirs] = [await master.scan(), await worker.scan()];
  assert.deepEqual(
    [found.files, found.generation, theirs.present],
    [3, 1, new Map([['etc/lists/', 2]])],
  );
  const report = await master.check(saveBundle(masterHome, await gather(worker.packManifest())));
  assert.deepEqual(
    [report.order.missing.length, report.order.shared.length, report.order.extra.size],
    [2, 1, 1],
  );
  const seal = sealing(master, report.order, isOwn);
  const bundle = await gather(opened(masterHome, seal));
  const unpacked = await worker.unpack(
    saveBundle(workerHome, bundle),
    stagingOf(workerHome),
    'master',
  );
  const applied = await worker.apply(unpacked.id, unpacked.extra);
  assert.deepEqual(
    [applied.placedFiles, applied.removed, applied.faults],
    [3, ['etc/lists/old'], []],
  );
  assert.deepEqual(readTree(workerHome), readTree(masterHome));
  const again = await worker.scan();
  assert.equal(again.generation, 2);
  assert.deepEqual(
    (await master.check(saveBundle(masterHome, await gather(worker.packManifest())))).order,
    noOrder,
  );
}

test('an unchanged home keeps its generation', async (t) => {
  const jobs = jobsOn(t, makeHome(t, { 'etc/rules/a': 'a' }));
  assert.equal((await jobs.scan()).generation, 1);
  assert.equal((await jobs.scan()).generation, 1);
});

test('empty-map: nothing is compared or packed before the first scan is finished', async (t) => {
  const home = makeHome(t, { 'etc/rules/a': 'a' });
  const jobs = jobsOn(t, home);
  const path = saveBundle(home, rawBundle([], {}));
  await assert.rejects(jobs.check(path), {
    name: 'HostError',
    message: /first scan .* is not finished/,
  });
  await assert.rejects(gather(jobs.packManifest()), { name: 'HostError' });
  const scanning = jobs.scan();
  await scanning;
  assert.equal((await jobs.check(path)).order.missing.length, 1);
});

test('a refusal crosses the thread with its stock code', async (t) => {
  const home = makeHome(t);
  const jobs = jobsOn(t, home);
  await jobs.scan();
  const error = await jobs
    .check(saveBundle(home, rawBundle([{ name: '../x', content: 'x' }], {})))
    .catch((thrown: unknown) => thrown);
  assert.ok(error instanceof FileRefusal);
  assert.equal(error.fault.code, 3003);
  await assert.rejects(jobs.check(join(home, 'no-such-bundle')), {
    name: 'HostError',
    reason: 'not_found',
  });
  await assert.rejects(jobs.apply(99, new Map()), { reason: 'not_found' });
});

test('members of a manifest bundle are read past, never kept', async (t) => {
  const home = makeHome(t);
  const jobs = jobsOn(t, home);
  await jobs.scan();
  const report = await jobs.check(
    saveBundle(home, rawBundle([{ name: 'etc/rules/x', content: 'x' }], {})),
  );
  assert.equal(report.receivedFiles, 0);
  assert.deepEqual(readTree(home), {});
});

test('a reader that stops early stops the packing; the thread goes on', async (t) => {
  const home = makeHome(t, { 'etc/lists/n': randomBytes(8_000_000) });
  const jobs = jobsOn(t, home);
  await jobs.scan();
  const order = { ...noOrder, missing: [parseName('etc/lists/n')] };
  for await (const chunk of opened(home, sealing(jobs, order, true))) {
    assert.ok(chunk.length > 0);
    break;
  }
  assert.equal((await jobs.scan()).files, 1);
});

test('a closed adapter rejects what was under way and starts anew when asked again', async (t) => {
  const jobs = jobsOn(t, makeHome(t, { 'etc/rules/a': 'a' }));
  const scanning = jobs.scan();
  scanning.catch(() => undefined); // looked at below
  await jobs.close();
  await assert.rejects(scanning, { name: 'HostError' });
  assert.equal((await jobs.scan()).files, 1);
});

test('what is under way when it is closed fails only when the thread is gone', async (t) => {
  const jobs = jobsOn(t, makeHome(t, { 'etc/rules/a': 'a' }));
  await jobs.scan();
  let isTold = false;
  const scanning = jobs.scan().finally(() => {
    isTold = true;
  });
  scanning.catch(() => undefined); // looked at below
  const closing = jobs.close();
  for (let turn = 0; turn < 50; turn += 1) await undefined;
  assert.equal(isTold, false);
  await closing;
  await assert.rejects(scanning, /was closed/);
});

test('hashes survive a restart in their file, and a damaged file costs only time', async (t) => {
  const home = makeHome(t, { 'etc/rules/a': 'a' });
  const hashCachePath = join(home, 'queue/hashes.json');
  const first = jobsOn(t, home, { hashCachePath });
  assert.equal((await first.scan()).hashedFiles, 1);
  await trusted(first);
  assert.equal((await jobsOn(t, home, { hashCachePath }).scan()).hashedFiles, 0);
  writeFileSync(hashCachePath, '{"etc/rules/a": [');
  assert.equal((await jobsOn(t, home, { hashCachePath }).scan()).hashedFiles, 1);
});

test('whole-bundle-in-memory: 300 MB travel through both ends in bounded memory', async (t) => {
  const home = makeHome(t);
  const part = randomBytes(1 << 20);
  // One file: between our own nodes a bundle of several ends at 128 MB.
  const names = [parseName('etc/lists/0')];
  const parts = Array.from({ length: 300 }, () => part);
  mkdirSync(join(home, 'etc/lists'), { recursive: true });
  for (const name of names) await writeAll(join(home, name), parts);
  const jobs = jobsOn(t, home);
  await jobs.scan();
  const before = process.memoryUsage.rss();
  const order = { ...noOrder, missing: names };
  const bundlePath = join(home, 'queue/cluster/w/large.zip');
  const peak = await peakRss(async () => {
    await writeAll(bundlePath, opened(home, sealing(jobs, order, true)));
    const unpacked = await jobs.unpack(bundlePath, stagingOf(home), 'master');
    assert.equal(unpacked.stagedFiles, 1);
    await jobs.discard(unpacked.id);
  });
  // What the collector has not met yet is part of it: a whole bundle would be 300 MB and more.
  assert.ok(peak - before < 220 * 1024 * 1024, `grew by ${(peak - before) / 1024 / 1024} MB`);
});

test('a bundle of the thread is one that an independent decoder reads', async (t) => {
  const home = makeHome(t, { 'etc/rules/a': 'a' });
  const jobs = jobsOn(t, home);
  await jobs.scan();
  const members = splitBundle(await gather(jobs.packManifest()));
  assert.deepEqual([...members.keys()], ['files_metadata.json']);
});

function sealing(jobs: FileJobs, order: Order, isOwn: boolean): Parameters<typeof opened>[1] {
  return (target) => jobs.sealChanges({ order, zipBytes: 2 ** 30, isOwn, ...target });
}

/** A hash is kept once the file is older than a tick of the file system's clock. */
async function trusted(jobs: FileJobs): Promise<void> {
  for (let turn = 0; turn < 10_000; turn++) {
    if ((await jobs.scan()).hashedFiles === 0) return;
  }
  assert.fail('the hash was never trusted');
}

async function writeAll(
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const file = createWriteStream(path);
  for await (const chunk of chunks) {
    if (!file.write(chunk)) await once(file, 'drain');
  }
  file.end();
  await once(file, 'finish');
}

async function peakRss(task: () => Promise<void>): Promise<number> {
  let peak = process.memoryUsage.rss();
  const timer = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  }, 20);
  await task().finally(() => clearInterval(timer));
  return peak;
}
