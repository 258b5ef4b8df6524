/** The guard against mass deletion: values in, values out; and what it is given to judge by. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseClusterJson } from '../../../src/cluster/files/cluster-json.ts';
import { compareManifests } from '../../../src/cluster/files/compare.ts';
import {
  acceptDeletions,
  type DeletionWish,
  defaultGuard,
  type Held,
  judgeDeletions,
} from '../../../src/cluster/files/guard.ts';
import { countByItem, type Entry, type Manifest } from '../../../src/cluster/files/manifest.ts';
import { parseName } from '../../../src/cluster/files/name.ts';
import { makeHome, packAll, saveBundle, stagingOf, workerOn } from './homes.ts';
import { rawBundle } from './raw-bundle.ts';

const { catalogue } = parseClusterJson({});
const seen = { blind: [] };
const worker = manifestOf(
  'etc/client.keys',
  ...range('etc/shared/g/', 100),
  ...range('etc/rules/', 20),
);

function manifestOf(...names: readonly string[]): Manifest {
  return new Map(names.map((name) => [parseName(name), entryOf(name)]));
}

function entryOf(name: string): Entry {
  const item = catalogue.items.findLast(({ key }) => name.startsWith(key));
  return { modTime: 1, itemKey: item?.key ?? '', hash: 'ab'.repeat(64), merge: undefined };
}

function range(folder: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${folder}${index}`);
}

function wishFor(extra: Manifest, more: Partial<DeletionWish> = {}): DeletionWish {
  const present = countByItem(worker);
  return { extra, present, created: new Map(), scan: seen, nowMs: 0, ...more };
}

/** The same wish at several instants; the last judgement. */
function judgeOften(
  extra: Manifest,
  timesMs: readonly number[],
  more: Partial<DeletionWish> = {},
  start: Held = [],
): ReturnType<typeof judgeDeletions> {
  let judgement = judgeDeletions(
    wishFor(extra, { ...more, nowMs: timesMs[0] ?? 0 }),
    catalogue,
    start,
  );
  for (const nowMs of timesMs.slice(1)) {
    judgement = judgeDeletions(wishFor(extra, { ...more, nowMs }), catalogue, judgement.held);
  }
  return judgement;
}

test('a few deletions go at once', () => {
  const extra = manifestOf('etc/shared/g/1', 'etc/rules/3');
  const { allowed, held, isNews } = judgeDeletions(wishFor(extra), catalogue, []);
  assert.deepEqual([allowed, held, isNews], [extra, [], false]);
});

test('empty-map: the master compares with a scan or not at all, and an empty one is held', () => {
  const { changes } = compareManifests(new Map(), worker, catalogue);
  const { allowed, held, reason, isNews } = judgeDeletions(wishFor(changes.extra), catalogue, []);
  assert.equal(allowed.size, 0);
  assert.equal(held.length, worker.size);
  assert.equal(reason, '121 files at once, more than 50');
  assert.equal(isNews, true);
});

test('mass-deletion: the three files of a small worker are held by a worker of ours as well', () => {
  const small = manifestOf(
    'etc/client.keys',
    'etc/rules/local_rules.xml',
    'etc/shared/default/agent.conf',
  );
  const wish = wishFor(small, { present: countByItem(small), scan: undefined });
  const { allowed, held, reason } = judgeDeletions(wish, catalogue, []);
  assert.deepEqual([allowed.size, held.length], [0, 3]);
  assert.equal(reason, '3 of 3 files, more than 25 %');
});

test('the last file of an item kind is held, unless another comes with the same order', () => {
  const extra = manifestOf('etc/client.keys');
  assert.match(
    judgeDeletions(wishFor(extra), catalogue, []).reason ?? '',
    /^the last files of etc\/ /,
  );
  const present = countByItem(manifestOf('etc/lists/old', ...range('etc/shared/g/', 9)));
  const renamed = { present, created: countByItem(manifestOf('etc/lists/new')) };
  assert.equal(
    judgeDeletions(wishFor(manifestOf('etc/lists/old'), renamed), catalogue, []).allowed.size,
    1,
  );
});

test('held deletions go when further scans agree for long enough, not before', () => {
  const extra = manifestOf(...range('etc/shared/g/', 60));
  assert.equal(judgeOften(extra, [0, 9_000]).allowed.size, 0);
  assert.equal(judgeOften(extra, [0, 1, 2, 3, 4]).allowed.size, 0, 'often, but at once');
  assert.equal(judgeOften(extra, [0, 60_000]).allowed.size, 0, 'long, but twice');
  const released = judgeOften(extra, [0, 9_000, defaultGuard.heldForMs]);
  assert.deepEqual([released.allowed.size, released.held.length], [60, 0]);
});

