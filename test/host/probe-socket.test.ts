import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { test } from 'node:test';
import type { ProbeKind } from '../../src/health/probe.ts';
import { buildProber } from '../../src/host/probe-socket.ts';
import { systemClock } from '../../src/host/system-clock.ts';

const prober = buildProber(systemClock);

async function serve(
  onSocket: (socket: Socket) => void,
): Promise<{ port: number; server: Server }> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    onSocket(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return { port: address.port, server };
}

/** Probe a server that behaves as `onSocket` says, then close it. */
async function probeWith(kind: ProbeKind, onSocket: (socket: Socket) => void, deadlineMs = 400) {
  const sockets: Socket[] = [];
  const { port, server } = await serve((socket) => {
    sockets.push(socket);
    onSocket(socket);
  });
  try {
    return await prober.probe({ address: '127.0.0.1', port, kind }, deadlineMs);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

function failureOf(outcome: { kind: string; failure?: string }): string {
  return outcome.failure ?? outcome.kind;
}

test('a manager that answers the framed ping byte by byte is alive', async () => {
  const outcome = await probeWith('ping-tcp', (socket) => {
    socket.once('data', (bytes) => {
      assert.equal(bytes.toString('hex'), '050000002370696e67');
      for (const byte of Buffer.from('0500000023706f6e67', 'hex')) socket.write(Buffer.of(byte));
    });
  });
  assert.equal(outcome.kind, 'alive');
  assert.deepEqual(outcome.ips, ['127.0.0.1']);
});

test('a manager that accepts and says nothing is dead within the deadline', async () => {
  const startMs = systemClock.monotonicMs();
  assert.equal(failureOf(await probeWith('ping-tcp', () => undefined, 150)), 'silent');
  assert.ok(systemClock.monotonicMs() - startMs < 30_000);
});

test('a manager that accepts and closes is dead', async () => {
  assert.equal(failureOf(await probeWith('ping-tcp', (socket) => socket.end())), 'closed');
});

test('a web server on the port is no manager', async () => {
  const outcome = await probeWith('ping-tcp', (socket) => socket.write('HTTP/1.1 400 Bad\r\n\r\n'));
  assert.equal(failureOf(outcome), 'wrong_answer');
});

test('an unframed pong on TCP is no manager', async () => {
  assert.equal(
    failureOf(await probeWith('ping-tcp', (socket) => socket.write('#pong'))),
    'wrong_answer',
  );
});

test('a plain connect is enough only where it is asked for', async () => {
  assert.equal((await probeWith('connect', () => undefined)).kind, 'alive');
});

test('a closed port is refused', async () => {
  const { port, server } = await serve(() => undefined);
  server.close();
  await once(server, 'close');
  const outcome = await prober.probe({ address: '127.0.0.1', port, kind: 'ping-tcp' }, 400);
  assert.equal(failureOf(outcome), 'refused');
});

test('over UDP a bare ping is answered with a bare pong', async () => {
  const server = createSocket('udp4');
  server.on('message', (bytes, from) => {
    if (bytes.toString() === '#ping') server.send('#pong', from.port, from.address);
  });
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  const outcome = await prober.probe({ address: '127.0.0.1', port, kind: 'ping-udp' }, 400);
  server.close();
  assert.equal(outcome.kind, 'alive');
});

test('a name without an address is unresolved, and a resolver that hangs cannot hold the probe', async () => {
  const target = { address: 'manager.invalid', port: 1514, kind: 'ping-tcp' } as const;
  const none = buildProber(systemClock, async () => []);
  const hung = buildProber(systemClock, () => new Promise(() => undefined));
  assert.equal(failureOf(await none.probe(target, 200)), 'unresolved');
  assert.equal(failureOf(await hung.probe(target, 100)), 'unresolved');
});

test('an aborted probe rejects with the reason of its signal', async () => {
  const stop = new AbortController();
  const running = probeAborted(stop.signal);
  stop.abort(new Error('stopping'));
  await assert.rejects(running, /stopping/);
});

function probeAborted(signal: AbortSignal) {
  const hung = buildProber(systemClock, () => new Promise(() => undefined));
  return hung.probe({ address: 'x', port: 1, kind: 'ping-tcp' }, 5000, signal);
}
