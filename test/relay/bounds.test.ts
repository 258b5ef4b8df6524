/** What bounds the relay: places, time, memory, where it listens, and how it ends. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { relayNetwork } from '../../src/host/relay-sockets.ts';
import { systemClock } from '../../src/host/system-clock.ts';
import type { Connection } from '../../src/relay/ports.ts';
import type { StallSettings } from '../../src/relay/stall.ts';
import { eventually } from '../fakes/processes.ts';
import { framedPing, framedPong, RelayWorld } from './world.ts';

/** Nothing is a stall. */
const patient: StallSettings = {
  notAckingRetransmits: 1_000,
  notDrainingMs: 60_000,
  notAnsweringMs: 60_000,
  noFirstAnswerMs: 60_000,
};

let world: RelayWorld;
beforeEach(() => {
  world = new RelayWorld();
});
afterEach(() => world.close());

test('a manager that never closes its half cannot hold a slot for ever', async () => {
  world.managers = [await world.manager('a', (socket) => void socket.resume())];
  const { relay, port } = await world.open({ halfClosedMs: 50, watchMs: 10 });
  const agent = world.agent(port);
  await eventually('the session is there', () => relay.sessions.length === 1);
  agent.socket.end('bye');
  await eventually('the session is gone', () => relay.sessions.length === 0);
});

test('an idle session is reset, a busy one is not', async () => {
  world.managers = [await world.echo('a')];
  const { relay, port } = await world.open({ idleMs: 200, watchMs: 10 });
  const [idle, busy] = [world.agent(port), world.agent(port)];
  const beat = setInterval(() => busy.socket.write('.'), 20);
  await idle.is('reset');
  clearInterval(beat);
  assert.equal(relay.sessions.length, 1);
  assert.equal(busy.end, 'open');
});

test('connections beyond the bound are reset, and a freed place is a place', async () => {
  world.managers = [await world.echo('a')];
  const { relay, port } = await world.open({ maxSessions: 3 });
  const within = [world.agent(port), world.agent(port), world.agent(port)];
  await Promise.all(within.map((agent) => agent.hears('a\n')));
  const beyond = Array.from({ length: 20 }, () => world.agent(port));
  await Promise.all(beyond.map((agent) => agent.is('reset')));
  assert.equal(relay.sessions.length, 3);
  assert.ok(world.of('refused').every(({ why }) => why === 'full'));
  within[0]?.socket.end();
  await eventually('a place is free', () => relay.sessions.length === 2);
  await world.agent(port).hears('a\n');
});

test('silent connections of a stranger take no place for longer than an answer takes', async () => {
  world.managers = [await world.echo('a')];
  const { relay, port } = await world.open({ maxSessions: 3, quietMs: 0 });
  const answered = world.agent(port);
  await answered.hears('a\n');
  const silent = [world.agent(port, ''), world.agent(port, '')];
  await eventually('all places are taken', () => relay.sessions.length === 3);
  await world.agent(port, 'startup').hears('a\nstartup');
  await silent[0]?.is('reset');
  assert.deepEqual([silent[1]?.end, answered.end, relay.sessions.length], ['open', 'open', 3]);
  assert.deepEqual(world.of('refused'), []);
});

test('whoever is answered with pongs only, as anybody is, holds no place either', async () => {
  world.managers = [
    await world.manager('a', (socket) => {
      socket.on('data', (bytes: Buffer) =>
        socket.write(bytes.equals(framedPing) ? framedPong : `a\n${bytes}`),
      );
    }),
  ];
  const { relay, port } = await world.open({ maxSessions: 2, quietMs: 0 });
  const strangers = [world.agent(port, ''), world.agent(port, '')];
  for (const { socket } of strangers) socket.write(framedPing);
  await Promise.all(strangers.map((stranger) => stranger.hears('#pong')));
  await world.agent(port, 'startup').hears('a\nstartup');
  await strangers[0]?.is('reset');
  assert.deepEqual(
    relay.sessions.map(({ isAnswered }) => isAnswered),
    [false, true],
  );
});

test('a session that may be answered still makes no room', async () => {
  world.managers = [await world.echo('a')];
  const { relay, port } = await world.open({ maxSessions: 1, quietMs: 600_000 });
  const first = world.agent(port, '');
  await eventually('the place is taken', () => relay.sessions.length === 1);
  await world.agent(port).is('reset');
  assert.equal(first.end, 'open');
});

test('a peer that is not on this host is reset before anything else', async () => {
  const ends: string[] = [];
  const stranger: Connection = {
    peerAddress: '192.0.2.7',
    peerPort: 40_000,
    waitingBytes: 0,
    sendQueue: () => undefined,
    attach: () => void ends.push('attach'),
    pause: () => undefined,
    resume: () => void ends.push('resume'),
    write: () => true,
    end: () => void ends.push('end'),
    reset: () => void ends.push('reset'),
    leave: () => void ends.push('leave'),
  };
  world.managers = [await world.echo('a')];
  await world.open(
    {},
    {
      ...relayNetwork,
      listen: async (_place, accept) => {
        accept(stranger);
        return { address: '127.0.0.1', port: 1, close: async () => undefined };
      },
    },
  );
  assert.deepEqual(ends, ['reset']);
  assert.equal(world.of('refused')[0]?.why, 'not_loopback');
});