test('only the first judgement that holds is news; a wish that went away starts anew', () => {
  const extra = manifestOf(...range('etc/shared/g/', 60));
  assert.equal(judgeOften(extra, [0, 9_000]).isNews, false);
  const gone = judgeDeletions(
    wishFor(new Map(), { nowMs: 9_000 }),
    catalogue,
    judgeOften(extra, [0]).held,
  );
  assert.deepEqual(gone.held, []);
  const again = judgeOften(extra, [10_000, 30_000], {}, gone.held);
  assert.equal(again.allowed.size, 0);
  assert.equal(again.held[0]?.agreements, 2);
});

test('what an operator accepted goes with the next order, and only if it still names it', () => {
  const extra = manifestOf(...range('etc/shared/g/', 60));
  const accepted = acceptDeletions(judgeOften(extra, [0]).held);
  assert.equal(judgeOften(extra, [1_000], {}, accepted).allowed.size, 60);
  const other = manifestOf(...range('etc/rules/', 20), ...range('etc/shared/g/', 40));
  const { allowed, held } = judgeOften(other, [1_000], {}, accepted);
  assert.deepEqual([allowed.size, held.length], [40, 20]);
});

test('unreadable-folder: below what could not be read nothing is deleted, ever', () => {
  const scan = { blind: ['etc/shared/'] };
  const extra = manifestOf('etc/shared/g/1', 'etc/rules/3');
  const small = judgeDeletions(wishFor(extra, { scan }), catalogue, []);
  assert.deepEqual([...small.allowed.keys()], ['etc/rules/3']);
  const mass = manifestOf(...range('etc/rules/', 20), ...range('etc/shared/g/', 60));
  const often = judgeOften(mass, [0, 20_000, 40_000, 60_000, 80_000], { scan });
  assert.equal(often.allowed.size, 0, 'a large deletion needs a complete scan');
  assert.equal(
    often.held.some(({ name }) => name.startsWith('etc/shared/')),
    false,
  );
});

test('stock groups: missing, shared, extra, by hash alone; unknown kinds are left alone', () => {
  const same = entryOf('etc/rules/a');
  const other = { ...same, hash: 'cd'.repeat(64), modTime: 9 };
  const good: Manifest = new Map([
    [parseName('etc/rules/a'), same],
    [parseName('etc/rules/b'), same],
    [parseName('etc/rules/n'), same],
  ]);
  const check: Manifest = new Map([
    [parseName('etc/rules/a'), { ...same, modTime: 5 }],
    [parseName('etc/rules/b'), other],
    [parseName('etc/rules/x'), other],
    [parseName('queue/x'), { ...other, itemKey: 'queue/' }],
  ]);
  const { changes, unknown, extraValid } = compareManifests(good, check, catalogue);
  assert.deepEqual(changes.missing, new Map([['etc/rules/n', same]]));
  assert.deepEqual(changes.shared, new Map([['etc/rules/b', same]]));
  assert.deepEqual(changes.extra, new Map([['etc/rules/x', other]]));
  assert.deepEqual([unknown, extraValid.size], [['queue/x'], 0]);
});

test('unreadable-folder: a check is judged by the scan that it compared with, whatever ends meanwhile', async (t) => {
  const name = 'etc/lists/precious';
  const [master, home] = [makeHome(t, { 'etc/lists/a': 'a' }), makeHome(t, { [name]: 'p' })];
  const [ours, theirs] = [workerOn(master), workerOn(home)];
  theirs.scan();
  const path = saveBundle(master, packAll(theirs, theirs.startManifest()));
  symlinkSync('precious', join(master, name)); // a loop: it cannot be read for a while
  ours.scan();
  const checking = ours.check(path);
  rmSync(join(master, name));
  writeFileSync(join(master, name), 'p');
  assert.deepEqual(ours.scan().blind, []);
  const check = await checking;
  assert.deepEqual([[...check.order.extra.keys()], check.blind], [[name], [name]]);
  const wish = { ...check, extra: check.order.extra, scan: check, nowMs: 0 };
  assert.deepEqual([...judgeDeletions(wish, catalogue, []).allowed.keys()], []);
});

test('mass-deletion: who sends a file and deletes it too is refused, and only what is taken counts as sent', async (t) => {
  const home = makeHome(t, { 'etc/client.keys': 'keys' });
  const worker = workerOn(home);
  worker.scan();
  const entry = (key: string) => ({
    mod_time: 1,
    cluster_item_key: key,
    merged: false,
    hash: none,
  });
  const bundle = (missing: object, extra: object) => {
    const members = Object.keys(missing).map((one) => ({ name: one, content: '' }));
    const bundlePath = saveBundle(home, rawBundle(members, { missing, shared: {}, extra }));
    return { bundlePath, stagingFolder: stagingOf(home), origin: 'master' } as const;
  };
  const keys = { 'etc/client.keys': entry('etc/') };
  await assert.rejects(worker.unpack(bundle(keys, keys)), /is sent and to be deleted/);
  const { created } = await worker.unpack(bundle({ 'etc/other': entry('etc/') }, keys));
  assert.deepEqual([...created], []);
});

const none = hash('blake2b512', '', 'hex');
