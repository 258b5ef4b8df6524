/** The host of a publisher that stands by is stopped: the one that leads takes its manager out first. */
import assert from 'node:assert/strict';
import { cpSync, readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseSigningKey } from '../../../src/list/sign.ts';
import { signLeaving } from '../../../src/publisher/leaving.ts';
import { signViews } from '../../../src/publisher/roster/peer-views.ts';
import { initPublisherDirectory, TestPublisher } from '../../cli/publisher-fixture.ts';
import { eventually, freePort, ownAddress } from '../../fakes/processes.ts';
import { EtcdServers, missingEtcd } from '../../leader/etcd-fixture.ts';
import { rootKey, scratchDirectory } from '../fixture.ts';
import { PongManager } from './pong.ts';

const waitMs = 60_000;

function settings(name: string, local: string, etcd: readonly string[], port: number): string {
  return [
    ...['leader:', '  engine: etcd', `  name: ${name}`, `  url: https://127.0.0.1:${port}`],
    ...['  ttl: 12s', '  etcd:', `    endpoints: [${etcd.join(', ')}]`],
    ...['roster:', '  enabled: true', '  interval: 100ms', `  local: ${local}`, '  lameDuck: 4s'],
    ...['balance:', '  followLoad: true', 'probe:', '  interval: 200ms', 'list:'],
  ].join('\n');
}

/** The status of a word that another publisher might say. */
function say(
  { directory, port }: TestPublisher,
  body: Uint8Array,
  path = '/v1/leaving',
): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
  const ca = readFileSync(join(directory, 'ca.crt'));
  const headers = { 'content-type': 'application/json', 'content-length': body.length };
  const to = { host: '127.0.0.1', port, path, method: 'POST', headers, ca };
  const sent = request({ ...to, agent: false }, (response) =>
    resolve(response.resume().statusCode),
  );
  sent.on('error', reject).end(body);
  return promise;
}

/** Views of a third publisher: proven and in time, or not counted and named. */
async function wordsOnViews(a: TestPublisher, b: TestPublisher): Promise<void> {
  const text = readFileSync(join(a.directory, 'list-key.jwk'), 'utf8');
  const key = parseSigningKey(JSON.parse(text));
  const seen = { wm1: 'up', wm2: 'up' } as const;
  const tell = async (aheadMs: number, signer = key, publisher = 'p3') => {
    for (;;) {
      const word = { publisher, atMs: Date.now() + aheadMs, seen };
      const status = await say(a, signViews(word, 'acme', signer), '/v1/views');
      if (status !== 503) return status; // a busy test process sheds: said again
    }
  };
  const troubles = async (): Promise<string> => {
    const { complaints } = (await a.json('status')).running;
    return complaints.map(({ message }: { message: string }) => message).join();
  };
  assert.equal(await tell(0, rootKey), 401);
  assert.equal(await tell(0, key, 'p1'), 409); // its own name
  assert.equal(await tell(120_000), 409);
  await eventually('it is named', async () =>
    /views of p3 do not count: its words are 1\d\d s ahead of the clock here/.test(
      await troubles(),
    ),
  );
  assert.equal(await tell(0), 200);
  assert.equal(await tell(-5_000), 409); // an older word
  await eventually('it counts', async () => !/views of p3/.test(await troubles()));
  const names = async (): Promise<string> =>
    (await a.json('status')).running.roster.publishers
      .map((one: { publisher: string }) => one.publisher)
      .join();
  await eventually('both are named', async () => (await names()) === 'p2,p3');
  const { running } = await a.json('status');
  assert.equal(running.refused['word not_proven'], 2); // this one, and the one before on leaving
  // A flood from one address is cut off before it costs anything; words that are proven come in again.
  const flood = await Promise.all(Array.from({ length: 40 }, () => tell(0, rootKey)));
  assert.ok(flood.includes(429));
  await eventually('it is heard again', async () => (await tell(0)) === 200);
  const word = signViews({ publisher: 'p3', atMs: Date.now(), seen }, 'acme', key);
  assert.equal(await say(b, word, '/v1/views'), 409); // it does not lead
}

test('it says so, serves on while the agents go, and is taken back when it is there again', {
  skip: missingEtcd() ?? false,
}, async (t) => {
  const servers = await new EtcdServers().start();
  t.after(() => servers.stop());
  const managers = [80, 81].map((at) => new PongManager(t, ownAddress(at)));
  await Promise.all(managers.map((manager) => manager.come()));
  const names = managers.map(({ address }, at) => `wm${at + 1}=${address}:1514`);
  const a = await initPublisherDirectory(t, names);
  const port = await freePort('127.0.0.1');
  const b = new TestPublisher(join(scratchDirectory(t), 'b'), port, names);
  cpSync(a.directory, b.directory, { recursive: true });
  b.edit(`127.0.0.1:${a.port}`, `127.0.0.1:${port}`);
  a.edit(/^list:/m, settings('p1', 'wm1', servers.urls, a.port));
  b.edit(/^list:/m, settings('p2', 'wm2', servers.urls, port));
  t.after(() => b.stop());
  await a.start();
  const leads = async (): Promise<boolean> =>
    (await a.json('status')).running?.leader?.leads === true;
  await eventually('the first one leads', leads, waitMs);
  await b.start();
  await eventually(
    'both serve',
    async () => (await b.states().catch(() => undefined))?.wm2 === 'up',
    waitMs,
  );

  const rubbish = signLeaving(
    { manager: 'wm1', isLeaving: true, atMs: Date.now() },
    'acme',
    rootKey,
  );
  assert.equal(await say(a, rubbish), 401);
  assert.equal((await a.states()).wm1, 'up');
  assert.equal(await say(b, rubbish), 409); // it does not lead

  await wordsOnViews(a, b);
  await eventually('how busy its host is, is heard', async () => {
    const { running } = await a.json('status');
    return running.roster.publishers.some(({ load = '' }) => /^wm2 \d+ % busy$/.test(load));
  });
  const stopped = b.stop();
  await eventually('it leaves', async () => (await a.states()).wm2 === 'drain', waitMs);
  assert.equal((await b.get('/v1/list')).status, 200);
  assert.equal((await stopped)?.exit, 0);
  assert.equal((await a.states()).wm2, 'drain');

  const again = new TestPublisher(b.directory, port, names);
  t.after(() => again.stop());
  await again.start();
  await eventually('it is back', async () => (await a.states()).wm2 === 'up', waitMs);
});
