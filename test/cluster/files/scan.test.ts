/** The scan and what it means for deletions (cluster-protocol.md 5.2, 9.2). */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, renameSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseClusterJson } from '../../../src/cluster/files/cluster-json.ts';
import { HashCache } from '../../../src/cluster/files/hash-cache.ts';
import type { Manifest } from '../../../src/cluster/files/manifest.ts';
import { parseName } from '../../../src/cluster/files/name.ts';
import {
  hasLooked,
  isComplete,
  type Scan,
  type ScanTree,
  scanFiles,
} from '../../../src/cluster/files/walk.ts';
import { ClusterHomeReader, realHome } from '../../../src/host/cluster-files-read.ts';
import { makeHome, writeFiles } from './homes.ts';

const { catalogue } = parseClusterJson({});
const inAnHour = Date.now() + 3_600_000;

function scan(
  home: string,
  options: {
    cache?: HashCache;
    before?: Manifest;
    tree?: ScanTree;
    nowMs?: number;
    mostFiles?: number;
  } = {},
): Scan {
  const { cache = new HashCache(), before, nowMs = inAnHour, mostFiles = 1000 } = options;
  const tree = options.tree ?? new ClusterHomeReader(realHome(home));
  return scanFiles({ catalogue, tree, cache, before, nowMs, mostFiles });
}

const files = {
  'etc/client.keys': '001 a any key',
  'etc/ossec.conf': '<ossec_config/>',
  'etc/shared/default/agent.conf': '<agent_config/>',
  'etc/shared/default/ar.conf': 'excluded',
  'etc/shared/default/x.tmp': 'excluded',
  'etc/shared/default/x~': 'excluded',
  'etc/shared/x/foo.merged': 'an ordinary file',
  'etc/rules/local_rules.xml': '<group/>',
  'var/multigroups/abc/merged.mg': 'm',
  'var/multigroups/abc/other': 'not listed',
  'bin/program': 'no item',
};

test('the walk finds what stock finds, with BLAKE2b hashes and item keys', (t) => {
  const home = makeHome(t, files);
  const { manifest } = scan(home);
  assert.deepEqual(
    Object.fromEntries([...manifest].map(([name, { itemKey }]) => [name, itemKey])),
    {
      'etc/client.keys': 'etc/',
      'etc/shared/default/agent.conf': 'etc/shared/',
      'etc/shared/x/foo.merged': 'etc/shared/',
      'var/multigroups/abc/merged.mg': 'var/multigroups/',
      'etc/rules/local_rules.xml': 'etc/rules/',
    },
  );
  const entry = manifest.get(parseName('etc/client.keys'));
  assert.equal(entry?.hash, createHash('blake2b512').update('001 a any key').digest('hex'));
  assert.equal(
    Math.round((entry?.modTime ?? 0) * 1000),
    Math.round(statSync(join(home, 'etc/client.keys')).mtimeMs),
  );
});

test('merged-name: a file called *.merged is an ordinary file', (t) => {
  const { manifest } = scan(makeHome(t, files));
  assert.equal(manifest.get(parseName('etc/shared/x/foo.merged'))?.merge, undefined);
});

test('odd names and kinds: symlinks to files inside count, dangling ones and folders do not', (t) => {
  const home = makeHome(t, {
    'etc/shared/x/target': 't',
    'etc/shared/x/new\nline "q" \\': 'n',
    'etc/shared/ü/€': 'u',
  });
  symlinkSync('target', join(home, 'etc/shared/x/link'));
  symlinkSync('nowhere', join(home, 'etc/shared/x/dangling'));
  symlinkSync('.', join(home, 'etc/shared/x/loop'));
  mkdirSync(join(home, 'etc/shared/empty'));
  const found = scan(home);
  assert.deepEqual([...found.manifest.keys()].sort(), [
    'etc/shared/x/link',
    'etc/shared/x/new\nline "q" \\',
    'etc/shared/x/target',
    'etc/shared/ü/€',
  ]);
  assert.equal(isComplete(found), true);
  assert.deepEqual(
    found.problems.map(({ level }) => level),
    ['debug'],
  );
});

