/** What peers tell of newer masters: true, false, and while the engine is silent. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { nodeIn } from '../../src/cli/build-promotion.ts';
import { clusterConfigOf } from '../../src/cluster/config.ts';
import { pauseMs, ttlMs, World } from './world.ts';

function worldOf(t: TestContext): World {
  const world = new World();
  t.after(() => world.end());
  return world;
}

/** Greater than any that etcd will ever give out. */
const hugeToken = 999_999_999_999_999;

test('a master that hears of a newer token serves nothing until the engine says that the seat is its own', async (t) => {
  const world = worldOf(t);
  const m = world.add('m');
  m.start();
  await world.clock.pass(2_000);
  const { token } = m;
  m.keeper?.saw(token + 5);
  assert.deepEqual(world.servers(), []);
  assert.equal(m.keeper?.greatestToken, token + 5);
  await world.clock.pass(1_000);
  assert.equal(m.keeper?.greatestToken, token);
  assert.equal(m.book.memory.greatestToken, token);
  assert.deepEqual([m.token, world.servers(), m.roles], [token, ['m'], ['master']]);
});

test('a newer token that is true ends the role before the next look', async (t) => {
  const world = worldOf(t);
  const m = world.add('m');
  m.start();
  await world.clock.pass(2_000);
  const token = ++world.store.revision;
  world.store.seat = { name: 'v', token, endsAtMs: world.clock.monotonicMs() + ttlMs };
  m.keeper?.saw(token);
  assert.deepEqual(world.servers(), []);
  await world.clock.pass(10);
  assert.equal(m.hooks.isOn, false);
  assert.equal(m.assignment?.kind, 'worker');
});

test('a peer that tells of ever newer masters is asked about once a second', async (t) => {
  const world = worldOf(t);
  const m = world.add('m');
  m.start();
  await world.clock.pass(2_000);
  let shut = 0;
  for (let turn = 0; turn < 100; turn += 1) {
    m.keeper?.saw(hugeToken - 100 + turn);
    shut += world.servers().length === 0 ? 1 : 0;
    await world.clock.pass(100);
  }
  assert.deepEqual([shut, m.roles], [10, ['master']]);
});

test('while the engine is silent a word ends the role; once it answers none is left of any', async (t) => {
  const world = worldOf(t);
  const [m, w] = [world.add('m'), world.add('w')];
  for (const node of [m, w]) node.start();
  await world.clock.pass(3_000);
  const { token } = m;
  world.store.isDown = true;
  for (const { keeper } of [m, w]) keeper?.saw(hugeToken);
  await world.clock.pass(100);
  assert.deepEqual([world.servers(), m.hooks.isOn], [[], false]);
  await world.clock.pass(60_000);
  for (const { keeper } of [m, w]) assert.equal(keeper?.greatestToken, hugeToken);
  for (const { book } of [m, w]) assert.equal(book.memory.greatestToken, token);
  world.store.isDown = false;
  await world.clock.pass(pauseMs + 3_000);
  assert.equal(world.servers().length, 1);
  for (const { keeper } of [m, w]) assert.ok((keeper?.greatestToken ?? 0) < hugeToken);
});

test('a word does not disturb a node that is about to become the master', async (t) => {
  const world = worldOf(t);
  const [m, w] = [world.add('m'), world.add('w')];
  for (const node of [m, w]) node.start();
  await world.clock.pass(3_000);
  m.engine.isCut = true;
  while (world.store.holder()?.name !== 'w') await world.clock.pass(100);
  for (let turn = 0; turn < pauseMs / 100; turn += 1) {
    w.keeper?.saw(hugeToken);
    await world.clock.pass(100);
  }
  await world.clock.pass(1_000);
  assert.deepEqual(world.servers(), ['w']);
});

test('what a worker demands of its next master follows what it has heard', async (t) => {
  const world = worldOf(t);
  const w = world.add('w');
  w.start();
  const { keeper } = w;
  assert.ok(keeper !== undefined);
  const options = { nodes: ['127.0.0.1'], key: 'c98b62a9b6169ac5f67dae55ae4a9088' };
  const { config } = clusterConfigOf({ options, count: 1 });
  const { fence } = nodeIn({ kind: 'worker', record: undefined }, config, keeper);
  assert.equal(fence.token, 0);
  fence.saw(7);
  assert.equal(fence.token, 7);
  await world.clock.pass(1_000);
  assert.equal(fence.token, 0);
});
