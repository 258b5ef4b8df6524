/** etcd that is full, hangs or lets us only read: told by code, and lists are served all along. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { eventually } from '../fakes/processes.ts';
import { makeCertificates } from '../leader/etcd-certificates.ts';
import { type EtcdOptions, EtcdServers, missingEtcd } from '../leader/etcd-fixture.ts';
import { initPublisherDirectory, type TestPublisher } from './publisher-fixture.ts';

const skip = missingEtcd() ?? false;
const waitMs = 60_000;

async function startPublisher(t: TestContext, etcd: object): Promise<TestPublisher> {
  const publisher = await initPublisherDirectory(t);
  const leader = `leader: { engine: etcd, name: wm1, ttl: 3s, etcd: ${JSON.stringify(etcd)} }`;
  publisher.edit('managers:', `${leader}\nmanagers:`);
  return publisher;
}

async function startEtcd(t: TestContext, options: EtcdOptions = {}): Promise<EtcdServers> {
  const servers = new EtcdServers();
  t.after(() => servers.stop());
  return servers.start(1, options);
}

const leads = async (publisher: TestPublisher): Promise<boolean> =>
  (await publisher.json('status')).running?.leader?.leads === true;

async function assertServed(publisher: TestPublisher): Promise<void> {
  assert.equal((await publisher.get('/v1/list')).status, 200);
}

async function toldBy(publisher: TestPublisher, pattern: RegExp): Promise<void> {
  const isTold = async (): Promise<boolean> => pattern.test((await publisher.run('status')).out);
  await eventually(`status tells ${pattern}`, isTold, waitMs);
}

test('full: an order is refused by its code, doctor says what to do, lists are served', {
  skip,
}, async (t) => {
  const servers = await startEtcd(t, { args: ['--quota-backend-bytes', '1000000'] });
  const publisher = await startPublisher(t, { endpoints: servers.urls });
  await publisher.start();
  await eventually('it leads', () => leads(publisher), waitMs);
  const big = { key: Buffer.from('big').toString('base64'), value: 'A'.repeat(400_000) };
  await eventually('its space is used up', async () => {
    await servers
      .client()
      .call('kv/put', big)
      .catch(() => undefined);
    for (const order of ['drain', 'undrain']) {
      const { exit, err } = await publisher.run(order, '10-0-0-1');
      if (exit === 0) continue;
      assert.match(err, /E053 leader_full/);
      return true;
    }
    return false;
  });
  await assertServed(publisher);
  const { findings } = await publisher.json('doctor');
  const full = findings.find(({ text }: { text: string }) => /NOSPACE/.test(text));
  assert.match(full?.fix ?? '', /alarm disarm/);
});

test('it hangs, as a disk or a network does: nobody leads meanwhile, lists are served, then it goes on', {
  skip,
}, async (t) => {
  const servers = await startEtcd(t);
  const publisher = await startPublisher(t, { endpoints: servers.urls });
  await publisher.start();
  await eventually('it leads', () => leads(publisher), waitMs);
  servers.members[0]?.process.stop();
  await eventually('it stands up', async () => !(await leads(publisher)), waitMs);
  await assertServed(publisher);
  assert.match((await publisher.run('drain', '10-0-0-1')).err, /E051 leader_unreachable/);
  await toldBy(publisher, /leader\.store: E051/);
  await assertServed(publisher);
  servers.members[0]?.process.cont();
  await eventually('it leads again', () => leads(publisher), waitMs);
  await eventually(
    'orders are done again',
    async () => (await publisher.run('drain', '10-0-0-1')).exit === 0,
    waitMs,
  );
});

test('it lets us only read: told as refused, and the list that is here is served', {
  skip,
}, async (t) => {
  const servers = new EtcdServers();
  t.after(() => servers.stop());
  const { serverArgs, client } = makeCertificates(servers.folder);
  await servers.start(1, { tls: { ...client, serverArgs } });
  const admin = servers.client({ door: servers.door(client) });
  const encode = (text: string): string => Buffer.from(text).toString('base64');
  const range = { key: encode('/pilotfish/acme/'), range_end: encode('/pilotfish/acme0') };
  for (const name of ['root', 'reader']) {
    await admin.call('auth/user/add', { name, password: 'secret' });
    await admin.call('auth/role/add', { name });
    await admin.call('auth/user/grant', { user: name, role: name });
  }
  await admin.call('auth/role/grant', { name: 'reader', perm: { permType: 'READ', ...range } });
  await admin.call('auth/enable', {});
  const at = (name: string): string => join(servers.folder, name);
  writeFileSync(at('password'), 'secret', { mode: 0o600 });
  const publisher = await startPublisher(t, {
    ...{ endpoints: servers.urls, ca: at('ca.crt'), cert: at('client.crt') },
    ...{ key: at('client.key'), user: 'reader', passwordFile: at('password') },
  });
  publisher.edit('engine: etcd', 'engine: file');
  assert.equal((await publisher.run('publish')).exit, 0);
  publisher.edit('engine: file', 'engine: etcd');
  await publisher.start();
  await toldBy(publisher, /leader\.store: E052 leader_refused: .*permission denied/);
  await assertServed(publisher);
  assert.equal(await leads(publisher), false);
});
