import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { encodeWdbText } from '../../src/cluster/store/text-codec.ts';
import { AgentDatabase } from '../../src/host/agent-database.ts';
import { listenWazuhDb } from '../../src/host/wazuh-db-listener.ts';
import { WazuhDbSockets } from '../../src/host/wazuh-db-sockets.ts';
import { clock } from '../cluster/links.ts';
import { TestStore } from '../cluster/store/stores.ts';

function makeHome(t: TestContext): string {
  const home = mkdtempSync(join(tmpdir(), 'pf-wdb-'));
  mkdirSync(join(home, 'queue/db'), { recursive: true });
  t.after(() => rmSync(home, { recursive: true, force: true, maxRetries: 9 }));
  return home;
}

const soon = (): AbortSignal => AbortSignal.timeout(30_000);

/** A wazuh-db that does what `serve` does with each connection. */
async function pretend(
  t: TestContext,
  home: string,
  serve: (socket: Socket) => void,
): Promise<Server> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    serve(socket);
  }).listen(join(home, 'queue/db/wdb'));
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return server;
}

test('a store on the sockets answers as the store itself, to many at once', async (t) => {
  const home = makeHome(t);
  const store = new TestStore(t);
  const served = await listenWazuhDb(store.db, { home, owner: undefined });
  t.after(() => served.close());
  const db = new WazuhDbSockets(home);
  t.after(() => db.close());
  assert.equal(statSync(join(home, 'queue/db/wdb')).mode & 0o777, 0o660);
  const asked = Array.from({ length: 50 }, (_, n) =>
    db.query(`global sql select ${n} as n`, soon()),
  );
  const answers = await Promise.all(asked);
  assert.deepEqual(
    answers.map(({ payload }) => payload),
    answers.map((_, n) => `[{"n":${n}}]`),
  );
  const { status, body } = await db.http({ method: 'GET', path: '/v1/agents/sync' }, soon());
  assert.deepEqual([status, body.toString()], [200, '{}']);
  assert.equal((await db.http({ method: 'GET', path: '/nosuch' }, soon())).status, 404);
});

test('a body with bytes too many behind it is answered, then the connection ends', async (t) => {
  const home = makeHome(t);
  const served = await listenWazuhDb(new TestStore(t).db, { home, owner: undefined });
  t.after(() => served.close());
  const socket = connect(join(home, 'queue/sockets/wdb-http.sock'));
  const body = `{"x":"${'y'.repeat(200_000)}"}`;
  const head = `POST /v1/agents/sync HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}`;
  socket.end(`${head}\r\n\r\n${body}${body}`);
  let said = '';
  socket.on('data', (chunk) => {
    said += String(chunk);
  });
  socket.on('error', () => socket.destroy()); // the bytes too many are not read
  await once(socket, 'close').catch(() => undefined);
  assert.match(said, /^HTTP\/1\.1 200 OK/);
});

test('nobody listens twice, and a socket left by a killed process is no hindrance', async (t) => {
  const home = makeHome(t);
  const store = new TestStore(t);
  const first = await listenWazuhDb(store.db, { home, owner: undefined });
  await assert.rejects(listenWazuhDb(store.db, { home, owner: undefined }), { code: 'E703' });
  await first.close();
  const left = createServer().listen(join(home, 'queue/db/wdb'));
  await once(left, 'listening');
  left.unref();
  await new Promise((resolve) => left.close(resolve));
  const again = await listenWazuhDb(store.db, { home, owner: undefined });
  await again.close();
});

test('without a wazuh-db the error is the stock one', async (t) => {
  const db = new WazuhDbSockets(makeHome(t));
  await assert.rejects(db.query('global select-groups', soon()), {
    message: 'Error 2005 - Could not connect to wdb socket: [Errno 2] No such file or directory',
  });
  await assert.rejects(db.http({ method: 'GET', path: '/x' }, soon()), /Error 2013/);
});

test('a late answer is never taken for the next question', async (t) => {
  const home = makeHome(t);
  let count = 0;
  const asked = Promise.withResolvers<void>();
  await pretend(t, home, (socket) => {
    socket.on('data', () => {
      count += 1;
      asked.resolve();
      const answer = encodeWdbText(`ok ${count}`);
      if (count === 1) setTimeout(() => socket.destroyed || socket.write(answer), 50);
      else socket.write(answer);
    });
  });
  const db = new WazuhDbSockets(home);
  t.after(() => db.close());
  const impatient = new AbortController();
  const first = db.query('one', impatient.signal);
  await asked.promise;
  impatient.abort(new Error('waited enough'));
  await assert.rejects(first, /waited enough/);
  assert.equal((await db.query('two', soon())).payload, '2');
});