test('the relay never dials itself', async () => {
  const { port } = await world.open();
  world.managers = [{ id: 'self', address: '127.0.0.1', port, protocol: 'tcp' }];
  await world.agent(port).is('reset');
  assert.equal(world.of('refused')[0]?.why, 'no_manager');
});

test('a slow agent holds the manager back: memory stays bounded and nothing is lost', async () => {
  const total = 64 * 1024 * 1024;
  let written = 0;
  const source = await world.manager('a', (socket) => {
    const chunk = Buffer.alloc(256 * 1024, 0x41);
    const pump = (): void => {
      while (written < total && !socket.destroyed) {
        written += chunk.length;
        if (!socket.write(chunk)) return void socket.once('drain', pump);
      }
      socket.end();
    };
    socket.once('data', pump);
  });
  world.managers = [source];
  const { relay, port } = await world.open();
  const agent = world.agent(port);
  agent.socket.removeAllListeners('data').pause();
  let count = 0;
  const settled = await steady(() => written);
  assert.ok(settled < 32 * 1024 * 1024, `${settled} bytes were taken from the manager`);
  const inRelay = (relay.sessions[0]?.bytesDown ?? 0) - agent.socket.bytesRead;
  assert.ok(inRelay < 16 * 1024 * 1024);
  agent.socket.on('data', (bytes: Buffer) => {
    count += bytes.length;
  });
  agent.socket.resume();
  await agent.is('ended', 20_000);
  assert.equal(count, total);
});

/** The value that `look` stays at for 150 ms. */
async function steady(look: () => number): Promise<number> {
  let [value, sinceMs] = [look(), systemClock.monotonicMs()];
  return await eventually('a steady value', () => {
    if (look() !== value) [value, sinceMs] = [look(), systemClock.monotonicMs()];
    return systemClock.monotonicMs() - sinceMs > 150 ? value : undefined;
  });
}

test('a manager that stops reading is told as a stall, once, while it lasts', async () => {
  let upstream: Socket | undefined;
  const slow = await world.manager('slow', (socket) => {
    upstream = socket.pause();
  });
  world.managers = [slow];
  const { relay, port } = await world.open({
    watchMs: 10,
    stall: { ...patient, notDrainingMs: 60 },
  });
  const agent = world.agent(port);
  agent.socket.write(Buffer.alloc(24 * 1024 * 1024));
  await eventually('the stall is told', () => world.of('suspect').length > 0);
  await steady(() => world.of('suspect').length);
  const { waitingBytes = 0 } = relay.sessions[0] ?? {};
  assert.ok(waitingBytes > 0 && waitingBytes <= 128 * 1024, `${waitingBytes} bytes wait`);
  assert.deepEqual(world.of('suspect'), [
    { kind: 'suspect', managerId: 'slow', why: 'not_draining' },
  ]);
  upstream?.resume();
  await eventually('it drains', () => agent.socket.writableLength === 0);
});

test('closing stops accepting, ends every session gently, and takes no longer than it may', async () => {
  world.managers = [await world.echo('a')];
  const { relay, port } = await world.open({ gentleMs: 150 });
  const [follows, stays] = [world.agent(port), world.agent(port)];
  follows.socket.on('end', () => follows.socket.end());
  await Promise.all([follows.hears('a\n'), stays.hears('a\n')]);
  await relay.close(); // for ever, if it waited for the one that stays
  assert.equal(relay.sessions.length, 0);
  await world.agent(port).is('reset');
});

test('a connection that is being dialled when the relay closes is reset, not spliced', async () => {
  world.managers = [await world.serve('hung', (socket) => void socket.pause())];
  const { relay, port } = await world.open();
  const agent = world.agent(port);
  await eventually('it is connected', () => agent.socket.readyState === 'open');
  await new Promise((resolve) => setImmediate(resolve));
  await relay.close();
  await agent.is('reset');
  assert.deepEqual(world.of('suspect'), []);
});

test('an address outside this host is refused as a place to listen', async () => {
  for (const address of ['0.0.0.0', '::', '192.0.2.1', 'localhost']) {
    await assert.rejects(
      relayNetwork.listen({ kind: 'address', address, port: 0 }, () => undefined),
      { reason: 'listen_failed' },
    );
  }
});

test('a taken port is refused with the reason', async () => {
  const { port } = await world.open();
  await assert.rejects(
    relayNetwork.listen({ kind: 'address', address: '127.0.0.1', port }, () => undefined),
    { reason: 'listen_failed', message: /EADDRINUSE/ },
  );
});