test('a symlink out of the home is not read, and says so', (t) => {
  const home = makeHome(t, { 'etc/shared/x/a': 'a' });
  symlinkSync('/etc/hostname', join(home, 'etc/shared/x/out'));
  const found = scan(home);
  assert.deepEqual([...found.manifest.keys()], ['etc/shared/x/a']);
  assert.deepEqual(found.blind, ['etc/shared/x/out']);
});

test('unreadable-folder: a folder that cannot be read is blind, not empty', (t) => {
  const home = makeHome(t, files);
  const tree = new BrokenTree(home, 'etc/shared/', 'EACCES');
  const found = scan(home, { tree });
  assert.equal(isComplete(found), false);
  assert.equal(hasLooked(found, 'etc/shared/default/agent.conf'), false);
  assert.equal(hasLooked(found, 'etc/rules/local_rules.xml'), true);
  assert.match(found.problems[0]?.text ?? '', /^Error getting file status: EACCES/);
});

test('unreadable-folder: a folder that fails half-way is blind too', (t) => {
  const home = makeHome(t, files);
  const found = scan(home, { tree: new BrokenTree(home, 'etc/shared/default/', 'EIO') });
  assert.deepEqual(found.blind, ['etc/shared/default/']);
  assert.equal(found.manifest.has(parseName('etc/shared/x/foo.merged')), true);
});

test('an item folder that vanished with its files is blind; one that never was is empty', (t) => {
  const home = makeHome(t, files);
  const before = scan(home);
  assert.equal(isComplete(before), true);
  renameSync(join(home, 'etc/rules'), join(home, 'rules-away'));
  assert.deepEqual(scan(home, { before: before.manifest }).blind, ['etc/rules/']);
  assert.equal(isComplete(scan(home)), true);
});

test('too many files make a scan incomplete', (t) => {
  const found = scan(makeHome(t, files), { mostFiles: 2 });
  assert.equal(found.manifest.size, 2);
  assert.equal(isComplete(found), false);
});

test('only changed files are hashed again: content, size, mtime kept, other inode', (t) => {
  const home = makeHome(t, files);
  const cache = new HashCache();
  assert.equal(scan(home, { cache }).hashedFiles, 5);
  assert.equal(scan(home, { cache }).hashedFiles, 0);
  const path = join(home, 'etc/rules/local_rules.xml');
  const { atime, mtime } = statSync(path);
  writeFileSync(path, '<GROUP/>');
  utimesSync(path, atime, mtime);
  assert.equal(scan(home, { cache }).hashedFiles, 1);
  writeFiles(home, { 'etc/rules/other': '<other/>' });
  renameSync(join(home, 'etc/rules/other'), path);
  assert.equal(scan(home, { cache }).hashedFiles, 1);
});

test('a hash taken right after a change is not trusted', (t) => {
  const home = makeHome(t, files);
  const cache = new HashCache();
  const changedMs = statSync(join(home, 'etc/client.keys')).ctimeMs;
  scan(home, { cache, nowMs: changedMs });
  assert.ok(scan(home, { cache, nowMs: changedMs }).hashedFiles >= 1);
});

test('the cache survives as JSON; anything else is an empty cache', (t) => {
  const home = makeHome(t, files);
  const cache = new HashCache();
  scan(home, { cache });
  const again = HashCache.from(JSON.parse(JSON.stringify(cache)));
  assert.equal(scan(home, { cache: again }).hashedFiles, 0);
  for (const bad of [undefined, 7, [], { '../x': ['a', 'b'] }, { a: 1 }, { a: ['s', 'no hash'] }]) {
    assert.equal(HashCache.from(bad).size, 0);
  }
});

test('a scan of a home that is not there fails as a whole', (t: TestContext) => {
  assert.throws(() => realHome(join(makeHome(t), 'gone')), { name: 'HostError' });
});

/** A disk that fails in one folder. */
class BrokenTree extends ClusterHomeReader {
  readonly #folder: string;
  readonly #code: string;

  constructor(home: string, folder: string, code: string) {
    super(realHome(home));
    this.#folder = folder;
    this.#code = code;
  }

  override list(folder: string): ReturnType<ClusterHomeReader['list']> {
    if (folder !== this.#folder) return super.list(folder);
    throw Object.assign(new Error(`${this.#code}: cannot read`), { code: this.#code });
  }
}
