/** Key drills: what is stolen or lost, what the operator types, what a sidecar then believes. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { sha256Tag } from '../../src/bytes.ts';
import { buildPublisherLink } from '../../src/host/https-source.ts';
import { sourceFiles } from '../../src/host/sidecar-files.ts';
import { systemClock, systemRandom } from '../../src/host/system-clock.ts';
import { parseEnvelope } from '../../src/list/envelope.ts';
import { parseList, renderList } from '../../src/list/parse-list.ts';
import { parseSigningKey, type SigningKey, signDocument } from '../../src/list/sign.ts';
import { type Memory, newMemory } from '../../src/sidecar/memory.ts';
import { PublisherBook } from '../../src/sidecar/publisher-book.ts';
import { rememberNews } from '../../src/sidecar/remember.ts';
import { pollSources } from '../../src/sidecar/source.ts';
import { readTrust } from '../../src/sidecar/trust.ts';
import { initPublisherDirectory, runPublisher, TestPublisher } from '../cli/publisher-fixture.ts';
import { scratchDirectory } from './fixture.ts';

/** A sidecar's own verification and memory; nothing else of it. */
class Sidecar {
  memory: Memory;
  readonly filePath: string;

  constructor(t: TestContext, memory: Memory) {
    this.memory = memory;
    this.filePath = join(scratchDirectory(t), 'list');
  }

  static async join(t: TestContext, publisher: TestPublisher): Promise<Sidecar> {
    const { token } = await publisher.json('token');
    const root = readFileSync(join(publisher.directory, 'roots/1.json'));
    const pin = sha256Tag(parseEnvelope(root).payloadBytes);
    return new Sidecar(t, newMemory(token, { envelope: root, pin }, 0));
  }

  /** One poll; the codes of what was refused. */
  async poll(): Promise<readonly string[]> {
    const nowMs = systemClock.nowMs();
    const news = await pollSources(
      {
        clock: systemClock,
        random: systemRandom,
        link: buildPublisherLink(systemClock),
        files: sourceFiles,
        filePaths: [this.filePath],
        book: new PublisherBook(),
      },
      this.memory,
      await readTrust(this.memory, nowMs, undefined),
      { waitMs: 0 },
    );
    this.memory = rememberNews(this.memory, news, '001', nowMs);
    return news.faults.map(({ error }) => error.code);
  }

  version(): string {
    const { epoch = 0, version = 0 } = this.memory.list?.position ?? {};
    return `${epoch}/${version}`;
  }

  /** Somebody hands it a signed file. */
  deliver(envelope: Uint8Array): void {
    writeFileSync(this.filePath, envelope);
  }
}

function listKeyOf(publisher: TestPublisher): SigningKey {
  const path = join(publisher.directory, 'list-key.jwk');
  return parseSigningKey(JSON.parse(readFileSync(path, 'utf8')));
}

/** What a thief of the list key can make of the list he sees. */
async function forgedList(publisher: TestPublisher, key: SigningKey, ahead: number) {
  const { body } = await publisher.get('/v1/list');
  const list = parseList(parseEnvelope(body).payloadBytes);
  return signDocument('list', renderList({ ...list, version: list.version + ahead }), [key]);
}

function keys(publisher: TestPublisher, ...words: readonly string[]) {
  return runPublisher(['keys', ...words, '--dir', publisher.directory]);
}

function rotate(publisher: TestPublisher) {
  return runPublisher(['root', 'renew', '--new-list-key', '--dir', publisher.directory]);
}

/** The same directory served by a new process. */
async function restarted(t: TestContext, publisher: TestPublisher): Promise<TestPublisher> {
  await publisher.stop();
  const next = new TestPublisher(publisher.directory, publisher.port, []);
  t.after(() => next.stop());
  await next.start();
  return next;
}

test('a stolen list key is revoked: what it signed before may have counted, what it signs now does not', async (t) => {
  const publisher = await initPublisherDirectory(t);
  await publisher.start();
  const sidecar = await Sidecar.join(t, publisher);
  await sidecar.poll();
  const stolen = listKeyOf(publisher);
  const forged = await forgedList(publisher, stolen, 5);
  await publisher.stop();
  const { exit, err } = await rotate(publisher);
  assert.equal(exit, 0, err);
  const after = await restarted(t, publisher);
  await sidecar.poll();
  assert.equal(sidecar.version(), '1/2', 'the list of the new key, under the new root');
  await after.stop();
  sidecar.deliver(forged);
  assert.ok((await sidecar.poll()).includes('E205'));
  assert.equal(sidecar.version(), '1/2');
});

test('a version far ahead, signed with a stolen key, is undone by a new epoch', async (t) => {
  const publisher = await initPublisherDirectory(t);
  await publisher.start();
  const sidecar = await Sidecar.join(t, publisher);
  await sidecar.poll();
  const stolen = listKeyOf(publisher);
  const far = await forgedList(publisher, stolen, 900_000);
  await publisher.stop();
  sidecar.deliver(far);
  await sidecar.poll();
  assert.equal(sidecar.version(), '1/900001', 'the thief is believed until he is revoked');
  rmSync(sidecar.filePath);
  await rotate(publisher);
  const still = await restarted(t, publisher);
  assert.ok((await sidecar.poll()).includes('E404'), 'a revoked key alone does not bring it back');
  assert.equal((await keys(still, 'raise-epoch')).exit, 0);
  const back = await restarted(t, still);
  await sidecar.poll();
  assert.match(sidecar.version(), /^2\/\d$/);
  await back.stop();
  sidecar.deliver(far);
  await sidecar.poll();
  assert.match(sidecar.version(), /^2\/\d$/);
});

