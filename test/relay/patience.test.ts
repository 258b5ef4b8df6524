/** Nobody answers just now: who is kept, for how long, and what it costs to be wrong. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { Tried } from '../../src/relay/patience.ts';
import { eventually } from '../fakes/processes.ts';
import { framedPong, RelayWorld } from './world.ts';

let world: RelayWorld;
beforeEach(() => {
  world = new RelayWorld();
});
afterEach(() => world.close());

/** Long enough for any machine; what ends earlier ends for another reason. */
const longMs = 300_000;
const patient = { maxKeepMs: longMs, keepLookMs: 20 };

test('an agent whose managers are all dead is led to one that appears, on the same connection', async () => {
  world.managers = [await world.nobody('old')];
  world.patienceMs = longMs;
  const { relay, port } = await world.open(patient);
  const agent = world.agent(port, 'hello');
  await eventually('it is kept', () => relay.keepsForMs !== undefined);
  world.managers = [await world.echo('new')];
  await agent.hears('new\nhello');
  assert.deepEqual([agent.end, relay.keepsForMs], ['open', undefined]);
  assert.deepEqual(world.of('refused'), []);
});

test('one that was dialled in vain is dialled again as soon as it answers the probes, and not before', async () => {
  let isUp = false;
  let dials = 0;
  const manager = await world.serve('a', (socket) => {
    dials += 1;
    if (!isUp) {
      socket.resetAndDestroy();
      return;
    }
    socket.once('data', () => {
      socket.write(framedPong);
      socket.once('data', (hello: Buffer) => socket.write(`a heard ${hello}`));
    });
  });
  world.managers = [manager];
  world.patienceMs = longMs;
  const { relay, port } = await world.open(patient);
  const agent = world.agent(port, 'hello');
  await eventually('it is kept', () => relay.keepsForMs !== undefined);
  isUp = true;
  world.managers = [manager, await world.nobody('b')];
  await eventually('another one is tried', () => world.of('suspect').length === 2);
  assert.equal(dials, 1);
  world.managers = [{ ...manager, answers: true }];
  await agent.hears('a heard hello');
  assert.equal(dials, 2);
});

test('when nobody comes it is reset as ever, and that is told once', async () => {
  world.managers = [await world.nobody('a')];
  world.patienceMs = 300;
  const { relay, port } = await world.open(patient);
  const startMs = performance.now();
  const agent = world.agent(port);
  await agent.is('reset');
  assert.ok(performance.now() - startMs >= 290, `${performance.now() - startMs} ms`);
  assert.deepEqual(world.of('refused'), [{ kind: 'refused', why: 'none_answered', tried: ['a'] }]);
  assert.equal(relay.keepsForMs, undefined);
});

test('no chooser can have an agent kept for longer than the bound', async () => {
  world.patienceMs = longMs;
  const { port } = await world.open({ ...patient, maxKeepMs: 100 });
  await world.agent(port).is('reset');
  assert.equal(world.of('refused')[0]?.why, 'no_manager');
});

test('patience that ends while an agent is kept ends its wait', async () => {
  world.patienceMs = longMs;
  const { relay, port } = await world.open(patient);
  const agent = world.agent(port);
  await eventually('it is kept', () => relay.keepsForMs !== undefined);
  world.patienceMs = 0;
  await agent.is('reset');
});

test('one agent is kept: a later connection takes its place, and is led on', async () => {
  world.patienceMs = longMs;
  const { relay, port } = await world.open(patient);
  const first = world.agent(port, 'first');
  await eventually('it is kept', () => relay.keepsForMs !== undefined);
  const second = world.agent(port, 'second');
  await first.is('reset');
  assert.deepEqual(
    world.of('refused').map(({ why }) => why),
    ['replaced'],
  );
  world.managers = [await world.echo('a')];
  await second.hears('a\nsecond');
});

test('nothing that a kept agent sent is lost, and nothing of it is read meanwhile', async () => {
  world.patienceMs = longMs;
  const { relay, port } = await world.open(patient);
  const agent = world.agent(port, '');
  await eventually('it is kept', () => relay.keepsForMs !== undefined);
  const megabyte = Buffer.alloc(1_048_576, 'x');
  let isTaken = false;
  for (let count = 0; count < 32; count += 1) agent.socket.write(megabyte);
  agent.socket.write('end', () => {
    isTaken = true;
  });
  let received = 0;
  const manager = await world.manager('a', (socket: Socket) =>
    socket.on('data', (bytes: Buffer) => {
      received += bytes.length;
    }),
  );
  assert.equal(isTaken, false, 'the kernel holds it back');
  world.managers = [manager];
  await eventually('all of it arrives', () => received === 32 * megabyte.length + 3);
});

test('the relay closes although an agent is kept', async () => {
  world.patienceMs = longMs;
  const { relay, port } = await world.open(patient);
  const agent = world.agent(port);
  await eventually('it is kept', () => relay.keepsForMs !== undefined);
  await relay.close();
  await agent.is('reset');
});

/** Accepts, and says nothing. */
const full = (id: string) => world.serve(id, () => undefined);
const brief = { ...patient, dialMs: 80, proofMs: 10 };

test('in a crowd nobody else is dialled where one answers the probes and is full: the agent goes to its own loop', async () => {
  world.managers = [await full('a'), await world.echo('b')].map((one) => ({
    ...one,
    answers: true as const,
  }));
  world.patienceMs = longMs;
  world.isCrowd = true;
  const { port } = await world.open(brief);
  await world.agent(port).is('reset');
  assert.deepEqual(
    world.of('suspect').map(({ managerId }) => managerId),
    ['a'],
  );
  assert.deepEqual(world.of('connected'), []);
});

test('in a small fleet, and where it is dead, one that is silent keeps no agent from the next one', async () => {
  for (const isCrowd of [false, true]) {
    const silent = await full('a');
    world.isCrowd = isCrowd;
    world.managers = [isCrowd ? silent : { ...silent, answers: true }, await world.echo('b')];
    // A second, because the other one has to answer within it on a busy machine.
    // Where no door can be full nobody waits for the prober: it would be for ever here.
    const proofMs = isCrowd ? brief.proofMs : longMs;
    const { port } = await world.open({ ...brief, proofMs, dialMs: 1_000, dialAllMs: longMs });
    await world.agent(port, 'hello').hears('b\nhello');
    assert.deepEqual(world.of('connected').at(-1)?.skipped, ['a']);
  }
});

test('one that was full and is seen dead for a second is full no more', () => {
  const tried = new Tried(() => true);
  const one = { id: 'a', address: '10.0.0.1', port: 1514, protocol: 'tcp', answers: true } as const;
  const { answers: _, ...dead } = one;
  tried.add([one]);
  tried.addSilent(one, 0);
  const counts = [[one], [dead]].map((seen) => tried.worthDialling(seen, 900).length);
  assert.deepEqual([...counts, tried.isFull([one], 950)], [0, 0, true]);
  assert.deepEqual([tried.isFull([dead], 1_000), tried.isFull([one], 1_001)], [false, false]);
  assert.deepEqual(tried.worthDialling([one], 1_001), [one]);
});
