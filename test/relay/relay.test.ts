import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { relayNetwork } from '../../src/host/relay-sockets.ts';
import { systemClock } from '../../src/host/system-clock.ts';
import type { Connection } from '../../src/relay/ports.ts';
import type { StallSettings } from '../../src/relay/stall.ts';
import { eventually } from '../fakes/processes.ts';
import { RelayWorld } from './world.ts';

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

test('bytes pass both ways and are counted', async () => {
  world.managers = [await world.echo('a')];
  const { relay, port } = await world.open();
  const agent = world.agent(port, 'hello');
  await agent.hears('a\nhello');
  const [sample] = relay.sessions;
  assert.equal(sample?.managerId, 'a');
  assert.equal(sample?.bytesUp, 5);
  assert.equal(sample?.bytesDown, 7);
  assert.equal(sample?.unansweredSinceAtMs, undefined);
});

test('a refused manager is passed over on the same accepted connection', async () => {
  world.managers = [await world.nobody('dead'), await world.echo('b')];
  const { port } = await world.open();
  const agent = world.agent(port);
  await agent.hears('b\n');
  assert.deepEqual(world.of('connected')[0]?.skipped, ['dead']);
  assert.deepEqual(world.of('suspect'), [
    { kind: 'suspect', managerId: 'dead', why: 'dial_refused' },
  ]);
});

test('a hung manager, whose kernel accepts, is passed over within the dial deadline', async () => {
  const hung = await world.serve('hung', (socket) => void socket.pause());
  world.managers = [hung, await world.echo('b')];
  const { port } = await world.open({ dialMs: 150 });
  const agent = world.agent(port, 'startup');
  await agent.hears('b\nstartup');
  assert.deepEqual(world.of('suspect'), [
    { kind: 'suspect', managerId: 'hung', why: 'dial_silent' },
  ]);
});

test('something that answers otherwise than a manager never gets the agent', async () => {
  const other = await world.serve('other', (socket) => void socket.write('HTTP/1.1 400\r\n\r\n'));
  const chatty = await world.serve('chatty', (socket) => {
    socket.write(Buffer.from('0500000023706f6e6700', 'hex'));
  });
  world.managers = [other, chatty, await world.echo('b')];
  const { port } = await world.open();
  await world.agent(port).hears('b\n');
  assert.deepEqual(world.of('connected')[0]?.skipped, ['other', 'chatty']);
});

test('a pong that comes byte by byte is a pong', async () => {
  const slow = await world.serve('slow', (socket) => {
    socket.once('data', async () => {
      for (const byte of Buffer.from('0500000023706f6e67', 'hex')) {
        await new Promise((resolve) => socket.write(Buffer.of(byte), resolve));
      }
      socket.pipe(socket);
    });
  });
  world.managers = [slow];
  const { port } = await world.open();
  await world.agent(port, 'x').hears('x');
});

test('with no manager up the agent is reset at once, never accepted into silence', async () => {
  const { port } = await world.open();
  const startMs = systemClock.monotonicMs();
  await world.agent(port).is('reset', 500);
  assert.ok(systemClock.monotonicMs() - startMs < 200);
  assert.deepEqual(world.of('refused'), [{ kind: 'refused', why: 'no_manager', tried: [] }]);
});

test('when none of the chosen managers answers the agent is reset within the whole deadline', async () => {
  const hung = (id: string) => world.serve(id, (socket) => void socket.pause());
  world.managers = [await hung('a'), await hung('b'), await hung('c'), await hung('d')];
  const { port } = await world.open({ dialMs: 100, dialAllMs: 250 });
  const startMs = systemClock.monotonicMs();
  await world.agent(port).is('reset', 2000);
  assert.ok(systemClock.monotonicMs() - startMs < 1000);
  assert.equal(world.of('refused')[0]?.why, 'none_answered');
});

test('switching away from a failed manager resets the agent, whose reconnect lands on the next', async () => {
  world.managers = [await world.echo('a'), await world.echo('b')];
  const { relay, port } = await world.open();
  const before = world.agent(port);
  await before.hears('a\n');
  relay.switchAway('a', 'failed');
  await before.is('reset', 500);
  await world.agent(port).hears('b\n'); // although the chooser still puts `a` first
  assert.deepEqual(world.of('switched'), [{ kind: 'switched', managerId: 'a', sessions: 1 }]);
});

test('an agent blocked in sending to a hung manager is freed by the switch', async () => {
  const hung = await world.manager('hung', (socket) => void socket.pause());
  world.managers = [hung, await world.echo('b')];
  const { relay, port } = await world.open();
  const agent = world.agent(port);
  const event = Buffer.alloc(64 * 1024, 0x78);
  const pump = setInterval(() => agent.socket.writableLength < 1e6 && agent.socket.write(event), 1);
  await eventually('the relay waits for the manager', () => relay.sessions[0]?.waitingSinceAtMs);
  await eventually('the agent waits for the relay', () => agent.socket.writableLength >= 1e6);
  clearInterval(pump);
  relay.switchAway('hung', 'failed');
  await agent.is('reset', 500);
  await world.agent(port).hears('b\n');
});

