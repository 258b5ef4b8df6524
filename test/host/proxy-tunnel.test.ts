/** Publishers through an HTTP proxy: only CONNECT, bounded, and the pins hold inside. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { after, describe, test } from 'node:test';
import { openTunnel, parseProxy } from '../../src/host/proxy-tunnel.ts';

const servers: Server[] = [];

async function listen(onSocket: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    onSocket(socket);
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Answers the head of a request with `answer`, then joins both sides when told where to. */
function aProxy(answer: string, seen: string[] = [], to?: number): Promise<number> {
  return listen((socket) => {
    socket.once('data', (bytes) => {
      seen.push(bytes.toString());
      socket.write(answer);
      if (to === undefined) return;
      const onward = connect({ host: '127.0.0.1', port: to });
      onward.on('error', () => undefined);
      onward.pipe(socket).pipe(onward);
    });
  });
}

const to = { host: 'p1.example.org', port: 8443 };
const calm = (): AbortSignal => AbortSignal.timeout(60_000);

describe('a tunnel through a proxy', () => {
  after(() => {
    for (const server of servers) server.close();
  });

  test('asks for name and port, then carries bytes both ways', async () => {
    const echo = await listen((socket) => void socket.pipe(socket));
    const seen: string[] = [];
    const port = await aProxy('HTTP/1.1 200 Connection established\r\n\r\n', seen, echo);
    const socket = await openTunnel({ host: '127.0.0.1', port }, to, calm());
    socket.write('hello');
    const [bytes] = await once(socket, 'data');
    assert.equal(String(bytes), 'hello');
    assert.deepEqual(seen, [
      'CONNECT p1.example.org:8443 HTTP/1.1\r\nHost: p1.example.org:8443\r\n\r\n',
    ]);
    socket.destroy();
  });

  for (const [what, answer, why] of [
    ['a refusal', 'HTTP/1.1 407 Proxy Authentication Required\r\n\r\n', /407/],
    ['another protocol', 'SSH-2.0-x\r\n\r\n', /SSH/],
    ['an endless head', `HTTP/1.1 200 x\r\n${'a'.repeat(9000)}`, /too long/],
    ['bytes nobody asked for', 'HTTP/1.1 200 x\r\n\r\nhello', /nobody asked/],
  ] as const) {
    test(`${what} is connect_failed, and says what was seen`, async () => {
      const port = await aProxy(answer);
      await assert.rejects(openTunnel({ host: '127.0.0.1', port }, to, calm()), (error: Error) => {
        assert.equal((error as Error & { reason: string }).reason, 'connect_failed');
        assert.match(error.message, why);
        return true;
      });
    });
  }

  test('a silent proxy is left when the signal says so', async () => {
    const port = await listen(() => undefined);
    const stop = new AbortController();
    const waiting = openTunnel({ host: '127.0.0.1', port }, to, stop.signal);
    stop.abort(new Error('out of time'));
    await assert.rejects(waiting, /out of time/);
  });

  test('addresses of proxies', () => {
    assert.deepEqual(parseProxy('http://proxy.example.org'), {
      host: 'proxy.example.org',
      port: 3128,
    });
    assert.deepEqual(parseProxy('http://[::1]:8080/'), { host: '::1', port: 8080 });
  });
});
