/** Bundles made to hurt: bombs, cut-off streams, ambiguous ends. Each refusal names the member. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import type { UnpackLimits } from '../../../src/cluster/files/member-count.ts';
import { FileRefusal } from '../../../src/cluster/files/refusal.ts';
import { makeHome, readTree, saveBundle, stagingOf, workerOn } from './homes.ts';
import { rawBundle, readBundle } from './raw-bundle.ts';

const name = 'etc/shared/a/x';

async function refusalOf(
  bundle: Uint8Array,
  limits: Partial<UnpackLimits> = {},
): Promise<FileRefusal> {
  const error = await readBundle(bundle, limits).then(
    () => assert.fail('the bundle was taken'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof FileRefusal, String(error));
  return error;
}

test('PR-37119: one member that inflates too far is stopped on the way', async () => {
  const zeros = (mebibytes: number): Buffer =>
    rawBundle([{ name, stream: deflateSync(Buffer.alloc(mebibytes * 1024 * 1024), { level: 9 }) }]);
  const bomb = zeros(80);
  assert.ok(bomb.length < 100_000);
  const { members } = await readBundle(zeros(20));
  assert.equal(members.get(name)?.length, 20 * 1024 * 1024, 'an honest file may be all zeros');
  const byRatio = await refusalOf(bomb);
  assert.match(byRatio.message, /"etc\/shared\/a\/x" inflates more than 200 times/);
  const bySize = await refusalOf(bomb, { ratio: 5000, memberBytes: 1_000_000 });
  assert.equal(bySize.fault.code, 3053);
});

test('PR-37119-aggregate: many small members together are stopped at the aggregate', async () => {
  const members = Array.from({ length: 10_000 }, (_, index) => ({
    name: `etc/lists/${index}`,
    content: 'x'.repeat(1000),
  }));
  const refusal = await refusalOf(rawBundle(members), { totalBytes: 5_000_000 });
  assert.match(refusal.message, /"etc\/lists\/5000" is larger than allowed/);
  const counted = await refusalOf(rawBundle(members), { members: 100 });
  assert.match(counted.message, /more than 100 members/);
});

test('PR-37119: the metadata itself is bounded', async () => {
  const refusal = await refusalOf(rawBundle([], ' '.repeat(2_000_000)), {
    metadataBytes: 1_000_000,
  });
  assert.equal(refusal.fault.code, 3053);
});

test('PR-37119-nested: a nested bundle is content, not a bundle', async () => {
  const inner = rawBundle([{ name: '../evil', content: 'x' }]);
  const { members } = await readBundle(rawBundle([{ name, content: inner }]));
  assert.deepEqual([...members.keys()], [name]);
  assert.deepEqual(members.get(name), inner);
});

test('PR-37119-truncated: a bundle cut off at any byte is refused', async () => {
  const bundle = rawBundle([
    { name, content: 'some content' },
    { name: `${name}2`, content: randomBytes(300) },
  ]);
  for (let end = 0; end < bundle.length; end++) await refusalOf(bundle.subarray(0, end));
  assert.equal((await readBundle(bundle)).members.size, 2);
});

test('PR-37119-trailing: bytes behind a stream, or behind the last member, are refused', async () => {
  const stream = Buffer.concat([deflateSync('content'), Buffer.from('garbage')]);
  assert.match(
    (await refusalOf(rawBundle([{ name, stream }]))).message,
    /bytes follow the content of "etc/,
  );
  const large = Buffer.concat([deflateSync(randomBytes(400_000)), Buffer.from('garbage')]);
  assert.match((await refusalOf(rawBundle([{ name, stream: large }]))).message, /bytes follow/);
  const whole = rawBundle([{ name, content: 'x' }]);
  for (const tail of ['x', '|@@//@@|', '|@@//@@|y|//@@//|']) {
    await refusalOf(Buffer.concat([whole, Buffer.from(tail)]));
  }
});

test('a member that does not inflate is named, small or large', async () => {
  for (const size of [100, 500_000]) {
    const stream = deflateSync(randomBytes(size));
    stream[stream.length - 1] = (stream.at(-1) ?? 0) ^ 1;
    const refusal = await refusalOf(rawBundle([{ name, stream }]));
    assert.match(refusal.message, /^the member "etc\/shared\/a\/x" does not inflate: /);
  }
});

test('a bundle without metadata, twice with it, or with one name twice is refused', async () => {
  const member = Buffer.concat([Buffer.from(`${name}|//@@//|`), deflateSync('x')]);
  await refusalOf(member);
  await refusalOf(Buffer.concat([member, Buffer.from('|@@//@@|')]));
  await refusalOf(rawBundle([{ name: 'files_metadata.json', content: '{}' }]));
  const twice = await refusalOf(
    rawBundle([
      { name, content: '1' },
      { name, content: '2' },
    ]),
  );
  assert.match(twice.message, /two members are called/);
});

test('random bytes and mutated bundles are refused or read, never anything else', async () => {
  const good = rawBundle([
    { name, content: 'content '.repeat(50) },
    { name: `${name}y`, content: randomBytes(200) },
  ]);
  for (let turn = 0; turn < 1500; turn++) {
    const bundle = Buffer.from(good);
    const at = (turn * 7919) % bundle.length;
    bundle[at] = (bundle[at] ?? 0) ^ (1 << (turn % 8));
    await readBundle(bundle).catch((error: unknown) => assert.ok(error instanceof FileRefusal));
    await refusalOf(randomBytes((turn % 300) + 1));
  }
});

test('metadata that is not three groups of entries places and removes nothing', async (t) => {
  const before = { 'etc/shared/a/agent.conf': 'a' };
  const home = makeHome(t, before);
  const worker = workerOn(home);
  const entry = {
    mod_time: 1,
    cluster_item_key: 'etc/shared/',
    merged: false,
    hash: 'ab'.repeat(64),
  };
  const bad = [
    'not json',
    '[]',
    '""',
    'null',
    '{}',
    '{"missing": {}}',
    '{"missing": [], "extra": {}, "shared": {}}',
    '['.repeat(100_000),
    { missing: { [name]: { ...entry, __class__: 'x' } }, extra: {}, shared: {} },
    { missing: { [name]: { __callable__: 'os.system' } }, extra: {}, shared: {} },
  ];
  for (const metadata of bad) {
    const path = saveBundle(home, rawBundle([{ name, content: 'x' }], metadata));
    const ask = { bundlePath: path, stagingFolder: stagingOf(home), origin: 'master' } as const;
    await assert.rejects(worker.unpack(ask), { name: 'FileRefusal' });
  }
  const odd = {
    '': entry,
    [name]: 1,
    'etc/shared/b': { ...entry, hash: 'short' },
    'etc/shared/c': { ...entry, cluster_item_key: 7 },
  };
  const path = saveBundle(
    home,
    rawBundle([{ name, content: 'x' }], { missing: odd, extra: odd, shared: odd }),
  );
  const unpacked = await worker.unpack({
    bundlePath: path,
    stagingFolder: stagingOf(home),
    origin: 'master',
  });
  assert.equal(unpacked.missingFiles + unpacked.extra.size, 0);
  assert.equal(unpacked.problems.length, 12);
  worker.apply({ id: unpacked.id, extra: unpacked.extra });
  assert.deepEqual(readTree(home), before);
});

test('a refused bundle leaves nothing behind in the staging folder', async (t) => {
  const home = makeHome(t);
  const worker = workerOn(home);
  const members = [
    { name, content: 'fine' },
    { name: '../x', content: 'evil' },
  ];
  const path = saveBundle(home, rawBundle(members));
  const ask = { bundlePath: path, stagingFolder: stagingOf(home), origin: 'master' } as const;
  await assert.rejects(worker.unpack(ask), { name: 'FileRefusal' });
  assert.deepEqual(readdirSync(stagingOf(home)), []);
});
