/** etcd's gateway as a hostile, slow or misconfigured one: told, bounded, and the next one is asked. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { Clock } from '../../src/clock.ts';
import { PilotfishError, type ReasonName } from '../../src/errors.ts';
import type { JsonValue } from '../../src/guards.ts';
import { buildEtcdDoor } from '../../src/host/etcd-door.ts';
import { systemClock } from '../../src/host/system-clock.ts';
import { EtcdClient, type EtcdDoor } from '../../src/leader/etcd/client.ts';
import { faultOf, parseLease, parseTxn, toRevision } from '../../src/leader/etcd/codec.ts';
import { buildEtcdEngine } from '../../src/leader/etcd/etcd-engine.ts';

const header = { cluster_id: '7', member_id: '1', revision: '12', raft_term: '2' };
const ok = (value: object = {}) => ({ status: 200, text: JSON.stringify({ header, ...value }) });
const refused = (status: number, code: number, message: string) => ({
  status,
  text: JSON.stringify({ error: message, message, code }),
});

interface Asked {
  readonly endpoint: string;
  readonly path: string;
  readonly token: string | undefined;
}

class ScriptedDoor implements EtcdDoor {
  readonly asked: Asked[] = [];
  readonly #answer: (asked: Asked, place: number) => ReturnType<typeof ok>;
  constructor(answer: (asked: Asked, place: number) => ReturnType<typeof ok>) {
    this.#answer = answer;
  }
  async post(endpoint: string, path: string, _body: string, token: string | undefined) {
    const asked = { endpoint, path: path.replace('/v3/', ''), token };
    this.asked.push(asked);
    return this.#answer(asked, this.asked.length - 1);
  }
}

function clientOf(door: EtcdDoor, endpoints: readonly string[], user?: string): EtcdClient {
  const account = user === undefined ? {} : { account: { user, password: async () => 'secret' } };
  const limits = { tryMs: 20_000, limitMs: 60_000 };
  return new EtcdClient({ door, clock: systemClock, endpoints, ...limits, ...account });
}

const reasonOf = (reason: ReasonName) => (thrown: unknown) =>
  thrown instanceof PilotfishError && thrown.reason === reason;

test('the endpoint that answers is asked first from then on', async () => {
  const door = new ScriptedDoor(({ endpoint }) => {
    if (endpoint === 'a') throw new Error('connection refused');
    return ok();
  });
  const client = clientOf(door, ['a', 'b']);
  await client.call('kv/txn', {});
  await client.call('kv/txn', {});
  assert.deepEqual(
    door.asked.map(({ endpoint }) => endpoint),
    ['a', 'b', 'b'],
  );
});

test('when none answers every reason is told, once each', async () => {
  const door = new ScriptedDoor(({ endpoint }) => refused(503, 14, `no leader at ${endpoint}`));
  await assert.rejects(clientOf(door, ['a', 'b']).call('kv/txn', {}), (thrown: unknown) => {
    assert.ok(reasonOf('leader_unreachable')(thrown));
    assert.match(String(thrown), /a: no leader at a; .*b: no leader at b/);
    return true;
  });
});

test('a token that is no longer taken is asked for anew, once', async () => {
  const tokens = ['one', 'two'];
  const door = new ScriptedDoor(({ path, token }, place) => {
    if (path === 'auth/authenticate') return ok({ token: tokens.shift() ?? '' });
    return place > 2 && token === 'one' ? refused(401, 16, 'etcdserver: invalid auth token') : ok();
  });
  const client = clientOf(door, ['a'], 'root');
  for (let call = 0; call < 4; call += 1) await client.call('kv/txn', {});
  assert.deepEqual(
    door.asked.map(({ path, token }) => (path === 'kv/txn' ? token : path)),
    ['auth/authenticate', 'one', 'one', 'one', 'auth/authenticate', 'two', 'two'],
  );
});

test('a wrong password and a refused certificate are told as such, and no other endpoint is tried', async () => {
  for (const said of [
    'etcdserver: authentication failed, invalid user ID or password',
    'etcdserver: permission denied',
    'client sending requests against gateway must have empty CommonName in its cert',
  ]) {
    const door = new ScriptedDoor(() => refused(400, 3, said));
    await assert.rejects(
      clientOf(door, ['a', 'b'], 'root').call('kv/txn', {}),
      reasonOf('leader_refused'),
    );
    assert.equal(door.asked.length, 1, said);
  }
});

test('an etcd that is out of space is told as such', async () => {
  const full = refused(429, 8, 'etcdserver: mvcc: database space exceeded');
  const client = clientOf(new ScriptedDoor(() => full), ['a', 'b']);
  await assert.rejects(client.call('kv/put', {}), reasonOf('leader_full'));
});

test('endpoints of two clusters are never mixed: two clusters are two leaders', async () => {
  const door = new ScriptedDoor(({ endpoint }, place) => {
    if (endpoint === 'a' && place > 0) throw new Error('gone');
    const cluster = endpoint === 'a' ? '7' : '8';
    return { status: 200, text: JSON.stringify({ header: { ...header, cluster_id: cluster } }) };
  });
  const client = clientOf(door, ['a', 'b']);
  await client.call('kv/txn', {});
  await assert.rejects(client.call('kv/txn', {}), /cluster 8, the others are of cluster 7/);
});

test('whatever is not an answer of etcd is no answer', async () => {
  const answers: readonly JsonValue[] = [
    ...[null, 1, 'x', [], {}, { header: { cluster_id: 7 } }, { header: { cluster_id: '-1' } }],
    { header, responses: 7 },
    { header: { ...header, revision: '99999999999999999999' }, responses: [] },
    { header, succeeded: true, responses: [{ response_range: { kvs: [{ key: 'YQ==' }] } }, {}] },
    { header, responses: [{ response_range: { kvs: [{}, {}] } }, {}] },
    { header, succeeded: true, responses: [] },
  ];
  for (const answer of answers) {
    const door = new ScriptedDoor(() => ({ status: 200, text: JSON.stringify(answer) }));
    const engine = buildEtcdEngine(clientOf(door, ['a']), {
      ...{ prefix: '/p/', ttlMs: 2_000, name: 'a', url: '' },
    });
    await assert.rejects(engine.look(0), reasonOf('leader_unreachable'), JSON.stringify(answer));
    await assert.rejects(engine.take(), reasonOf('leader_unreachable'), JSON.stringify(answer));
  }
});

test('int64 are strings, zeros are left out, errors are one short line', () => {
  assert.equal(toRevision('9007199254740991'), Number.MAX_SAFE_INTEGER);
  for (const bad of ['9007199254740993', '-1', '', '0', 5, '1e3']) {
    assert.equal(toRevision(bad), undefined, `${bad}`);
  }
  assert.deepEqual(parseLease({ result: { header, ID: '78' } }), { id: '78', ttlSec: 0 });
  assert.deepEqual(parseLease({ header, ID: '77', TTL: '2' }), { id: '77', ttlSec: 2 });
  assert.equal(parseTxn({ header: { revision: '5' } })?.succeeded, false);
  assert.equal(faultOf(500, `<html>\n${'x'.repeat(9_999)}`).said.length, 200);
  assert.equal(faultOf(404, 'Not Found\n').kind, 'broken');
  assert.equal(
    faultOf(404, JSON.stringify({ message: 'etcdserver: requested lease not found', code: 5 }))
      .kind,
    'lease_gone',
  );
});

async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function realClient(t: TestContext, endpoints: readonly string[], tryMs: number): EtcdClient {
  const door = buildEtcdDoor({});
  t.after(() => door.close());
  return new EtcdClient({ door, clock: systemClock, endpoints, tryMs, limitMs: 60_000 });
}

test('an endpoint that never answers costs one deadline, and the next one is asked', async (t) => {
  const silent = await serve(t, () => undefined);
  const good = await serve(t, (_, answer) => void answer.end(ok().text));
  const door = buildEtcdDoor({});
  t.after(() => door.close());
  const tryMs = 59_999;
  let tries = 0;
  const clock: Clock = {
    ...systemClock,
    after(delayMs, task) {
      if (delayMs === tryMs) tries += 1;
      return systemClock.after(delayMs === tryMs && tries === 1 ? 50 : delayMs, task);
    },
  };
  const client = new EtcdClient({ door, clock, endpoints: [silent, good], tryMs, limitMs: 60_000 });
  await client.call('kv/txn', {});
  assert.equal(tries, 2);
});

test('an endless answer, a trickle and a redirect are refused', async (t) => {
  const endless = await serve(t, (_, answer) => {
    const pour = () => answer.write(Buffer.alloc(65_536, 0x20));
    answer.on('drain', pour);
    pour();
  });
  await assert.rejects(
    realClient(t, [endless], 60_000).call('kv/txn', {}),
    /more than 1048576 bytes/,
  );
  const trickle = await serve(t, (_, answer) => void answer.write('{'));
  await assert.rejects(realClient(t, [trickle], 100).call('kv/txn', {}), /no answer within 100 ms/);
  const moved = await serve(t, (_, answer) => {
    answer.writeHead(307, { location: 'http://127.0.0.1:1/' }).end();
  });
  await assert.rejects(realClient(t, [moved], 60_000).call('kv/txn', {}), /HTTP 307/);
});
