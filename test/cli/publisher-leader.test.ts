/** Two publishers and Debian's etcd: one writes, both serve, and commands go to the right one. */
import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { eventually, freePort } from '../fakes/processes.ts';
import { EtcdServers, missingEtcd } from '../leader/etcd-fixture.ts';
import { as, call } from '../publisher/api/call.ts';
import { scratchDirectory } from '../publisher/fixture.ts';
import { initPublisherDirectory, runPublisher, TestPublisher } from './publisher-fixture.ts';

const skip = missingEtcd() ?? false;

function leaderSection(name: string, urls: readonly string[], port: number): string {
  return [
    ...['leader:', '  engine: etcd', `  name: ${name}`, `  url: https://127.0.0.1:${port}`],
    ...['  ttl: 12s', '  etcd:', `    endpoints: [${urls.join(', ')}]`, 'managers:'],
  ].join('\n');
}

/** The second one is a copy of the first: the same keys and roots, a port and a name of its own. */
async function pairOf(t: TestContext, urls: readonly string[]) {
  const a = await initPublisherDirectory(t);
  const port = await freePort('127.0.0.1');
  const b = new TestPublisher(join(scratchDirectory(t), 'b'), port, []);
  cpSync(a.directory, b.directory, { recursive: true });
  b.edit(`127.0.0.1:${a.port}`, `127.0.0.1:${port}`);
  a.edit('managers:', leaderSection('wm1', urls, a.port));
  b.edit('managers:', leaderSection('wm2', urls, port));
  t.after(() => b.stop());
  return { a, b };
}

const bytesOf = async (publisher: TestPublisher): Promise<string> =>
  (await publisher.get('/v1/list')).body.toString();
const isLeading = async (publisher: TestPublisher): Promise<boolean> =>
  (await publisher.json('status')).running?.leader?.leads === true;
const serves = async (publisher: TestPublisher, version: number): Promise<boolean> =>
  (await publisher.json('status')).running?.version === version;

test('one writes, both serve its bytes; when it stops, the other goes on under the next term', {
  skip,
}, async (t) => {
  const servers = await new EtcdServers().start();
  t.after(() => servers.stop());
  const { a, b } = await pairOf(t, servers.urls);
  await a.start();
  await eventually('wm1 leads and serves', async () => (await isLeading(a)) && serves(a, 1));
  await b.start();
  await eventually('wm2 serves the list of wm1', () => serves(b, 1));
  assert.equal(await bytesOf(b), await bytesOf(a));

  const refused = await b.run('drain', '10-0-0-1');
  assert.equal(refused.exit, 1);
  assert.match(refused.err, /E050 not_leader: this publisher stands by; wm1 \(https:\S+\) leads/);
  const marked = await b.run('rollback', '1');
  assert.match(marked.err, /E050/);
  assert.match(
    (await b.run('status')).out,
    /leader: wm1 \(https:\S+\), .*etcd, term 1\): wm1 has it/,
  );

  const kindAt = async (publisher: TestPublisher) => (await originAt(publisher)).kind;
  assert.equal(await kindAt(a), 'leader');
  assert.deepEqual(await originAt(b), {
    ...{ kind: 'standby', writer: `https://127.0.0.1:${a.port}`, sources: [] },
  });

  assert.equal((await a.run('drain', '10-0-0-1')).exit, 0);
  await eventually('wm2 serves what the command made', () => serves(b, 2));
  assert.equal(await bytesOf(b), await bytesOf(a));
  assert.equal((await b.states())['10-0-0-1'], 'drain');

  const poller = keepAsking(b);
  t.after(() => poller.end().catch(() => undefined));
  await a.stop();
  await eventually('wm2 leads', () => isLeading(b));
  assert.equal((await b.run('undrain', '10-0-0-1')).exit, 0);
  const { list, running } = await b.json('status');
  assert.equal(list.version, 3);
  assert.equal(running.leader.term, 2);

  // etcd is gone: nobody writes, everybody serves.
  const before = await bytesOf(b);
  await servers.members[0]?.process.kill();
  await eventually('wm2 stands up', async () => !(await isLeading(b)));
  assert.equal(await bytesOf(b), before);
  assert.match((await b.run('drain', '10-0-0-2')).err, /E051 leader_unreachable/);
  const status = await b.run('status');
  assert.match(status.out, /degraded: no publisher leads: /);
  assert.match(status.out, /leader\.store: E051/);
  const asked = await poller.end();
  assert.ok(asked.answers > 10);
  assert.deepEqual(asked.refused, []); // from before the takeover until nobody could write any more
});

/** Who signs, by the API of a publisher that runs. */
async function originAt(publisher: TestPublisher) {
  const words = ['api-token', 'create', '--name', 'x', '--dir', publisher.directory, '--json'];
  const { token } = JSON.parse((await runPublisher(words)).out);
  return eventually('the token is known', async () => {
    const { status, text } = await call(publisher, 'GET', '/api/v1/status', as(token));
    if (status === 200) return JSON.parse(text).origin;
    await new Promise((resolve) => setTimeout(resolve, 300));
    return undefined;
  });
}

/** One question after the other, as a sidecar asks that is always curious. */
function keepAsking(publisher: TestPublisher) {
  let isAsking = true;
  const refused: (number | undefined)[] = [];
  let answers = 0;
  const asking = (async () => {
    while (isAsking) {
      const { status } = await publisher.get('/v1/list');
      if (status === 200) answers += 1;
      else refused.push(status);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  asking.catch(() => undefined);
  return {
    async end() {
      isAsking = false;
      await asking;
      return { answers, refused };
    },
  };
}

test('a publisher whose etcd is not there serves what it holds, and waits', { skip }, async (t) => {
  const gone = `http://127.0.0.1:${await freePort('127.0.0.1')}`;
  const { a } = await pairOf(t, [gone]);
  a.edit('engine: etcd', 'engine: file');
  await a.run('publish');
  a.edit('engine: file', 'engine: etcd');
  await a.start();
  assert.match(await bytesOf(a), /payload/);
  assert.equal(await isLeading(a), false);
});

test('what does not go together is refused with file and key', async (t) => {
  const publisher = await initPublisherDirectory(t);
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['leader: { engine: etcd }', /leader\.etcd: expected, since the engine is etcd/],
    ['leader: { ttl: 3500ms }', /leader\.ttl: expected whole seconds/],
    ['leader: { ttl: 2s }', /leader\.ttl: expected between 3s and 10m/],
    ['leader: { etcd: { endpoints: [] } }', /leader\.etcd\.endpoints/],
    ['leader: { etcd: { endpoints: ["https://a:1/x"] } }', /leader\.etcd\.endpoints\.0/],
    ['leader: { etcd: { endpoints: ["https://a:1"], cert: c } }', /cert and key go together/],
    ['leader: { etcd: { endpoints: ["https://a:1"], user: u } }', /user and passwordFile go/],
    [
      'leader: { etcd: { endpoints: ["http://a:1"], user: u, passwordFile: p } }',
      /a password or a certificate needs https/,
    ],
  ];
  publisher.edit('managers:', 'leader: {}\nmanagers:');
  let before = 'leader: {}';
  for (const [text, message] of wrong) {
    publisher.edit(before, text);
    before = text;
    const ran = await publisher.run('history');
    assert.equal(ran.exit, 2, text);
    assert.match(ran.err, message);
  }
});
