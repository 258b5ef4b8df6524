import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { connect as tlsConnect } from 'node:tls';
import { verifyReceipt } from '../../src/list/receipt.ts';
import { publishConfigured } from '../../src/publisher/orders.ts';
import { publish } from '../../src/publisher/publish.ts';
import { configuredOf, openDesk } from './fixture.ts';
import { gone, newCertificate, type ServerOptions, startServer } from './server-fixture.ts';

const nonce = Buffer.alloc(16, 7).toString('base64url');

async function publishedServer(t: TestContext, options: ServerOptions = {}) {
  const desk = await openDesk(t);
  desk.clock.atMs = Date.now();
  const { entry } = await publish(desk, publishConfigured(configuredOf('a', 'b')));
  const started = await startServer(t, options);
  started.server.service.serve(entry);
  const next = async (...names: readonly string[]) => {
    const outcome = await publish(desk, publishConfigured(configuredOf(...names)));
    started.server.service.serve(outcome.entry);
    return outcome.entry;
  };
  return { ...started, desk, entry, etag: `"${entry.hash}"`, next };
}

test('the list is served as signed, with its hash as entity tag', async (t) => {
  const { server, entry, etag } = await publishedServer(t);
  const answer = await server.get('/v1/list?g=default&s=eu-1');
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.etag, etag);
  assert.equal(answer.headers['content-type'], 'application/jose+json');
  assert.deepEqual(answer.body, Buffer.from(entry.envelope));
  const head = await server.get('/v1/list', {}, 'HEAD');
  assert.deepEqual([head.status, head.headers.etag, head.body.length], [200, etag, 0]);
});

test('a known tag is answered 304, and the receipt of that answer verifies for its nonce', async (t) => {
  const { server, entry, etag, desk } = await publishedServer(t);
  const answer = await server.get('/v1/list', { 'if-none-match': etag, 'pf-nonce': nonce });
  assert.equal(answer.status, 304);
  const compact = String(answer.headers['pf-receipt']);
  const receipt = await verifyReceipt(
    { compact, nonce },
    { position: entry, hash: entry.hash },
    desk.root,
  );
  assert.equal(receipt.version, 1);
  assert.equal(answer.headers['cache-control'], 'no-store');
});

test('no receipt is signed above its rate; the list is served all the same', async (t) => {
  const { server } = await publishedServer(t, { maxReceiptsPerSecond: 1 });
  const answers = await Promise.all(
    [1, 2, 3].map(() => server.get('/v1/list', { 'pf-nonce': nonce })),
  );
  assert.deepEqual(
    answers.map((answer) => answer.status),
    [200, 200, 200],
  );
  assert.equal(answers.filter((answer) => 'pf-receipt' in answer.headers).length, 1);
});

test('a long poll is answered at once when a list is published', async (t) => {
  const { server, etag, next, ledger } = await publishedServer(t);
  const pending = server.get('/v1/list?wait=55', { 'if-none-match': etag, 'pf-nonce': nonce });
  while (server.service.waiting() === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(ledger.counts(), { connections: 0, waiting: 1 });
  const startMs = performance.now();
  const entry = await next('a', 'b', 'c');
  const answer = await pending;
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.etag, `"${entry.hash}"`);
  assert.ok('pf-receipt' in answer.headers);
  assert.ok(performance.now() - startMs < 30_000, 'not only when its 55 s are over');
});

test('a long poll with another tag than the newest is answered at once', async (t) => {
  const { server } = await publishedServer(t);
  const answer = await server.get('/v1/list?wait=55', { 'if-none-match': '"sha256:old"' });
  assert.equal(answer.status, 200);
});

test('a client that leaves frees its place in the long polls', async (t) => {
  const { server, etag, ledger } = await publishedServer(t);
  const socket = await server.dial();
  socket.write(`GET /v1/list?wait=55 HTTP/1.1\r\nhost: x\r\nif-none-match: ${etag}\r\n\r\n`);
  while (server.service.waiting() === 0) await new Promise((resolve) => setImmediate(resolve));
  socket.destroy();
  while (ledger.counts().waiting + ledger.counts().connections > 0) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(server.service.waiting(), 0);
});

