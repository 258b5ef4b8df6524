import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../../src/clock.ts';
import { PeerError } from '../../src/errors.ts';
import { buildPublisherLink } from '../../src/host/https-source.ts';
import { systemClock } from '../../src/host/system-clock.ts';
import type { PublisherAnswer, PublisherQuestion } from '../../src/sidecar/publisher-port.ts';
import {
  caPin,
  httpAnswer,
  leafPin,
  startTlsServer,
  type TlsServerOptions,
} from '../fakes/tls-server.ts';

const json = 'content-type: application/json';
const limits = { totalMs: 4000, minBytesPerSecond: 256 };

interface Scene {
  readonly server?: TlsServerOptions;
  readonly question?: Partial<PublisherQuestion>;
  readonly host?: string;
  readonly clock?: Clock;
  readonly totalMs?: number;
}

/** Ask a server that answers as `answer` says; gives the answer and the heads it received. */
async function ask(answer: (socket: TLSSocket) => void, scene: Scene = {}) {
  const server = await startTlsServer(answer, scene.server);
  const link = buildPublisherLink(scene.clock ?? systemClock, {
    ...limits,
    totalMs: scene.totalMs ?? limits.totalMs,
  });
  try {
    const answered = await link.ask({
      url: `https://${scene.host ?? '127.0.0.1'}:${server.port}`,
      pins: [caPin],
      path: '/v1/list',
      waitMs: 0,
      maxBytes: 65_536,
      ...scene.question,
    });
    return { answered, requests: server.requests };
  } finally {
    await server.stop();
  }
}

async function refused(
  reason: PeerError['reason'],
  answer: (socket: TLSSocket) => void,
  scene: Scene = {},
): Promise<void> {
  await assert.rejects(ask(answer, scene), (error: unknown) => {
    assert.ok(error instanceof PeerError, String(error));
    assert.equal(error.reason, reason, error.message);
    return true;
  });
}

const good = (socket: TLSSocket): void =>
  void socket.end(httpAnswer('200 OK', [json, 'etag: "x"', 'pf-receipt: r'], '{"a":1}'));

function bodyOf(answer: PublisherAnswer): string {
  return answer.kind === 'document' ? Buffer.from(answer.body).toString() : answer.kind;
}

test('a document arrives with its etag and receipt, asked for plainly and by name', async () => {
  const { answered, requests } = await ask(good, {
    host: 'localhost',
    question: { nonce: 'n', etag: '"old"' },
  });
  assert.deepEqual(
    { ...answered, body: bodyOf(answered) },
    { kind: 'document', etag: '"x"', receipt: 'r', warnings: [], body: '{"a":1}' },
  );
  const head = requests[0] ?? '';
  assert.match(head, /^GET \/v1\/list HTTP\/1.1\r\n/);
  assert.match(head, /accept-encoding: identity\r\n/);
  assert.match(head, /pf-nonce: n\r\n/);
  assert.match(head, /if-none-match: "old"\r\n/);
});

test('304 and 404 are ordinary answers', async () => {
  const unchanged = await ask((socket) =>
    socket.end('HTTP/1.1 304 Not Modified\r\npf-receipt: r\r\n\r\n'),
  );
  assert.deepEqual(unchanged.answered, { kind: 'unchanged', receipt: 'r', warnings: [] });
  const absent = await ask((socket) => socket.end(httpAnswer('404 Not Found', [], '')));
  assert.equal(absent.answered.kind, 'absent');
});

test("a pin of the publisher's own key is enough, whatever name it has", async () => {
  const { answered } = await ask(good, {
    server: { certificate: 'elsewhere' },
    question: { pins: [leafPin('elsewhere')] },
  });
  assert.equal(answered.kind, 'document');
});

test('a certificate out of its dates is a warning, because its key is pinned', async () => {
  const { answered } = await ask(good, { server: { certificate: 'expired' } });
  assert.match(answered.warnings.join(), /is valid .* not now/);
});

for (const years of [-10, 10]) {
  test(`a clock ${years} years off does not blind the host`, async () => {
    const shifted: Clock = {
      ...systemClock,
      nowMs: () => systemClock.nowMs() + years * 365 * 86_400_000,
    };
    const { answered } = await ask(good, { clock: shifted });
    assert.equal(answered.kind, 'document');
  });
}

test('a wrong pin sends no byte of the question', async () => {
  const server = await startTlsServer(good, { certificate: 'rogue' });
  const link = buildPublisherLink(systemClock, limits);
  const asking = link.ask({
    url: `https://127.0.0.1:${server.port}`,
    pins: [caPin],
    path: '/v1/list',
    waitMs: 0,
    maxBytes: 100,
  });
  await assert.rejects(asking, { reason: 'pin_mismatch' });
  await server.stop();
  assert.deepEqual(server.requests, []);
});

test('a chain that merely shows the pinned authority is refused', async () => {
  await refused('pin_mismatch', good, { server: { certificate: 'forged' } });
});

