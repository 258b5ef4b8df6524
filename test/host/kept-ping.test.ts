import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import type { KeptProbe } from '../../src/health/probe.ts';
import { buildProber } from '../../src/host/probe-socket.ts';
import { systemClock } from '../../src/host/system-clock.ts';
import { httpAnswer, startTlsServer } from '../fakes/tls-server.ts';

const prober = buildProber(systemClock);
const pong = Buffer.from('\x05\0\0\0#pong', 'latin1');

interface Manager {
  readonly port: number;
  readonly sockets: readonly Socket[];
  stop(): void;
}

async function serve(onPing: (socket: Socket) => void): Promise<Manager> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', () => onPing(socket));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const stop = (): void => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { port: address.port, sockets, stop };
}

function keep(
  { port }: { readonly port: number },
  onClosed: () => void = () => undefined,
): KeptProbe {
  const kept = prober.keep?.({ address: '127.0.0.1', port, kind: 'ping-tcp' }, onClosed);
  assert.ok(kept);
  return kept;
}

test('many questions, one connection', async () => {
  const manager = await serve((socket) => socket.write(pong));
  const kept = keep(manager);
  for (let round = 0; round < 5; round += 1) assert.equal((await kept.ask(500)).kind, 'alive');
  assert.equal(manager.sockets.length, 1);
  kept.close();
  manager.stop();
});

test('a connection that dies while nothing is asked is told at once', async () => {
  const manager = await serve((socket) => socket.write(pong));
  const closed = new Promise<void>((resolve) => {
    const kept = keep(manager, resolve);
    void kept.ask(500).then(() => manager.stop());
  });
  await closed;
});

test('closing it ourselves is told to nobody', async () => {
  const manager = await serve((socket) => socket.write(pong));
  let told = 0;
  const kept = keep(manager, () => {
    told += 1;
  });
  await kept.ask(500);
  kept.close();
  const [socket] = manager.sockets;
  if (socket !== undefined && !socket.destroyed) await once(socket, 'close');
  assert.equal(told, 0);
  manager.stop();
});

test('an answer that comes too late is not taken for the next one', async () => {
  const waiting: (() => void)[] = [];
  const manager = await serve((socket) => void waiting.push(() => socket.write(pong)));
  const kept = keep(manager);
  const late = await kept.ask(60);
  assert.equal(late.kind === 'dead' && late.failure, 'silent');
  const next = kept.ask(300);
  waiting[0]?.();
  assert.equal((await next).kind, 'dead', 'the old connection is gone, the new one silent');
  assert.equal(manager.sockets.length, 2);
  kept.close();
  manager.stop();
});

test('more than was asked for is a wrong answer, and costs the connection', async () => {
  const manager = await serve((socket) => socket.write(Buffer.concat([pong, pong])));
  const kept = keep(manager);
  const outcome = await kept.ask(500);
  assert.equal(outcome.kind === 'dead' && outcome.failure, 'wrong_answer');
  manager.stop();
});

test('nobody listens: refused, and asked again on a new connection', async () => {
  const manager = await serve((socket) => socket.write(pong));
  manager.stop();
  const kept = keep(manager);
  for (const _ of [1, 2]) {
    const outcome = await kept.ask(500);
    assert.equal(outcome.kind === 'dead' && outcome.failure, 'refused');
  }
});

const remoted = '{"status":"ok","module":"remoted"}';
const answers: readonly (readonly [string, string, string])[] = [
  ['the words of remoted', httpAnswer('200 OK', [], remoted), 'alive'],
  ['another server', httpAnswer('200 OK', [], '<html>'), 'wrong_answer'],
  ['a refusal', httpAnswer('503 Busy', [], ''), 'wrong_answer'],
  ['no HTTP', 'SSH-2.0-x\r\n', 'wrong_answer'],
];

for (const [name, answer, expected] of answers) {
  test(`5.x: ${name} over TLS 1.3`, async () => {
    const server = await startTlsServer((socket) => socket.end(answer));
    const target = { address: '127.0.0.1', port: server.port, kind: 'https' } as const;
    const outcome = await prober.probe(target, 2_000);
    const seen = outcome.kind === 'alive' ? 'alive' : outcome.failure;
    assert.equal(seen === 'closed' ? 'wrong_answer' : seen, expected);
    await server.stop();
  });
}

test('5.x speaks TLS 1.3 only: an older server is no manager', async () => {
  const server = await startTlsServer((socket) => socket.end(), { maxVersion: 'TLSv1.2' });
  const target = { address: '127.0.0.1', port: server.port, kind: 'https' } as const;
  const outcome = await prober.probe(target, 2_000);
  assert.equal(outcome.kind === 'dead' && outcome.failure, 'wrong_answer');
  await server.stop();
});

test('enrollment: the handshake is the answer, and nothing is said that would register', async () => {
  const server = await startTlsServer(() => undefined, { maxVersion: 'TLSv1.2' });
  const target = { address: '127.0.0.1', port: server.port, kind: 'enrollment' } as const;
  assert.equal((await prober.probe(target, 2_000)).kind, 'alive');
  assert.deepEqual(server.requests, []);
  await server.stop();
});

test('enrollment: a server that accepts and says nothing is silent', async () => {
  const manager = await serve(() => undefined);
  const target = { address: '127.0.0.1', port: manager.port, kind: 'enrollment' } as const;
  const outcome = await prober.probe(target, 150);
  assert.equal(outcome.kind === 'dead' && outcome.failure, 'silent');
  manager.stop();
});

test('every address of a name is tried: one that answers makes it alive', async () => {
  const manager = await serve((socket) => socket.write(pong));
  const names = buildProber(systemClock, async () => ['127.0.0.2', '127.0.0.1']);
  const target = { address: 'wm.test', port: manager.port, kind: 'ping-tcp' } as const;
  const outcome = await names.probe(target, 2_000);
  assert.equal(outcome.kind, 'alive');
  assert.deepEqual(outcome.ips, ['127.0.0.1', '127.0.0.2']);
  manager.stop();
});

test('a kept connection goes to the next address of the name after a failure, and stays there', async () => {
  const manager = await serve((socket) => socket.write(pong));
  const names = buildProber(systemClock, async () => ['127.0.0.2', '127.0.0.1']);
  const target = { address: 'wm.test', port: manager.port, kind: 'ping-tcp' } as const;
  const kept = names.keep?.(target, () => undefined);
  assert.ok(kept);
  assert.equal((await kept.ask(2_000)).kind, 'dead');
  for (let round = 0; round < 3; round += 1) assert.equal((await kept.ask(2_000)).kind, 'alive');
  assert.equal(manager.sockets.length, 1);
  kept.close();
  manager.stop();
});

test('a kept connection follows its name when the address changes', async () => {
  let addresses = ['127.0.0.1'];
  const manager = await serve((socket) => socket.write(pong));
  const names = buildProber(systemClock, async () => addresses);
  const target = { address: 'wm.test', port: manager.port, kind: 'ping-tcp' } as const;
  const kept = names.keep?.(target, () => undefined);
  assert.equal((await kept?.ask(2_000))?.kind, 'alive');
  addresses = ['127.0.0.2'];
  const outcome = await kept?.ask(2_000);
  assert.equal(outcome?.kind, 'dead');
  assert.deepEqual(outcome?.ips, ['127.0.0.2']);
  kept?.close();
  manager.stop();
});
