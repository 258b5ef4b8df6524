/** Merged blobs: a nested format is an entry point like any other (3.4.4). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { findItem } from '../../../src/cluster/files/catalogue.ts';
import { parseClusterJson } from '../../../src/cluster/files/cluster-json.ts';
import {
  checkMergeType,
  decodeMerged,
  encodeMerged,
  mergedTarget,
} from '../../../src/cluster/files/merged.ts';
import { FileRefusal } from '../../../src/cluster/files/refusal.ts';
import { makeHome, readTree, saveBundle, stagingOf, workerOn } from './homes.ts';
import { rawBundle } from './raw-bundle.ts';

const stamp = '2020-11-23 10:51:23';

test('the blob of the documentation is read', () => {
  const blob = Buffer.from(
    `8 001 ${stamp}\ndefault\n16 002 2020-11-23 08:50:48.123456+00:00\ndefault,windows\n`,
  );
  const { files, refused } = decodeMerged(blob);
  assert.deepEqual(refused, []);
  assert.deepEqual(
    files.map(({ base, content }) => [base, Buffer.from(content).toString()]),
    [
      ['001', 'default\n'],
      ['002', 'default,windows\n'],
    ],
  );
  assert.equal(files[0]?.modifiedMs, Date.UTC(2020, 10, 23, 10, 51, 23));
});

test('what we merge is what we read, spaces in names included', () => {
  const file = fc.record({
    base: fc.stringMatching(/^[a-z0-9_-][a-z0-9 ._-]{0,20}$/),
    content: fc.uint8Array({ maxLength: 100 }),
    modifiedMs: fc.integer({ min: 0, max: 4_000_000_000_000 }),
  });
  fc.assert(
    fc.property(fc.array(file, { maxLength: 10 }), (files) => {
      const { files: again, refused } = decodeMerged(Buffer.concat([...encodeMerged(files)]));
      assert.deepEqual(refused, []);
      assert.equal(again.length, files.length);
      for (const [index, one] of again.entries()) {
        assert.equal(one.base, files[index]?.base);
        assert.deepEqual(Buffer.from(one.content), Buffer.from(files[index]?.content ?? []));
      }
    }),
    { numRuns: 300, seed: 3 },
  );
});

test('CVE-2026-48024: no name in a merged header leaves the folder of the item', async (t) => {
  const hostile = [
    '../x',
    '../../etc/shadow',
    '/etc/passwd',
    '..',
    '.',
    '.hidden',
    'a/b',
    'a\\b',
    '..\\x',
    './x',
    'x/',
    '%2e/x',
    'x\0y',
    'client.keys/../../x',
    `${'z'.repeat(256)}`,
  ];
  const { catalogue } = parseClusterJson({ files: { 'etc/lists/': { extra_valid: true } } });
  const home = makeHome(t, { 'etc/client.keys': 'mine' });
  const worker = workerOn(home, { catalogue });
  const path = 'queue/cluster/w/TYPE.merged';
  for (const base of hostile) {
    const metadata = {
      [path]: { mod_time: 1, cluster_item_key: 'etc/lists/', merged: true, merge_type: 'TYPE' },
    };
    const bundlePath = saveBundle(
      home,
      rawBundle([{ name: path, content: `4 ${base} ${stamp}\nevil` }], metadata),
    );
    const { id, extra } = await worker.unpack({
      bundlePath,
      stagingFolder: stagingOf(home),
      origin: 'worker',
    });
    const { faults, placedFiles } = worker.apply({ id, extra });
    assert.deepEqual([placedFiles, faults.length], [0, 1], base);
  }
  assert.deepEqual(readTree(home), { 'etc/client.keys': 'mine' });
});

test('a merged blob of an extra-valid item is taken apart into its folder', async (t) => {
  const { catalogue } = parseClusterJson({ files: { 'etc/lists/': { extra_valid: true } } });
  const home = makeHome(t);
  const worker = workerOn(home, { catalogue });
  const path = 'queue/cluster/w/TYPE.merged';
  const metadata = {
    [path]: { mod_time: 1, cluster_item_key: 'etc/lists/', merged: true, merge_type: 'TYPE' },
  };
  const content = Buffer.concat([
    ...encodeMerged([
      { base: 'a b', content: Buffer.from('1'), modifiedMs: 0 },
      { base: 'c', content: Buffer.alloc(0), modifiedMs: 5 },
    ]),
  ]);
  const bundlePath = saveBundle(home, rawBundle([{ name: path, content }], metadata));
  const { id, extra } = await worker.unpack({
    bundlePath,
    stagingFolder: stagingOf(home),
    origin: 'worker',
  });
  assert.deepEqual(worker.apply({ id, extra }).faults, []);
  assert.deepEqual(readTree(home), { 'etc/lists/a b': '1', 'etc/lists/c': '' });
});

test('a blob for an item that takes none, or of a strange type, is refused whole', async (t) => {
  const home = makeHome(t);
  const worker = workerOn(home);
  for (const [key, type] of [
    ['etc/lists/', 'TYPE'],
    ['bin/', 'TYPE'],
    ['etc/lists/', '../x'],
  ]) {
    const path = 'queue/cluster/w/TYPE.merged';
    const metadata = {
      missing: { [path]: { mod_time: 1, cluster_item_key: key, merged: true, merge_type: type } },
      extra: {},
      shared: {},
    };
    const bundlePath = saveBundle(
      home,
      rawBundle([{ name: path, content: `1 a ${stamp}\nx` }], metadata),
    );
    const { id, extra } = await worker.unpack({
      bundlePath,
      stagingFolder: stagingOf(home),
      origin: 'master',
    });
    assert.equal(worker.apply({ id, extra }).faults.length, 1);
  }
  assert.deepEqual(readTree(home), {});
});

test('CVE-2026-48024: malformed headers end the blob, whatever they are', () => {
  const bad = [
    'x',
    '\n',
    '1 a\n',
    `-1 a ${stamp}\nx`,
    `1e3 a ${stamp}\nx`,
    `99 a ${stamp}\nshort`,
    `1  ${stamp}\nx`,
    `9999999999999 a ${stamp}\nx`,
    '1 a never\nx',
    `${'9'.repeat(700)} a ${stamp}\n`,
  ];
  for (const text of bad) assert.throws(() => decodeMerged(Buffer.from(text)), FileRefusal, text);
});

test('CVE-2026-48024: generated headers are refused or yield plain base names', () => {
  const item = findItem(parseClusterJson({}).catalogue, 'etc/lists/');
  assert.ok(item);
  const part = fc.oneof(
    fc.constantFrom('..', '/', '\\', '.', ' ', '\n', '\0', 'a', stamp, '1', '3'),
    fc.string(),
  );
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 12 }).map((parts) => parts.join('')),
      (text) => {
        try {
          for (const { base } of decodeMerged(Buffer.from(text)).files) {
            assert.match(mergedTarget(item, base), /^etc\/lists\/[^/\\.\n][^/\\\n]*$/);
          }
        } catch (error) {
          assert.ok(error instanceof FileRefusal, String(error));
        }
      },
    ),
    { numRuns: 20_000, seed: 4 },
  );
});

test('a merge type is a plain word', () => {
  assert.equal(checkMergeType('agent-groups'), 'agent-groups');
  for (const type of ['', '.', '..', '.x', 'a/b', 'a\\b', '/x', 'x y', 'x'.repeat(65)]) {
    assert.throws(() => checkMergeType(type), { name: 'FileRefusal' });
  }
});