test('long polls above their cap for one address are answered at once, not refused', async (t) => {
  const { server, etag } = await publishedServer(t, { limits: { maxLongPollsPerIp: 1 } });
  const first = server.get('/v1/list?wait=55', { 'if-none-match': etag });
  while (server.service.waiting() === 0) await new Promise((resolve) => setImmediate(resolve));
  const second = await server.get('/v1/list?wait=55', { 'if-none-match': etag });
  assert.equal(second.status, 304);
  server.service.stop();
  assert.equal((await first).status, 304);
});

test('roots are served by number, with and without .json', async (t) => {
  const { server } = await publishedServer(t, { roots: { 1: Buffer.from('{"root":1}') } });
  for (const path of ['/v1/root/1', '/v1/root/1.json']) {
    assert.equal((await server.get(path)).body.toString(), '{"root":1}');
  }
  for (const path of ['/v1/root/2', '/v1/root/0', '/v1/root/01', '/v1/root/1.xml', '/v1/root/..']) {
    const { status, body } = await server.get(path);
    assert.equal(status, 404, path);
    assert.equal(JSON.parse(body.toString()).error.name, 'not_found');
  }
});

test('everything else is 404 and every error is JSON', async (t) => {
  const { server } = await publishedServer(t);
  const wrong = [
    await server.get('/'),
    await server.get('/v1/list', {}, 'DELETE'),
    await server.get('/v1/list', {}, 'POST'),
    await server.get('/v1/list/'),
  ];
  assert.deepEqual(
    wrong.map((answer) => answer.status),
    [404, 404, 404, 404],
  );
  const bad = ['?wait=56', '?wait=-1', '?wait=1.5', '?g=a%20b', '?x=1', '?g=a&g=b'];
  for (const query of bad) {
    const answer = await server.get(`/v1/list${query}`);
    assert.equal(answer.status, 400, query);
    assert.equal(JSON.parse(answer.body.toString()).error.name, 'bad_request');
  }
  assert.equal((await server.get('/v1/list', { 'pf-nonce': 'short' })).status, 400);
});

test('livez is always alive; readyz needs a list that has not expired', async (t) => {
  const { server } = await startServer(t);
  assert.equal((await server.get('/livez')).status, 200);
  assert.equal((await server.get('/readyz')).status, 503);
  assert.equal((await server.get('/v1/list')).status, 503);
  const desk = await openDesk(t);
  const { entry } = await publish(desk, publishConfigured(configuredOf('a')));
  server.service.serve({ ...entry, issuedAtMs: Date.now() - 86_400_001 });
  assert.match((await server.get('/readyz')).body.toString(), /has expired/);
  server.service.serve({ ...entry, version: 2, issuedAtMs: Date.now() });
  assert.equal((await server.get('/readyz')).status, 200);
});

test('under load the rest is shed first, lists later, livez never; receipts are left out', async (t) => {
  let lagMs = 101;
  const { server } = await publishedServer(t, {
    lagMs: () => lagMs,
    roots: { 1: Buffer.from('{}') },
  });
  const root = await server.get('/v1/root/1');
  assert.equal(root.status, 503);
  assert.ok(Number(root.headers['retry-after']) >= 1);
  const list = await server.get('/v1/list', { 'pf-nonce': nonce });
  assert.deepEqual([list.status, 'pf-receipt' in list.headers], [200, false]);
  lagMs = 1_001;
  assert.equal((await server.get('/v1/list')).status, 503);
  assert.equal((await server.get('/livez')).status, 200);
});

