import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, test } from 'node:test';
import { relayNetwork } from '../../src/host/relay-sockets.ts';
import { systemClock } from '../../src/host/system-clock.ts';
import { DatagramRelay } from '../../src/relay/datagram-relay.ts';
import type { RelayEvent, RelayManager } from '../../src/relay/ports.ts';
import { defaultRelaySettings, type RelaySettings } from '../../src/relay/settings.ts';
import { eventually } from '../fakes/processes.ts';

let sockets: Socket[];
let relays: DatagramRelay[];
let events: RelayEvent[];
let managers: readonly RelayManager[];
beforeEach(() => {
  [sockets, relays, events, managers] = [[], [], [], []];
});
afterEach(async () => {
  await Promise.all(relays.map((relay) => relay.close()));
  for (const socket of sockets) socket.close();
});

async function socketAt(address: string): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, address);
  await once(socket, 'listening');
  sockets.push(socket);
  return socket;
}

/** Answers every datagram with its own name in front. */
async function manager(id: string, address = '127.0.0.1'): Promise<RelayManager> {
  const socket = await socketAt('127.0.0.1');
  socket.on('message', (bytes, from) => {
    socket.send(`${id}:${bytes.toString('latin1')}`, from.port, from.address);
  });
  return { id, address, port: socket.address().port, protocol: 'udp' };
}

async function nobody(id: string): Promise<RelayManager> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return { id, address: '127.0.0.1', port, protocol: 'udp' };
}

async function open(settings: Partial<RelaySettings> = {}) {
  const relay = new DatagramRelay(
    {
      clock: systemClock,
      network: relayNetwork,
      choose: () => managers,
      report: (event) => void events.push(event),
    },
    { ...defaultRelaySettings, ...settings },
  );
  relays.push(relay);
  const { port } = await relay.open({ kind: 'address', address: '127.0.0.1', port: 0 });
  return { relay, port };
}

/** An agent that sends and collects what comes back. */
async function agent(port: number) {
  const socket = await socketAt('127.0.0.1');
  const heard: string[] = [];
  socket.on('message', (bytes) => void heard.push(bytes.toString('latin1')));
  return {
    heard,
    send: (text: string) => socket.send(text, port, '127.0.0.1'),
    hears: (text: string) => eventually(`the agent hears ${text}`, () => heard.includes(text)),
  };
}

test('datagrams go to the best manager and its answers come back, each flow to its own agent', async () => {
  managers = [await manager('a'), await manager('b')];
  const { relay, port } = await open();
  const [first, second] = [await agent(port), await agent(port)];
  first.send('1');
  second.send('2');
  await Promise.all([first.hears('a:1'), second.hears('a:2')]);
  assert.deepEqual(first.heard, ['a:1']);
  assert.equal(relay.sessions.length, 2);
  assert.deepEqual(
    relay.sessions.map(({ bytesUp, bytesDown, protocol }) => [bytesUp, bytesDown, protocol]),
    [
      [1, 3, 'udp'],
      [1, 3, 'udp'],
    ],
  );
});

test('a pong answers nobody: whoever asks is given one', async () => {
  const pongs = await socketAt('127.0.0.1');
  pongs.on('message', (bytes, from) => {
    pongs.send(String(bytes) === '#ping' ? '#pong' : 'ack', from.port, from.address);
  });
  managers = [{ id: 'a', address: '127.0.0.1', port: pongs.address().port, protocol: 'udp' }];
  const { relay, port } = await open();
  const [own, stranger] = [await agent(port), await agent(port)];
  own.send('startup');
  await own.hears('ack');
  stranger.send('#ping');
  await stranger.hears('#pong');
  assert.deepEqual(
    relay.sessions.map(({ isAnswered }) => isAnswered),
    [true, false],
  );
});

test('a manager that is a name is looked up, and what was sent meanwhile arrives', async () => {
  managers = [await manager('a', 'localhost')];
  const { port } = await open();
  const one = await agent(port);
  for (const text of ['1', '2', '3']) one.send(text);
  await Promise.all(['a:1', 'a:2', 'a:3'].map((text) => one.hears(text)));
});

test('a switch sends the next datagram to the next manager, and late answers go nowhere', async () => {
  managers = [await manager('a'), await manager('b')];
  const { relay, port } = await open();
  const one = await agent(port);
  one.send('1');
  await one.hears('a:1');
  relay.drainAt('a', systemClock.nowMs());
  await eventually('the flow is dropped', () => relay.sessions.length === 0);
  one.send('2');
  await one.hears('b:2');
  assert.deepEqual(one.heard, ['a:1', 'b:2']);
});

