/** Names that must never have an effect, through every door a name can come in. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { findItem, itemOf, locate } from '../../../src/cluster/files/catalogue.ts';
import { parseClusterJson } from '../../../src/cluster/files/cluster-json.ts';
import { decodeName, isFileName, parseName } from '../../../src/cluster/files/name.ts';
import { FileRefusal } from '../../../src/cluster/files/refusal.ts';
import { makeHome, readTree, saveBundle, stagingOf, workerOn } from './homes.ts';
import { type RawMember, rawBundle } from './raw-bundle.ts';

const names = JSON.parse(
  readFileSync(new URL('../../cases/cluster/hostile-names.json', import.meta.url), 'utf8'),
) as readonly string[];
const { catalogue } = parseClusterJson({});
const hash = 'ab'.repeat(64);
const before = {
  'etc/client.keys': 'keys',
  'etc/ossec.conf': 'mine',
  'etc/shared/a/agent.conf': 'a',
};

/** Names without a terminator at the end of a path cannot be told from others in a bundle. */
const keys = catalogue.items.map((item) => item.key);

test('the corpus of hostile names is not small', () => {
  assert.ok(names.length >= 250);
  assert.equal(new Set(names).size, names.length);
});

test('CVE-2026-30893-bundle: no member name of the corpus reaches the disk', async (t) => {
  const home = makeHome(t, before);
  const worker = workerOn(home);
  for (const name of names) {
    const metadata = { missing: { [name]: entry('etc/shared/') }, extra: {}, shared: {} };
    await tryBundle(worker, home, [{ name, content: 'evil' }], metadata);
  }
  assert.deepEqual(readTree(home), before);
  assert.deepEqual(readdirSync(home).sort(), ['etc', 'queue']);
});

test('CVE-2026-49441: a metadata key is judged like a member name, in every branch', async (t) => {
  const home = makeHome(t, before);
  const worker = workerOn(home);
  for (const key of keys) {
    const group = Object.fromEntries(names.map((name) => [name, entry(key)]));
    const merged = Object.fromEntries(names.map((name) => [name, { ...entry(key), merged: true }]));
    for (const metadata of [
      { missing: group, extra: {}, shared: {} },
      { missing: {}, extra: {}, shared: group },
      { missing: merged, extra: {}, shared: merged },
    ]) {
      await tryBundle(worker, home, [{ name: 'etc/shared/fine', content: 'x' }], metadata);
    }
  }
  assert.deepEqual(readTree(home), before);
});

test('CVE-2026-61800: a hostile master cannot delete outside the item kinds', async (t) => {
  const home = makeHome(t, before);
  const worker = workerOn(home);
  for (const key of [...keys, '', '/', '../', 'etc', 'etc/../', 'bin/', 'queue/']) {
    const extra = Object.fromEntries(
      names.filter((name) => name !== '__proto__').map((name) => [name, entry(key)]),
    );
    await tryBundle(worker, home, [], { missing: {}, extra, shared: {} });
  }
  assert.deepEqual(readTree(home), before);
});

test('CVE-2026-25770: no item kind takes a configuration or a program', () => {
  const dangerous = names.filter((name) =>
    /ossec\.conf|^(?:active|wodles|framework|bin)/i.test(name),
  );
  assert.ok(dangerous.length > 10);
  for (const name of dangerous.filter(isFileName)) {
    assert.equal(itemOf(catalogue, name), undefined, name);
    for (const key of keys) assert.throws(() => locate(catalogue, name, key), FileRefusal);
  }
});

test('CVE-2026-74040-files: a client.keys by another spelling is not client.keys', () => {
  const spellings = [
    'etc/client.keys/',
    'etc//client.keys',
    'etc/./client.keys',
    'etc/CLIENT.KEYS',
  ];
  for (const name of spellings) {
    const isTaken = isFileName(name) && itemOf(catalogue, name) !== undefined;
    assert.equal(isTaken, false, name);
  }
  assert.equal(itemOf(catalogue, parseName('etc/client.keys'))?.key, 'etc/');
});

test('a name of bytes that are not UTF-8 is refused', () => {
  for (const bytes of [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0x61, 0xfe]]) {
    assert.throws(() => decodeName(Uint8Array.from(bytes)), { name: 'FileRefusal' });
  }
});

test('names that stock synchronises are taken: spaces, quotes, newlines, hidden, backslash', () => {
  for (const base of [
    'a b',
    "it's",
    'new\nline',
    '.hidden',
    'back\\slash',
    'ü€',
    '…',
    'x.merged',
  ]) {
    assert.equal(itemOf(catalogue, parseName(`etc/shared/g/${base}`))?.key, 'etc/shared/');
  }
});

test('what is shown of a hostile name is one short line', () => {
  for (const name of names) {
    const thrown = errorOf(() => parseName(name));
    assert.doesNotMatch(thrown, /\p{Cc}|\u202e/u);
    assert.ok(thrown.length < 1000);
  }
});

test('whatever is taken lies in the folder of its item, segment by segment', () => {
  const segment = fc.oneof(fc.constantFrom('..', '.', '', 'etc', 'shared', 'a'), fc.string());
  const path = fc.array(segment, { minLength: 1, maxLength: 6 }).map((parts) => parts.join('/'));
  fc.assert(
    fc.property(path, fc.constantFrom(...keys), (text, key) => {
      if (!isFileName(text)) return;
      const item = itemOf(catalogue, text);
      assert.ok(item === undefined || text.startsWith(item.key));
      assert.ok(!text.split('/').some((part) => part === '..' || part === '.' || part === ''));
      assert.ok(findItem(catalogue, key) !== undefined);
    }),
    { numRuns: 2000, seed: 5 },
  );
});

function entry(key: string): Record<string, unknown> {
  return { mod_time: 1.5, cluster_item_key: key, merged: false, merge_type: 'TYPE', hash };
}

function errorOf(task: () => unknown): string {
  try {
    task();
    return '';
  } catch (error) {
    return String(error);
  }
}

/** A refusal at either step is fine; what counts is the disk afterwards. */
async function tryBundle(
  worker: ReturnType<typeof workerOn>,
  home: string,
  members: readonly RawMember[],
  metadata: unknown,
): Promise<void> {
  const path = saveBundle(home, rawBundle(members, metadata));
  try {
    const origin = 'master';
    const { id, extra } = await worker.unpack({
      bundlePath: path,
      stagingFolder: join(stagingOf(home)),
      origin,
    });
    worker.apply({ id, extra });
  } catch (error) {
    assert.ok(error instanceof FileRefusal, String(error));
  }
}
