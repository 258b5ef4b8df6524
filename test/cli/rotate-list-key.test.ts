import assert from 'node:assert/strict';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseEnvelope } from '../../src/list/envelope.ts';
import { verifyNextRoot, verifyPinnedRoot } from '../../src/list/root.ts';
import { parseToken } from '../../src/list/token.ts';
import { verifyList } from '../../src/list/verify.ts';
import { initPublisherDirectory, runPublisher } from './publisher-fixture.ts';

test('a new list key: the next root trusts it alone, and the list is signed with it at once', async (t) => {
  const publisher = await initPublisherDirectory(t);
  const token = parseToken((await publisher.run('token')).out.trim());
  await publisher.start();
  const old = (await publisher.get('/v1/list')).body;
  const renew = ['root', 'renew', '--new-list-key', '--dir', publisher.directory];
  const running = await runPublisher(renew);
  assert.equal(running.exit, 1);
  assert.match(running.err, /E030/);
  await publisher.stop();
  const before = readFileSync(join(publisher.directory, 'list-key.jwk'), 'utf8');
  const renewed = await runPublisher(renew);
  assert.equal(renewed.exit, 0, renewed.err);
  assert.notEqual(readFileSync(join(publisher.directory, 'list-key.jwk'), 'utf8'), before);

  const published = await publisher.json('publish');
  assert.equal(published.outcome, 'published');
  const rootFile = (version: number) =>
    readFileSync(join(publisher.directory, `roots/${version}.json`));
  const first = await verifyPinnedRoot(rootFile(1), token);
  const { root } = await verifyNextRoot(first.root, rootFile(2));
  const proof = { root, audience: { group: 'default', site: 'default' }, nowMs: Date.now() };
  const kid = parseEnvelope(old).signatures[0]?.kid ?? '';
  assert.ok(!root.roles.list.kids.includes(kid) && !Object.hasOwn(root.keys, kid));
  await assert.rejects(verifyList({ ...proof, envelope: old }), { reason: 'unknown_key' });
});

test('a crash between the root and the key file is repaired when the directory is opened', async (t) => {
  const publisher = await initPublisherDirectory(t);
  await publisher.run('publish');
  const key = join(publisher.directory, 'list-key.jwk');
  copyFileSync(key, `${key}.kept`);
  const renewed = await runPublisher([
    'root',
    'renew',
    '--new-list-key',
    '--dir',
    publisher.directory,
  ]);
  assert.equal(renewed.exit, 0, renewed.err);
  const fresh = readFileSync(key, 'utf8');
  copyFileSync(`${key}.kept`, key); // as if the last write had not happened
  assert.equal((await publisher.json('publish')).outcome, 'published');
  assert.equal(readFileSync(key, 'utf8'), fresh);
});