test('a certificate of the pinned authority for another name is refused', async () => {
  await refused('pin_mismatch', good, { server: { certificate: 'elsewhere' } });
});

test('TLS 1.2 is refused', async () => {
  await refused('tls_failed', good, { server: { maxVersion: 'TLSv1.2' } });
});

test('redirects are refused', async () => {
  await refused('redirected', (socket) =>
    socket.end(httpAnswer('302 Found', ['location: https://127.0.0.1:1/'], '')),
  );
});

test('other statuses are refused', async () => {
  await refused('http_status', (socket) => socket.end(httpAnswer('500 Oops', [json], '{}')));
  await refused('http_status', (socket) => socket.end(httpAnswer('206 Partial', [json], '{}')));
});

test('other content types are refused', async () => {
  await refused('content_type', (socket) =>
    socket.end(httpAnswer('200 OK', ['content-type: text/html'], '<p>')),
  );
});

test('compressed answers are refused', async () => {
  await refused('content_type', (socket) =>
    socket.end(httpAnswer('200 OK', [json, 'content-encoding: gzip'], 'x')),
  );
});

test('endless data: an announced 10 GB is refused before any of it is read', async () => {
  await refused('too_big', (socket) =>
    socket.write(`HTTP/1.1 200 OK\r\n${json}\r\ncontent-length: 10737418240\r\n\r\n{`),
  );
});

test('endless data: an unannounced 10 GB ends at the limit', async () => {
  let sent = 0;
  await refused('too_big', (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\n${json}\r\ntransfer-encoding: chunked\r\n\r\n`);
    const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`;
    const more = (): void => {
      while (!socket.destroyed && socket.writable && socket.write(chunk)) sent += chunk.length;
    };
    socket.on('drain', more);
    more();
  });
  assert.ok(sent < 64 * 1024 * 1024, `${sent} bytes were taken`);
});

test('endless data: a head without end is refused', async () => {
  await refused('connect_failed', (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(5000)}`);
  });
});

test('slow retrieval: one byte a second is refused long before the deadline', async () => {
  const startMs = systemClock.monotonicMs();
  await refused(
    'too_slow',
    (socket) => {
      socket.write(`HTTP/1.1 200 OK\r\n${json}\r\ncontent-length: 60000\r\n\r\n`);
      const timer = setInterval(() => socket.write('x'), 1000);
      socket.on('close', () => clearInterval(timer));
    },
    { totalMs: 60_000 },
  );
  assert.ok(systemClock.monotonicMs() - startMs < 40_000);
});

test('slow retrieval: a head that never comes ends at the deadline', async () => {
  await refused('too_slow', () => undefined, { totalMs: 300 });
});

test('a long poll may be held back as long as it was asked for, and not longer', async () => {
  const { answered } = await ask((socket) => void setTimeout(() => good(socket), 600), {
    totalMs: 400,
    question: { waitMs: 2000 },
  });
  assert.equal(answered.kind, 'document');
  await refused('too_slow', () => undefined, { totalMs: 200, question: { waitMs: 200 } });
});

test('an answer that is cut short is refused', async () => {
  await refused('connect_failed', (socket) =>
    socket.end(`HTTP/1.1 200 OK\r\n${json}\r\ncontent-length: 10\r\n\r\n{`),
  );
});

test('a port where nobody listens and a name without address say so', async () => {
  const link = buildPublisherLink(systemClock, limits);
  const question = { pins: [caPin], path: '/', waitMs: 0, maxBytes: 100 };
  const closed = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => closed.once('listening', resolve));
  const address = closed.address();
  const port = typeof address === 'object' ? address?.port : 0;
  await new Promise((resolve) => closed.close(resolve));
  await assert.rejects(link.ask({ ...question, url: `https://127.0.0.1:${port}` }), {
    reason: 'connect_failed',
  });
  await assert.rejects(link.ask({ ...question, url: 'https://publisher.invalid' }), {
    reason: 'dns_failed',
  });
});

test('questions to one publisher share a connection; one that went stale is made anew', async () => {
  const sockets = new Set<TLSSocket>();
  const server = await startTlsServer((socket) => {
    sockets.add(socket);
    socket.write(httpAnswer('200 OK', [json], '{"a":1}'));
    socket.on('data', () => socket.write(httpAnswer('404 Not Found', [json], '{}')));
  });
  const link = buildPublisherLink(systemClock, limits);
  const question = {
    url: `https://127.0.0.1:${server.port}`,
    pins: [caPin],
    path: '/v1/list',
    waitMs: 0,
    maxBytes: 65_536,
  };
  assert.equal((await link.ask(question)).kind, 'document');
  assert.equal((await link.ask(question)).kind, 'absent');
  assert.equal(sockets.size, 1);
  for (const socket of sockets) socket.destroy();
  assert.equal((await link.ask(question)).kind, 'document');
  assert.equal(sockets.size, 2);
  const others = { ...question, pins: [leafPin('publisher')] };
  assert.equal((await link.ask(others)).kind, 'document');
  assert.equal(sockets.size, 3, 'other pins, another connection');
  await server.stop();
});