test('a manager whose port is closed makes itself suspect, and the next one gets the agent', async () => {
  managers = [await nobody('dead'), await manager('b')];
  const { port } = await open();
  const one = await agent(port);
  one.send('lost');
  await eventually('dead is suspect', () => events.some(({ kind }) => kind === 'suspect'));
  one.send('2');
  await one.hears('b:2');
});

test('a manager whose name has no address makes itself suspect, and the next one gets the agent', async () => {
  managers = [
    { id: 'nameless', address: 'manager.invalid', port: 1514, protocol: 'udp' },
    await manager('b'),
  ];
  const { port } = await open();
  const one = await agent(port);
  one.send('lost');
  await eventually('nameless is suspect', () => events.some(({ kind }) => kind === 'suspect'));
  one.send('2');
  await one.hears('b:2');
});

test('a flow dropped while its manager is looked up breaks nothing', async () => {
  const heard: unknown[] = [];
  for (const address of ['localhost', 'manager.invalid']) {
    const upstream = relayNetwork.dialDatagrams(
      { id: 'a', address, port: 1514, protocol: 'udp' },
      { datagram: (bytes) => void heard.push(bytes), failed: (why) => void heard.push(why) },
    );
    upstream.send(Buffer.from('x'));
    upstream.close();
    upstream.close();
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(heard, []);
});

test('with no manager up datagrams are dropped, told once, and the port stays ours', async () => {
  const { port } = await open();
  const one = await agent(port);
  for (const text of ['1', '2', '3']) one.send(text);
  await eventually('the refusal is told', () => events.length > 0);
  managers = [await manager('a')];
  one.send('4');
  await one.hears('a:4');
  assert.equal(events.filter(({ kind }) => kind === 'refused').length, 1);
});

test('flows beyond the bound are refused, and an idle flow makes room', async () => {
  managers = [await manager('a')];
  const { relay, port } = await open({ maxSessions: 1, idleMs: 60, watchMs: 10 });
  const [first, second] = [await agent(port), await agent(port)];
  first.send('1');
  await first.hears('a:1');
  second.send('2');
  await eventually('the refusal is told', () => events.some(({ kind }) => kind === 'refused'));
  await eventually('the idle flow is gone', () => relay.sessions.length === 0);
  second.send('3');
  await second.hears('a:3');
  assert.deepEqual(second.heard, ['a:3']);
});

test('an agent that takes a new port at every try is led on: the quietest flow makes room', async () => {
  managers = [await manager('a')];
  const { relay, port } = await open({ maxSessions: 2, quietMs: 0 });
  for (const text of ['1', '2', '3', '4']) {
    const one = await agent(port);
    one.send(text);
    await one.hears(`a:${text}`);
  }
  assert.deepEqual(
    relay.sessions.map(({ session }) => session),
    [3, 4],
  );
  assert.ok(events.every(({ kind }) => kind !== 'refused'));
});

test('a manager that never answers is told as a stall', async () => {
  const silent = await socketAt('127.0.0.1');
  managers = [{ id: 'silent', address: '127.0.0.1', port: silent.address().port, protocol: 'udp' }];
  const { port } = await open({
    watchMs: 10,
    stall: { ...defaultRelaySettings.stall, notAnsweringMs: 50 },
  });
  (await agent(port)).send('1');
  await eventually('the stall is told', () => events.some(({ kind }) => kind === 'suspect'));
  assert.deepEqual(
    events.filter(({ kind }) => kind === 'suspect'),
    [{ kind: 'suspect', managerId: 'silent', why: 'not_answering' }],
  );
});

test('datagrams of every length an agent may send pass whole', async () => {
  managers = [await manager('a')];
  const { port } = await open();
  const one = await agent(port);
  for (const length of [1, 1_400, 9_000, 60_000]) {
    const text = 'x'.repeat(length);
    one.send(text);
    await one.hears(`a:${text}`);
  }
});

test('an address outside this host is refused as a place to listen', async () => {
  const relay = new DatagramRelay(
    { clock: systemClock, network: relayNetwork, choose: () => [], report: () => undefined },
    defaultRelaySettings,
  );
  await assert.rejects(relay.open({ kind: 'address', address: '0.0.0.0', port: 0 }), {
    reason: 'listen_failed',
  });
  await relay.close();
});