test('one of three root keys is lost: the other two replace it, and it never counts again', async (t) => {
  const publisher = await initPublisherDirectory(t);
  const ceremony = join(scratchDirectory(t), 'p');
  const flags = publisher.initFlags.map((word) => (word === publisher.directory ? ceremony : word));
  await runPublisher([...flags, '--root-keys', '3', '--threshold', '2']);
  const three = new TestPublisher(ceremony, publisher.port, []);
  three.edit('level: info', 'level: silent');
  t.after(() => three.stop());
  await three.start();
  const sidecar = await Sidecar.join(t, three);
  await sidecar.poll();
  const lostPath = join(ceremony, 'root-keys/root-1.jwk');
  const lost = parseSigningKey(JSON.parse(readFileSync(lostPath, 'utf8')));
  rmSync(lostPath);
  const { exit, out } = await keys(three, 'replace-root', lost.kid);
  assert.equal(exit, 0);
  assert.match(out, new RegExp(`- ${lost.kid}`));
  await sidecar.poll();
  const trust = await readTrust(sidecar.memory, systemClock.nowMs(), undefined);
  assert.equal(trust.newest.root.version, 2);
  assert.equal(trust.newest.root.roles.root.kids.includes(lost.kid), false);
  assert.equal(trust.newest.root.roles.root.kids.length, 3);
  const names = readdirSync(join(ceremony, 'root-keys'));
  for (const name of names.slice(1)) rmSync(join(ceremony, 'root-keys', name));
  const alone = await keys(three, 'raise-epoch');
  assert.deepEqual([alone.exit, /needed: 2/.test(alone.err)], [2, true]);
});

test('taking most managers away needs the rescue keys, of two people where the root says two', async (t) => {
  const publisher = await initPublisherDirectory(t);
  const ceremony = join(scratchDirectory(t), 'p');
  const flags = publisher.initFlags.map((word) => (word === publisher.directory ? ceremony : word));
  await runPublisher([...flags, '--root-keys', '3', '--threshold', '2']);
  const three = new TestPublisher(ceremony, publisher.port, []);
  await three.run('publish');
  three.edit(/ {2}- id: 10-0-0-2\n(?: {4}.*\n)+ {2}- id: 10-0-0-3\n(?: {4}.*\n)+/, '');
  const alone = await three.run('publish');
  assert.deepEqual([alone.exit, /E409/.test(alone.err)], [4, true]);
  const key = (index: number) => join(ceremony, `root-keys/root-${index}.jwk`);
  const one = await three.run('publish', '--rescue-key', key(1));
  assert.deepEqual([one.exit, /E409/.test(one.err)], [4, true]);
  const two = await three.run('publish', '--rescue-key', key(1), key(2));
  assert.equal(two.exit, 0, two.err);
});

test('all publishers are lost: root keys and a copy of the roots bring the fleet to a new one', async (t) => {
  const publisher = await initPublisherDirectory(t);
  await publisher.start();
  const sidecar = await Sidecar.join(t, publisher);
  await sidecar.poll();
  await publisher.stop();
  const fresh = join(scratchDirectory(t), 'p');
  mkdirSync(join(fresh, 'roots'), { recursive: true });
  copyFileSync(join(publisher.directory, 'roots/1.json'), join(fresh, 'roots/1.json')); // public bytes
  const rootKey = join(publisher.directory, 'root-keys/root-1.jwk');
  const url = `https://127.0.0.1:${publisher.port}`;
  const named = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].flatMap((one) => ['--manager', one]);
  const words = ['--url', url, ...named, '--root-key', rootKey];
  const { exit, err } = await runPublisher(['keys', 'recover', '--dir', fresh, ...words]);
  assert.equal(exit, 0, err);
  const next = new TestPublisher(fresh, publisher.port, []);
  next.edit('level: info', 'level: silent');
  t.after(() => next.stop());
  await next.start();
  const { body } = await next.get('/v1/list');
  // The old pins do not know the new publisher: the first files travel by hand or by the managers.
  assert.ok((await sidecar.poll()).includes('E104'));
  mkdirSync(join(sidecar.filePath, '..', 'root'));
  copyFileSync(join(fresh, 'roots/2.json'), join(sidecar.filePath, '..', 'root/2'));
  sidecar.deliver(body);
  const refused = await sidecar.poll();
  assert.equal(sidecar.version(), '2/1', refused.join());
  rmSync(sidecar.filePath);
  const later = await sidecar.poll();
  const failed = later.filter((code) => code.startsWith('E1'));
  assert.deepEqual(failed, [], 'from now on it asks the new publisher');
});