test('slow headers and silent connections are dropped while a good client is served', async (t) => {
  const { server, ledger } = await publishedServer(t, {
    timeouts: { headersMs: 300, requestMs: 600, handshakeMs: 300, checkEveryMs: 50 },
  });
  const slow = await server.dial();
  slow.write('GET /v1/list HTTP/1.1\r\nhost: x\r\nx-a: ');
  const drip = setInterval(() => slow.write('a'), 50);
  t.after(() => clearInterval(drip));
  const mute = await server.dial();
  const bare = connect(server.port, '127.0.0.1');
  await once(bare, 'connect');
  assert.equal((await server.get('/v1/list')).status, 200);
  await Promise.all([gone(slow), gone(mute), gone(bare)]);
  while (ledger.counts().connections > 0) await new Promise((resolve) => setImmediate(resolve));
});

test('connections above the cap of one address are closed before TLS; others are not touched', async (t) => {
  const { server } = await publishedServer(t, { limits: { maxConnectionsPerIp: 2 } });
  const held = [await server.dial(), await server.dial()];
  const third = connect(server.port, '127.0.0.1');
  await gone(third);
  assert.equal(third.bytesRead, 0);
  const other = await server.dial({ localAddress: '127.0.0.9' });
  held.forEach((socket) => void socket.destroy());
  other.destroy();
});

test('oversized and too many headers are refused', async (t) => {
  const { server } = await publishedServer(t);
  const big = await server.get('/livez', { 'x-big': 'x'.repeat(5_000) });
  assert.equal(big.status, 431);
  const many = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`x-${index}`, '1']));
  assert.equal((await server.get('/livez', many)).status, 431);
});

test('a request with a body is refused and its connection closed', async (t) => {
  const { server } = await publishedServer(t);
  const answer = await server.get('/v1/list', { 'content-length': '10' });
  assert.deepEqual([answer.status, answer.headers.connection], [413, 'close']);
});

test('HTTP/2 is not negotiated and TLS 1.2 is refused', async (t) => {
  const { server } = await publishedServer(t);
  const socket = await server.dial({ ALPNProtocols: ['http/1.1', 'h2'] });
  assert.deepEqual([socket.alpnProtocol, socket.getProtocol()], ['http/1.1', 'TLSv1.3']);
  socket.destroy();
  const onlyH2 = tlsConnect({
    host: '127.0.0.1',
    port: server.port,
    ALPNProtocols: ['h2'],
    rejectUnauthorized: false,
  });
  await assert.rejects(once(onlyH2, 'secureConnect'));
  const old = tlsConnect({
    host: '127.0.0.1',
    port: server.port,
    maxVersion: 'TLSv1.2',
    rejectUnauthorized: false,
  });
  await assert.rejects(once(old, 'secureConnect'));
});

test('a connection carries at most 20 requests', async (t) => {
  const { server } = await publishedServer(t);
  const socket = await server.dial();
  let received = '';
  socket.setEncoding('latin1').on('data', (text) => {
    received += text;
  });
  for (let index = 0; index < 20; index += 1) {
    socket.write('GET /livez HTTP/1.1\r\nhost: x\r\n\r\n');
    while (received.split('HTTP/1.1 200').length < index + 2) await once(socket, 'data');
  }
  assert.equal(received.match(/connection: close/gi)?.length, 1);
  const last = received.slice(received.lastIndexOf('HTTP/1.1 200'));
  assert.match(last, /connection: close/i);
  socket.destroy();
});

test('the chain that is sent ends in the authority, so that its key can be pinned', async (t) => {
  const { server } = await publishedServer(t);
  const socket = await server.dial();
  const leaf = socket.getPeerCertificate(true);
  assert.match(String(leaf.issuerCertificate.subject.CN), /Pilotfish authority of acme/);
  socket.destroy();
});

test('a renewed certificate is shown to the next connection without a restart', async (t) => {
  const { server } = await publishedServer(t);
  const serialOf = async (): Promise<string> => {
    const socket = await server.dial();
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  };
  const before = await serialOf();
  server.front.setCertificate(newCertificate());
  assert.notEqual(await serialOf(), before);
  assert.equal((await server.get('/v1/list')).status, 200);
});
