/** cluster.json and the size of bundles: rules as data. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mayHold } from '../../../src/cluster/files/catalogue.ts';
import { parseClusterJson } from '../../../src/cluster/files/cluster-json.ts';
import { parseName } from '../../../src/cluster/files/name.ts';
import { adaptZipLimit, zipLimitText } from '../../../src/cluster/files/zip-limit.ts';

const { catalogue, communication } = parseClusterJson({});
const mebibyte = 1024 * 1024;

test('the stock item kinds have the stock permissions and rules', () => {
  const table = catalogue.items.map((item) => [
    item.key,
    item.permissions.toString(8),
    item.files,
    item.recursive,
    item.removeEmptyFolders,
    item.restart,
    item.extraValid,
  ]);
  assert.deepEqual(table, [
    ['etc/', '640', ['client.keys'], false, false, false, false],
    ['etc/shared/', '660', 'all', true, true, false, false],
    ['var/multigroups/', '660', ['merged.mg'], true, true, false, false],
    ['etc/rules/', '660', 'all', true, false, true, false],
    ['etc/decoders/', '660', 'all', true, false, true, false],
    ['etc/lists/', '660', 'all', true, false, true, false],
  ]);
  assert.equal(communication.maxZipBytes, 2 ** 30);
});

test('overrides are laid over the defaults, member by member; null takes an item away', () => {
  const changed = parseClusterJson({
    files: {
      'etc/rules/': { permissions: '0o640' },
      'etc/lists/': null,
      excluded_extensions: ['.bak'],
    },
    intervals: { communication: { compress_level: 6 }, master: { recalculate_integrity: 2.5 } },
    distributed_api: { enabled: false },
  });
  assert.equal(changed.catalogue.items.find(({ key }) => key === 'etc/rules/')?.permissions, 0o640);
  assert.equal(changed.catalogue.items.length, 5);
  assert.deepEqual(changed.catalogue.excludedEndings, ['.bak']);
  assert.deepEqual(
    [
      changed.communication.compressLevel,
      changed.intervals.master.recalculate_integrity,
      changed.distributedApi,
    ],
    [6, 2.5, false],
  );
});

test('an override that is wrong or dangerous says which member', () => {
  const item = {
    permissions: '0o660',
    source: 'master',
    files: ['all'],
    recursive: true,
    restart: false,
    remove_subdirs_if_empty: false,
    extra_valid: false,
    description: '',
  };
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [{ files: { 'etc/rules/': { permissions: '660' } } }, /files\.etc\/rules\/\.permissions/],
    [{ files: { 'etc/rules/': { permissions: '0o777' } } }, /neither executable/],
    [{ files: { 'etc/rules/': { unknown: 1 } } }, /files\.etc\/rules\//],
    [{ files: { 'etc/new/': { permissions: '0o660' } } }, /files\.etc\/new\//],
    [{ files: { 'etc/': { files: ['all'] } } }, /one by one/],
    [{ files: { 'active-response/bin/': item } }, /no peer may write/],
    [{ files: { 'queue/cluster/': item } }, /no peer may write/],
    [{ files: { '../x/': item } }, /relative folder/],
    [{ files: { 'etc/x': item } }, /slash/],
    [{ files: { 'etc/x/': { ...item, files: ['a/b'] } } }, /is no file name/],
    [{ intervals: { communication: { compress_level: 10 } } }, /compress_level/],
    [{ intervals: { communication: { min_zip_size: 2 ** 31 } } }, /min_zip_size/],
    [{ intervals: { worker: { keep_alive: 0 } } }, /keep_alive/],
    [[], /cluster\.json/],
  ];
  for (const [overrides, message] of cases) {
    assert.throws(() => parseClusterJson(overrides), {
      name: 'ConfigError',
      reason: 'config_invalid',
      message,
    });
  }
});

test('no catalogue can make ossec.conf a synchronised file', () => {
  const risky = parseClusterJson({
    files: { 'etc/': { files: ['ossec.conf'] }, excluded_files: [] },
  });
  const item = risky.catalogue.items[0];
  assert.ok(item);
  assert.equal(mayHold(risky.catalogue, item, parseName('etc/ossec.conf')), false);
});

test('the size of bundles shrinks after a cancelled one and grows after a quick whole one', () => {
  const limit = (start: number, trip: Parameters<typeof adaptZipLimit>[1]): number =>
    adaptZipLimit(start, trip, communication).limitBytes;
  const quick = { isInterrupted: false, sentBytes: 5, sendingMs: 1000 };
  assert.equal(
    limit(2 ** 30, { isInterrupted: true, sentBytes: 100 * mebibyte, sendingMs: undefined }),
    80 * mebibyte,
  );
  assert.equal(
    limit(2 ** 30, { isInterrupted: true, sentBytes: 5, sendingMs: undefined }),
    30 * mebibyte,
  );
  assert.equal(limit(40 * mebibyte, quick), 50 * mebibyte);
  assert.equal(limit(1000 * mebibyte, quick), 2 ** 30);
  assert.equal(limit(2 ** 30, quick), 2 ** 30);
  assert.equal(limit(40 * mebibyte, { ...quick, sendingMs: 96_000 }), 40 * mebibyte);
  assert.equal(
    limit(40 * mebibyte, { ...quick, sendingMs: undefined }),
    40 * mebibyte,
    'never after a failure',
  );
  assert.equal(
    zipLimitText({ limitBytes: 80 * mebibyte, change: 'decreased' }),
    'Decreasing sync size limit to 80.00 MB.',
  );
  assert.equal(zipLimitText({ limitBytes: 1, change: 'same' }), undefined);
});