test('only the sessions of the named manager are cut', async () => {
  const [a, b] = [await world.echo('a'), await world.echo('b')];
  const { relay, port } = await world.open();
  world.managers = [a];
  const first = world.agent(port);
  await first.hears('a\n');
  world.managers = [b];
  const second = world.agent(port);
  await second.hears('b\n');
  relay.switchAway('a', 'failed');
  await first.is('reset');
  second.socket.write('still here');
  await second.hears('still here');
});

test('a planned switch loses nothing the agent sent before it saw the end', async () => {
  const got: Buffer[] = [];
  let ended = false;
  const sink = await world.manager('a', (socket) => {
    socket.on('data', (bytes: Buffer) => void got.push(bytes));
    socket.on('end', () => {
      ended = true;
      socket.end();
    });
  });
  world.managers = [sink];
  const { relay, port } = await world.open();
  const agent = world.agent(port, '');
  agent.socket.on('end', () => agent.socket.end('last words'));
  const sent = Buffer.alloc(3_000_000, 0x2e);
  agent.socket.write(sent);
  await eventually('a first part arrived', () => got.length > 0);
  relay.drainAt('a', systemClock.nowMs() + 30);
  await agent.is('ended');
  await eventually('the manager saw the end', () => ended);
  assert.equal(Buffer.concat(got).length, sent.length + 'last words'.length);
  await eventually('the session is gone', () => relay.sessions.length === 0);
  assert.deepEqual(world.of('suspect'), []);
});

test('a planned switch that the agent does not follow is enforced', async () => {
  world.managers = [await world.echo('a')];
  const { relay, port } = await world.open({ gentleMs: 100 });
  const agent = world.agent(port);
  await agent.hears('a\n');
  relay.switchAway('a', 'planned'); // this agent sees the end and keeps its own side open
  await agent.is('ended');
  agent.socket.on('close', () => undefined);
  await eventually('the session is gone', () => relay.sessions.length === 0);
});

test('a drain that is called off moves nobody', async () => {
  world.managers = [await world.echo('a')];
  const { relay, port } = await world.open();
  const agent = world.agent(port);
  await agent.hears('a\n');
  relay.drainAt('a', systemClock.nowMs() + 60_000)();
  agent.socket.write('here');
  await agent.hears('here');
});

test('a manager that closes makes itself suspect at once, and the agent hears of it', async () => {
  let upstream: Socket | undefined;
  const a = await world.manager('a', (socket) => {
    upstream = socket;
  });
  world.managers = [a, await world.echo('b')];
  const { port } = await world.open();
  const agent = world.agent(port);
  await eventually('the session is there', () => upstream);
  upstream?.end();
  await agent.is('ended', 500);
  assert.deepEqual(world.of('suspect'), [{ kind: 'suspect', managerId: 'a', why: 'closed' }]);
  agent.socket.end();
  await world.agent(port).hears('b\n');
});

test('a manager that resets makes itself suspect at once, and the agent is reset', async () => {
  let upstream: Socket | undefined;
  const a = await world.manager('a', (socket) => {
    upstream = socket;
  });
  world.managers = [a, await world.echo('b')];
  const { port } = await world.open();
  const agent = world.agent(port);
  await eventually('the session is there', () => upstream);
  upstream?.resetAndDestroy();
  await agent.is('reset', 500);
  assert.deepEqual(world.of('suspect'), [{ kind: 'suspect', managerId: 'a', why: 'reset' }]);
  await world.agent(port).hears('b\n');
});

test('an agent that leaves makes nobody suspect', async () => {
  world.managers = [await world.echo('a')];
  const { relay, port } = await world.open();
  const [polite, rude] = [world.agent(port), world.agent(port)];
  await Promise.all([polite.hears('a\n'), rude.hears('a\n')]);
  polite.socket.end();
  rude.socket.resetAndDestroy();
  await eventually('both sessions are gone', () => relay.sessions.length === 0);
  assert.deepEqual(world.of('suspect'), []);
  assert.equal(world.of('closed').length, 2);
});

test('half-closes pass in both directions and the other direction goes on', async () => {
  const answerer = await world.manager('a', (socket) => {
    let heard = '';
    socket.on('data', (bytes: Buffer) => {
      heard += bytes.toString();
    });
    socket.on('end', () => socket.end(`heard ${heard}`));
  });
  world.managers = [answerer];
  const { relay, port } = await world.open();
  const agent = world.agent(port, '');
  agent.socket.end('question');
  await agent.is('ended');
  assert.equal(agent.text, 'heard question');
  await eventually('the session is gone', () => relay.sessions.length === 0);
});

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

test('a peer that is not on this host is reset before anything else', async () => {
  const ends: string[] = [];
  const stranger: Connection = {
    peerAddress: '192.0.2.7',
    waitingBytes: 0,
    sendQueue: () => undefined,
    attach: () => void ends.push('attach'),
    pause: () => undefined,
    resume: () => void ends.push('resume'),
    write: () => true,
    end: () => void ends.push('end'),
    reset: () => void ends.push('reset'),
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
  const { port } = await world.open({
    watchMs: 10,
    stall: { ...patient, notDrainingMs: 60 },
  });
  const agent = world.agent(port);
  agent.socket.write(Buffer.alloc(24 * 1024 * 1024));
  await eventually('the stall is told', () => world.of('suspect').length > 0);
  await steady(() => world.of('suspect').length);
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
  const startMs = systemClock.monotonicMs();
  await relay.close();
  assert.ok(systemClock.monotonicMs() - startMs < 1500);
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
  await agent.is('reset', 500);
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
