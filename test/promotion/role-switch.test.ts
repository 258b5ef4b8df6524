/** What follows the role on a host: hooks that are slow, hooks that fail, and the seat meanwhile. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { sleep } from '../../src/clock.ts';
import { ttlMs, World, type WorldNode } from './world.ts';

function worldOf(t: TestContext): World {
  const world = new World();
  t.after(() => world.end());
  return world;
}

/** Longer than `pause`: another node that found the seat empty would be the master before it ends. */
const slowMs = 7_000;

function slowDown(
  world: World,
  { hooks }: WorldNode,
  which: 'start' | 'stop',
  byMs = slowMs,
): void {
  const work = hooks[which];
  hooks[which] = async () => {
    await sleep(world.clock, byMs);
    return work();
  };
}

/** Did the daemons of a master run at two hosts at once, or at one that had not the seat? */
async function watch(world: World, forMs: number): Promise<readonly string[]> {
  const seen = new Set<string>();
  for (let passed = 0; passed < forMs; passed += 50) {
    await world.clock.pass(50);
    const on = world.nodes.filter(({ hooks }) => hooks.isOn).map(({ settings }) => settings.node);
    const holder = world.store.holder()?.name;
    if (on.length > 1) seen.add(`${on.join(' and ')} at once`);
    for (const name of on) if (holder !== name) seen.add(`${name} beside ${holder ?? 'nobody'}`);
  }
  return [...seen];
}

test('a seat that is given back is empty only when the daemons of the master have stopped', async (t) => {
  const world = worldOf(t);
  const [m, w] = [world.add('m'), world.add('w')];
  for (const node of [m, w]) node.start();
  await world.clock.pass(3_000);
  slowDown(world, m, 'stop');
  m.order('demote');
  assert.deepEqual(await watch(world, 30_000), []);
  assert.deepEqual(world.servers(), ['w']);
});

test('nor before what was still being started was stopped again', async (t) => {
  const world = worldOf(t);
  const [m, w] = [world.add('m'), world.add('w')];
  slowDown(world, m, 'start', 2 * slowMs);
  for (const node of [m, w]) node.start();
  await world.clock.pass(2_000);
  slowDown(world, m, 'stop', 500);
  m.order('demote');
  assert.deepEqual(await watch(world, 30_000), []);
  assert.deepEqual(world.servers(), ['w']);
  assert.equal(m.book.status?.lastOrder?.text, 'this node gave the role back');
  const daemons = m.hooks.done.filter((one) => !/^(?:role|end) /.test(one));
  assert.deepEqual(daemons.slice(-3), ['stop', 'worker', 'follow']);
});

test('a seat of a process that is gone stays taken while its node may not have it', async (t) => {
  const world = worldOf(t);
  const m = world.add('m');
  const token = ++world.store.revision;
  world.store.seat = { name: 'm', token, endsAtMs: ttlMs };
  m.book.memory = { ...m.book.memory, ownToken: token, greatestToken: token };
  m.hooks.isOn = true; // what that process started lives on
  m.hooks.seen = 'the port is taken';
  slowDown(world, m, 'stop');
  m.start();
  assert.deepEqual(await watch(world, 10_000), []);
  assert.equal(world.store.holder()?.token, token);
  m.hooks.seen = undefined;
  await world.clock.pass(2_000);
  assert.deepEqual(world.servers(), ['m']);
});

test('a role that is lost and had again while hooks start ends with all of them started', async (t) => {
  const world = worldOf(t);
  const m = world.add('m');
  const { start } = m.hooks;
  slowDown(world, m, 'start');
  m.start();
  await world.clock.pass(2_000);
  m.hooks.start = start; // the next time it is quick
  const first = m.token;
  world.store.seat = undefined; // an operator removed it
  await world.clock.pass(30_000);
  assert.ok(m.token > first);
  assert.equal(m.hooks.isOn, true);
});

/** As a hook that fails so many times, whatever it did. */
function fail({ hooks }: WorldNode, which: 'stop' | 'follow', times: number): void {
  const work = hooks[which];
  let left = times;
  hooks[which] = async () => {
    const wrong = await work();
    left -= 1;
    return left >= 0 ? ['exit 1'] : wrong;
  };
}

const failing = [
  ['stop', 3, 'stop stop stop stop worker follow'],
  ['follow', 2, 'stop worker follow worker follow worker follow'],
] as const;
for (const [which, times, expected] of failing) {
  test(`hooks.${which} that fails is tried again until a worker has what it runs`, async (t) => {
    const world = worldOf(t);
    const [m, w] = [world.add('m'), world.add('w')];
    m.start();
    await world.clock.pass(3_000);
    fail(w, which, times);
    w.start();
    await world.clock.pass(2_000);
    assert.deepEqual(w.keeper?.status().hookTrouble, ['exit 1']);
    await world.clock.pass(60_000);
    assert.equal(w.hooks.done.filter((one) => !/^role /.test(one)).join(' '), expected);
    assert.deepEqual(w.keeper?.status().hookTrouble, []);
  });
}

test('hooks that hang and fail are tried one at a time, and hold up no role for longer', async (t) => {
  const world = worldOf(t);
  const [m, w] = [world.add('m'), world.add('w')];
  m.start();
  await world.clock.pass(3_000);
  const { stop } = w.hooks;
  slowDown(world, w, 'stop');
  fail(w, 'stop', 1_000);
  w.start();
  await world.clock.pass(600_000);
  m.engine.isCut = true;
  await world.clock.pass(60_000);
  w.hooks.stop = stop;
  assert.deepEqual([world.servers(), w.hooks.isOn], [['w'], true]);
});
