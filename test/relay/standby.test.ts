import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { eventually } from '../fakes/processes.ts';
import { RelayWorld } from './world.ts';

let world: RelayWorld;
beforeEach(() => {
  world = new RelayWorld();
});
afterEach(() => world.close());

const ping = '050000002370696e67';
const pong = Buffer.from('0500000023706f6e67', 'hex');

/** Answers every ping, echoes the rest, and keeps what it accepted. */
async function patient(id: string) {
  const sockets: Socket[] = [];
  const manager = await world.serve(id, (socket) => {
    sockets.push(socket);
    socket.on('data', (bytes: Buffer) => {
      socket.write(bytes.toString('hex') === ping ? pong : `${id}:${bytes}`);
    });
  });
  return { manager, sockets };
}

test('a spare connection waits at the next manager and is the one the agent gets', async () => {
  const [a, b] = [await patient('a'), await patient('b')];
  world.managers = [a.manager, b.manager];
  const { relay, port } = await world.open({ standby: true, watchMs: 10 });
  await world.agent(port).hears('a:hi');
  await eventually('the spare is proven', () => b.sockets[0]?.bytesWritten === pong.length);
  relay.switchAway('a', 'failed');
  await world.agent(port).hears('b:hi');
  assert.equal(b.sockets.length, 1);
});

test('a spare that its manager ended is thrown away, and the agent gets a new connection', async () => {
  const [a, b] = [await patient('a'), await patient('b')];
  world.managers = [a.manager, b.manager];
  const { relay, port } = await world.open({ standby: true, watchMs: 10 });
  await world.agent(port).hears('a:hi');
  await eventually('the spare is there', () => b.sockets[0]);
  await eventually('it was proven', () => (b.sockets[0]?.bytesWritten ?? 0) >= pong.length);
  b.sockets[0]?.end();
  await eventually('the spare is gone', () => b.sockets[0]?.destroyed);
  relay.switchAway('a', 'failed');
  await world.agent(port).hears('b:hi');
  assert.equal(b.sockets.length, 2);
  assert.deepEqual(world.of('suspect'), []);
});

test('a spare whose address left the list is closed, and leads no agent there', async () => {
  const [a, b, moved] = [await patient('a'), await patient('b'), await patient('moved')];
  world.managers = [a.manager, b.manager];
  const { relay, port } = await world.open({ standby: true, watchMs: 10 });
  await world.agent(port).hears('a:hi');
  await eventually('the spare is proven', () => b.sockets[0]?.bytesWritten === pong.length);
  world.managers = [a.manager, { ...moved.manager, id: 'b' }];
  await eventually('the spare is gone', () => b.sockets[0]?.destroyed);
  relay.switchAway('a', 'failed');
  await world.agent(port).hears('moved:hi');
});

test('a spare whose manager left the list is closed, also where nobody is next', async () => {
  const [a, b] = [await patient('a'), await patient('b')];
  world.managers = [a.manager, b.manager];
  const { port } = await world.open({ standby: true, watchMs: 10 });
  await world.agent(port).hears('a:hi');
  await eventually('the spare is proven', () => b.sockets[0]?.bytesWritten === pong.length);
  world.managers = [a.manager];
  await eventually('the spare is gone', () => b.sockets[0]?.destroyed);
});

test('without the setting no manager sees a connection that no agent uses', async () => {
  const [a, b] = [await patient('a'), await patient('b')];
  world.managers = [a.manager, b.manager];
  const { port } = await world.open({ watchMs: 5 });
  const agent = world.agent(port);
  await agent.hears('a:hi');
  for (let beats = 0; beats < 10; beats += 1) {
    agent.socket.write(`beat${beats}`);
    await agent.hears(`a:beat${beats}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.equal(b.sockets.length, 0);
});

test('closing the relay closes the spare', async () => {
  const [a, b] = [await patient('a'), await patient('b')];
  world.managers = [a.manager, b.manager];
  const { relay, port } = await world.open({ standby: true, watchMs: 10, gentleMs: 20 });
  await world.agent(port).hears('a:hi');
  await eventually('the spare is there', () => b.sockets[0]);
  await relay.close();
  await eventually('the spare is closed', () => b.sockets[0]?.destroyed);
});