test('an answer that is cut short, too long or unasked for fails one question only', async (t) => {
  const home = makeHome(t);
  const huge = Buffer.alloc(4);
  huge.writeUInt32LE(2 ** 31);
  const tricks = [
    (socket: Socket) => socket.end(encodeWdbText('ok cut').subarray(0, 6)),
    (socket: Socket) => socket.write(huge),
    (socket: Socket) => socket.write(encodeWdbText('what?')),
    (socket: Socket) => socket.write(Buffer.concat([encodeWdbText('ok'), encodeWdbText('ok')])),
    (socket: Socket) => socket.write(encodeWdbText('ok fine')),
  ];
  await pretend(t, home, (socket) => socket.on('data', () => tricks.shift()?.(socket)));
  const db = new WazuhDbSockets(home);
  t.after(() => db.close());
  await assert.rejects(db.query('a', soon()), /Error 2010/);
  await assert.rejects(db.query('b', soon()), { code: 'E821' });
  await assert.rejects(db.query('c', soon()), /Error 2007/);
  assert.equal((await db.query('d', soon())).status, 'ok');
  assert.equal((await db.query('e', soon())).payload, 'fine');
});

/** Promises settle, nothing of a socket happens. */
async function microtasks(): Promise<void> {
  for (let turn = 0; turn < 64; turn++) await undefined;
}

test('questions given up while one is dialled for them take no connection away from later ones', async (t) => {
  const home = makeHome(t);
  const full = Promise.withResolvers<void>();
  let isHung = true;
  let count = 0;
  await pretend(t, home, (socket) => {
    socket.on('data', () => {
      if (!isHung) socket.write(encodeWdbText('ok fine'));
      else if (++count === 4) full.resolve();
    });
  });
  const db = new WazuhDbSockets(home);
  t.after(() => db.close());
  const askers = Array.from({ length: 12 }, () => new AbortController());
  const asked = askers.map(({ signal }) => db.query('q', signal));
  const ended = Promise.allSettled(asked);
  await full.promise;

  for (const asker of askers) {
    asker.abort(new Error('waited enough')); // as deadlines of one moment end
    await microtasks();
  }
  isHung = false;

  assert.ok((await ended).every(({ status }) => status === 'rejected'));
  const later = Array.from({ length: 12 }, () => db.query('q', soon()));
  assert.deepEqual(
    new Set((await Promise.all(later)).map(({ payload }) => payload)),
    new Set(['fine']),
  );
});

test('a wazuh-db that goes away refuses every question that waits for it, at once', async (t) => {
  const home = makeHome(t);
  const full = Promise.withResolvers<void>();
  const sockets = new Set<Socket>();
  let count = 0;
  const server = await pretend(t, home, (socket) => {
    sockets.add(socket);
    socket.on('data', () => {
      if (++count === 4) full.resolve();
    });
  });
  const db = new WazuhDbSockets(home);
  t.after(() => db.close());
  const never = new AbortController();
  const asked = Array.from({ length: 12 }, () => db.query('q', never.signal));
  const ended = Promise.allSettled(asked);
  await full.promise;

  server.close();
  for (const socket of sockets) socket.destroy();

  assert.ok((await ended).every(({ status }) => status === 'rejected'));
});

const onLinux = { skip: process.platform !== 'linux' && 'elsewhere a full queue refuses' };

test('a wazuh-db that is too busy to take a connection keeps its socket', onLinux, async (t) => {
  const home = makeHome(t);
  const path = join(home, 'queue/db/wdb');
  const code = `require('node:net').createServer().listen({ path: process.argv[1], backlog: 1 }, () => console.log('up'))`;
  const busy = spawn(process.execPath, ['-e', code, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => busy.kill('SIGKILL'));
  await once(busy.stdout, 'data');
  busy.kill('SIGSTOP');
  for (let error: unknown; error === undefined; ) error = await connected(t, path);

  const db = new TestStore(t).db;
  await assert.rejects(listenWazuhDb(db, { home, owner: undefined }), /in use by another/);
  const options = { home, stateFolder: join(home, 'state'), isWorker: false, owner: undefined };
  const database = new AgentDatabase({ ...options, choice: 'auto', clock });
  t.after(() => database.close());
  assert.equal(await database.open(), 'wazuh-db');
  assert.ok(statSync(path).isSocket());
});

/** A connection that stays, or what refused it. */
function connected(t: TestContext, path: string): Promise<unknown> {
  const socket = connect(path);
  t.after(() => socket.destroy());
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(undefined)).once('error', resolve);
  });
}
