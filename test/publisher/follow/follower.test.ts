/** What a follower takes from a shared path, and what nobody can make it take. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseEnvelope } from '../../../src/list/envelope.ts';
import { signDocument, signingKeyFromSeed } from '../../../src/list/sign.ts';
import { decodeBundle, encodeBundle } from '../../../src/publisher/follow/offer.ts';
import { eventually } from '../../fakes/processes.ts';
import { rootOf, scratchDirectory } from '../fixture.ts';
import { FollowerGround, firstRoot, signRoot, signVersions, trust } from './ground.ts';

const stranger = signingKeyFromSeed(Buffer.alloc(32, 9));

test('the bytes of a shared folder are served as they are, and again after a restart', async (t) => {
  const folder = scratchDirectory(t);
  const ground = new FollowerGround(folder);
  const [first, second] = await signVersions(t, ['a', 'b'], ['a', 'b', 'c']);
  ground.put(first?.files ?? []);
  assert.equal(await ground.look(), 'taken');
  assert.equal(await ground.look(), 'nothing');
  ground.put(second?.files ?? []);
  assert.equal(await ground.look(), 'taken');
  const served = ground.service.served();
  assert.deepEqual(served?.body, ground.read('v1/list'));
  assert.deepEqual(Buffer.from(served?.flat?.text ?? []), ground.read('v1/list.txt'));
  assert.deepEqual(Buffer.from(served?.flat?.signature ?? []), ground.read('v1/list.txt.sig'));
  assert.deepEqual(Buffer.from(ground.follower.root(1) ?? []), ground.read('v1/root/1'));
  rmSync(ground.site, { recursive: true });
  const again = new FollowerGround(folder);
  await again.follower.restore();
  assert.deepEqual(again.service.served()?.body, served?.body);
  assert.deepEqual(again.service.served()?.flat, served?.flat);
  assert.equal(again.follower.facts?.source, ground.site);
});

test('an older list, another key, half a file, a huge one: what is served stays', async (t) => {
  const ground = new FollowerGround(scratchDirectory(t));
  const [first, second] = await signVersions(t, ['a', 'b'], ['a', 'b', 'c']);
  assert.ok(first && second);
  ground.put(second.files);
  await ground.look();
  const good = ground.service.served()?.body;
  const list = Buffer.from(second.entry.envelope);
  const forged = signDocument('list', parseEnvelope(list).payloadBytes, [stranger]);
  const hostile: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ['an older version', first.entry.envelope, /E404/],
    ['another key', forged, /E40|E20|E21/],
    ['half a file', list.subarray(0, list.length / 2), /E2\d\d/],
    ['nothing', new Uint8Array(), /E2\d\d/],
    ['a huge file', Buffer.alloc(80 * 1024 * 1024, 0x20), /E2\d\d|E1\d\d/],
    ['a root for a list', firstRoot, /E40\d|E2\d\d/],
  ];
  for (const [what, bytes, code] of hostile) {
    ground.put([{ name: 'v1/list', bytes }]);
    const refused = await ground.look().then(
      () => undefined,
      (error: { code: string }) => error.code,
    );
    if (what !== 'another key') assert.match(refused ?? 'taken', code, what);
    assert.deepEqual(ground.service.served()?.body, good, what);
  }
  rmSync(join(ground.site, 'v1/list'));
  execFileSync('mkfifo', [join(ground.site, 'v1/list')]);
  await assert.rejects(ground.look(), /is no list that can be read/);
  assert.deepEqual(ground.service.served()?.body, good);
});

test('a list with a key that no root names is refused on a fresh follower too', async (t) => {
  const ground = new FollowerGround(scratchDirectory(t));
  const [only] = await signVersions(t, ['a', 'b']);
  assert.ok(only);
  const { payloadBytes } = parseEnvelope(only.entry.envelope);
  ground.put(only.files);
  ground.put([{ name: 'v1/list', bytes: signDocument('list', payloadBytes, [stranger]) }]);
  await assert.rejects(ground.look(), { reason: 'unknown_key' });
  assert.equal(ground.version, 0);
});

test('a root that the token does not pin, or a chain that ends before it, is no ground', async (t) => {
  const [only] = await signVersions(t, ['a', 'b']);
  assert.ok(only);
  const other = new FollowerGround(scratchDirectory(t), { ...trust, rootHash: 'sha256:other' });
  other.put(only.files);
  await assert.rejects(other.look(), { reason: 'root_hash' });
  const later = new FollowerGround(scratchDirectory(t), { ...trust, rootVersion: 2 });
  later.put(only.files);
  await assert.rejects(later.look(), { reason: 'root_gap' });
  assert.equal(other.version + later.version, 0);
});

test('roots that follow are taken and served; one that does not follow ends there', async (t) => {
  const folder = scratchDirectory(t);
  const ground = new FollowerGround(folder);
  const [only] = await signVersions(t, ['a', 'b']);
  ground.put(only?.files ?? []);
  await ground.look();
  const second = signRoot({ ...rootOf(), version: 2 });
  ground.put([{ name: 'v1/root/2', bytes: second }]);
  await ground.look();
  assert.deepEqual(Buffer.from(ground.follower.root(2) ?? []), Buffer.from(second));
  const third = signRoot({ ...rootOf(), version: 3 }, [stranger]);
  ground.put([{ name: 'v1/root/3', bytes: third }]);
  await assert.rejects(ground.look(), { reason: 'root_threshold' });
  assert.equal(ground.follower.root(3), undefined);
  const again = new FollowerGround(folder);
  await again.follower.restore();
  assert.deepEqual(Buffer.from(again.follower.root(2) ?? []), Buffer.from(second));
});

test('a flat form of another list is refused with the list it came with', async (t) => {
  const ground = new FollowerGround(scratchDirectory(t));
  const [first, second] = await signVersions(t, ['a', 'b'], ['a', 'b', 'c']);
  ground.put(second?.files ?? []);
  ground.put((first?.files ?? []).filter(({ name }) => name.includes('list.txt')));
  await assert.rejects(ground.look(), /flat form/);
  assert.equal(ground.version, 0);
});

test('an expired list is taken from nobody, and one that is held is served on', async (t) => {
  const [first] = await signVersions(t, ['a', 'b']);
  const folder = scratchDirectory(t);
  const ground = new FollowerGround(folder);
  ground.put(first?.files ?? []);
  await ground.look();
  const again = new FollowerGround(folder);
  again.clock.atMs += 30 * 86_400_000;
  await again.follower.restore();
  assert.equal(again.version, 1);
  const fresh = new FollowerGround(scratchDirectory(t));
  fresh.clock.atMs += 30 * 86_400_000;
  fresh.put(first?.files ?? []);
  await assert.rejects(fresh.look(), { reason: 'expired_at_join' });
});

test('a damaged file of a follower is told, not served, and written over', async (t) => {
  const folder = scratchDirectory(t);
  const ground = new FollowerGround(folder);
  const [first] = await signVersions(t, ['a', 'b']);
  for (const text of ['', 'pf-followed 1 5 x\n{"bundle":1}', 'pf-followed 1 5 x\n{"bundle":']) {
    writeFileSync(join(folder, 'followed.json'), text);
    await ground.follower.restore();
    assert.deepEqual(
      ground.complaints.list().map(({ topic }) => topic),
      ['follow.file'],
    );
  }
  ground.put(first?.files ?? []);
  await ground.look();
  assert.deepEqual(ground.complaints.list(), []);
  const again = new FollowerGround(folder);
  await again.follower.restore();
  assert.equal(again.version, 1);
});

test('a slower source that is behind is no trouble; the one that brought the list going back is', async (t) => {
  const ground = new FollowerGround(scratchDirectory(t));
  const [first, second] = await signVersions(t, ['a', 'b'], ['a', 'b', 'c']);
  assert.ok(first && second);
  const offerOf = (list: Uint8Array) => ({ list, root: async (n: number) => [firstRoot][n - 1] });
  await ground.follower.offer(offerOf(second.entry.envelope), 'faster');
  ground.put(first.files);
  await ground.round();
  assert.deepEqual(ground.complaints.list(), []);
  assert.equal(ground.version, 2);
  const alone = new FollowerGround(scratchDirectory(t));
  alone.put(second.files);
  await alone.look();
  alone.put(first.files);
  await alone.round();
  assert.match(alone.complaints.list()[0]?.message ?? '', /E404/);
});

test('a source that does not answer holds up nothing of what another one brings', async (t) => {
  const ground = new FollowerGround(scratchDirectory(t));
  const [only] = await signVersions(t, ['a', 'b']);
  assert.ok(only);
  const list = only.entry.envelope;
  const answer = Promise.withResolvers<Uint8Array | undefined>();
  const hung = ground.follower.offer({ list, root: () => answer.promise }, 'hung');
  const root = async (n: number) => [firstRoot][n - 1];
  const prompt = ground.follower.offer({ list, root }, 'prompt');
  await eventually('it is served', () => ground.version === 1);
  answer.resolve(undefined);
  assert.deepEqual(await Promise.all([prompt, hung]), [true, false]);
});

test('a bundle says the same after a journey, and nothing else is one', () => {
  const bundle = { roots: [firstRoot], list: Buffer.from('list') };
  const read = decodeBundle(encodeBundle(bundle));
  assert.deepEqual([...read.roots, read.list].map(String), [firstRoot, bundle.list].map(String));
  const bad = ['', '{}', '{"bundle":2}', '[]', '{"bundle":1,"roots":[],"list":""}'];
  for (const text of bad) {
    assert.throws(() => decodeBundle(Buffer.from(text)), { reason: 'envelope_syntax' });
  }
  assert.throws(() => decodeBundle(Buffer.alloc(9 * 1024 * 1024)), { reason: 'too_big' });
});
