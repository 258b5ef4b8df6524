/** The role from its first holder to the next, in virtual time. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { HostError, PeerError } from '../../src/errors.ts';
import { pauseMs, ttlMs, World } from './world.ts';

function worldOf(t: TestContext): World {
  const world = new World();
  t.after(() => world.end());
  return world;
}

const key = (id: string, name: string): string => `${id} ${name} any ${name}secret\n`;

test('the configured master begins at once; the others follow its record', async (t) => {
  const world = worldOf(t);
  const [m, w] = [world.add('m'), world.add('w')];
  for (const node of [w, m]) node.start();
  await world.clock.pass(2_000);
  assert.deepEqual(world.servers(), ['m']);
  assert.equal(m.hooks.done.at(-1), 'start');
  const { assignment } = w;
  assert.equal(assignment?.kind === 'worker' && assignment.record?.address, 'm.example.org');
  assert.equal(w.keeper?.greatestToken, m.token);
});

test('a master that is cut off stops before its lease ends; the next waits for the pause', async (t) => {
  const world = worldOf(t);
  const [m, w] = [world.add('m'), world.add('w')];
  for (const node of [m, w]) node.start();
  await world.clock.pass(10_000);
  const cutAtMs = world.clock.monotonicMs();
  const first = m.token;
  m.engine.isCut = true;
  m.hooks.done.length = 0;
  while (world.servers().length > 0) await world.clock.pass(100);
  const stoppedMs = world.clock.monotonicMs() - cutAtMs;
  assert.ok(stoppedMs <= (ttlMs * 2) / 3 + 200, `${stoppedMs}`);
  assert.deepEqual(m.hooks.done.slice(0, 2).sort(), ['end master', 'stop']);
  while (world.store.holder()?.name !== 'w') await world.clock.pass(100);
  assert.ok(world.clock.monotonicMs() - cutAtMs > stoppedMs + 1_000);
  assert.deepEqual(world.servers(), []);
  await world.clock.pass(pauseMs + 1_000);
  assert.deepEqual(world.servers(), ['w']);
  assert.ok(w.token > first);
  m.engine.isCut = false;
  await world.clock.pass(2_000);
  const { assignment } = m;
  assert.equal(assignment?.kind === 'worker' && assignment.record?.node, 'w');
  assert.deepEqual(m.roles, ['master', 'worker', 'worker']);
  const since = m.hooks.done.indexOf('stop');
  const daemons = m.hooks.done.slice(since).filter((one) => !/^(?:role|end) /.test(one));
  assert.deepEqual(daemons, ['stop', 'worker', 'follow']);
});

test('without the store there is no master, and the last one comes back with every key', async (t) => {
  const world = worldOf(t);
  const [m, w] = [world.add('m'), world.add('w')];
  for (const node of [m, w]) node.start();
  await world.clock.pass(5_000);
  world.store.isDown = true;
  await world.clock.pass(60_000);
  assert.deepEqual(world.servers(), []);
  m.keys.text = key('001', 'late'); // its authd was slow to stop
  world.store.isDown = false;
  while (world.servers().length === 0) await world.clock.pass(100);
  await world.clock.pass(1_000);
  assert.equal(world.servers().length, 1);
  const [first] = world.servers();
  if (first === 'm') assert.equal(world.store.record()?.keys.count, 1);
});

test('a node that cannot write down that it is the master does not become it', async (t) => {
  const world = worldOf(t);
  const [m, w] = [world.add('m'), world.add('w')];
  w.book.isFull = true;
  for (const node of [m, w]) node.start();
  await world.clock.pass(5_000);
  m.engine.isCut = true;
  await world.clock.pass(60_000);
  assert.deepEqual(world.servers(), []);
  assert.ok(!w.roles.includes('master'));
  assert.match(w.book.status?.why ?? '', /cannot be written/);
  w.book.isFull = false;
  await world.clock.pass(120_000);
  assert.deepEqual(world.servers(), ['w']);
});

test('a node that is restarted takes its own seat again at once', async (t) => {
  const world = worldOf(t);
  const [m, w] = [world.add('m'), world.add('w')];
  for (const node of [m, w]) node.start();
  await world.clock.pass(5_000);
  const first = m.token;
  const end = m.end();
  await world.clock.pass(100);
  await end;
  assert.equal(m.hooks.done.at(-1), 'stop');
  m.start();
  await world.clock.pass(1_500);
  assert.deepEqual(world.servers(), ['m']);
  assert.ok(m.token > first);
  assert.deepEqual(new Set(w.roles), new Set(['worker']));
});

test('a candidate whose keys are behind refuses, says so, and takes the role when forced', async (t) => {
  const world = worldOf(t);
  const [m, w] = [world.add('m'), world.add('w')];
  m.keys.text = key('001', 'a');
  w.keys.text = key('001', 'other');
  for (const node of [m, w]) node.start();
  await world.clock.pass(3_000);
  m.engine.isCut = true;
  await world.clock.pass(60_000);
  assert.deepEqual(world.servers(), []);
  assert.match(w.book.status?.why ?? '', /1 keys up to id 1, on record are 1 keys up to id 1/);
  w.order('promote');
  await world.clock.pass(2_000);
  assert.equal(w.book.status?.lastOrder?.outcome, 'refused');
  w.order('promote', true);
  await world.clock.pass(pauseMs + 3_000);
  assert.equal(w.book.status?.lastOrder?.outcome, 'done');
  assert.deepEqual(world.servers(), ['w']);
});

test('what the record tells makes the keys of a candidate whole', async (t) => {
  const world = worldOf(t);
  const [m, w] = [world.add('m'), world.add('w')];
  m.keys.text = key('001', 'a');
  w.keys.text = m.keys.text;
  for (const node of [m, w]) node.start();
  await world.clock.pass(3_000);
  m.keys.text += key('002', 'b');
  await world.clock.pass(500);
  m.keys.text = `${m.keys.text.replace('001 a', '001 !a')}${key('003', 'c')}`;
  await world.clock.pass(500);
  const newest = m.keys.text;
  m.engine.isCut = true;
  await world.clock.pass(60_000);
  assert.deepEqual(world.servers(), ['w']);
  assert.equal(w.keys.text, newest);
});

test('a sync of the old master that comes too late is undone before keys are given out', async (t) => {
  const world = worldOf(t);
  const [m, w] = [world.add('m'), world.add('w')];
  m.keys.text = key('001', 'a') + key('002', 'b');
  w.keys.text = m.keys.text;
  for (const node of [m, w]) node.start();
  await world.clock.pass(3_000);
  m.engine.isCut = true;
  w.atEnd = () => {
    w.keys.text = key('001', 'a');
  };
  await world.clock.pass(60_000);
  assert.deepEqual(world.servers(), ['w']);
  assert.equal(w.keys.text, m.keys.text);
});

test('keys that only the old master gave out are put aside, named, and not lost', async (t) => {
  const world = worldOf(t);
  const [m, w] = [world.add('m'), world.add('w')];
  m.keys.text = key('001', 'a');
  w.keys.text = m.keys.text;
  for (const node of [m, w]) node.start();
  await world.clock.pass(3_000);
  m.engine.isCut = true;
  await world.clock.pass(300);
  m.keys.text += key('002', 'stray');
  await world.clock.pass(60_000);
  w.keys.text += key('002', 'next');
  await world.clock.pass(1_000);
  m.engine.isCut = false;
  await world.clock.pass(2_000);
  assert.equal(m.book.copies.size, 1);
  m.keys.text = w.keys.text; // as the integrity sync does
  await world.clock.pass(2_000);
  assert.equal(m.book.copies.size, 0);
  const shown = m.book.strayKeys.map(({ id, name, kind }) => `${id} ${name} ${kind}`);
  assert.deepEqual(shown, ['002 stray other']);
});

test('in mode manual nobody moves the role but an operator', async (t) => {
  const world = worldOf(t);
  const [m, w] = [world.add('m', { mode: 'manual' }), world.add('w', { mode: 'manual' })];
  for (const node of [m, w]) node.start();
  await world.clock.pass(3_000);
  m.engine.isCut = true;
  await world.clock.pass(120_000);
  assert.deepEqual(world.servers(), []);
  w.order('promote');
  await world.clock.pass(pauseMs + 2_000);
  assert.deepEqual(world.servers(), ['w']);
});

test('demote gives the role to another one; it comes back only when ordered', async (t) => {
  const world = worldOf(t);
  const [m, w] = [world.add('m', { minIntervalMs: 60_000 }), world.add('w')];
  for (const node of [m, w]) node.start();
  await world.clock.pass(3_000);
  m.hooks.done.length = 0;
  m.order('demote');
  await world.clock.pass(1_500);
  assert.equal(m.book.status?.lastOrder?.outcome, 'done');
  assert.deepEqual(m.hooks.done.slice(0, 2).sort(), ['end master', 'stop']);
  await world.clock.pass(pauseMs + 2_000);
  assert.deepEqual(world.servers(), ['w']);
  w.order('demote');
  m.order('promote');
  await world.clock.pass(pauseMs + 3_000);
  assert.deepEqual(world.servers(), ['m']);
});

const hourMs = 3_600_000;
for (const [when, agoMs] of [
  ['an hour ago', hourMs],
  ['by a clock that was an hour ahead', -hourMs],
] as const) {
  test(`an order that was given ${when} is refused, not carried out`, async (t) => {
    const world = worldOf(t);
    const [m, w] = [world.add('m'), world.add('w')];
    m.keys.text = key('001', 'a');
    for (const node of [m, w]) node.start();
    await world.clock.pass(3_000);
    const atMs = world.clock.nowMs() - agoMs;
    m.book.orders.push({ kind: 'demote', force: false, id: 'left', atMs });
    await world.clock.pass(2_000);
    assert.deepEqual(world.servers(), ['m']);
    assert.equal(m.book.status?.lastOrder?.outcome, 'refused');
    m.engine.isCut = true;
    await world.clock.pass(60_000);
    w.book.orders.push({ kind: 'promote', force: true, id: 'left', atMs });
    await world.clock.pass(30_000);
    assert.match(w.book.status?.lastOrder?.text ?? '', /no node took it within 60 s/);
    assert.deepEqual(world.servers(), []);
  });
}

test('a node that is demoted before it is the master keeps the pause of an operator', async (t) => {
  const world = worldOf(t);
  const [m, w] = [world.add('m'), world.add('w')];
  for (const node of [m, w]) node.start();
  await world.clock.pass(3_000);
  m.engine.isCut = true;
  while (world.store.holder()?.name !== 'w') await world.clock.pass(100);
  w.order('demote');
  await world.clock.pass(120_000);
  assert.deepEqual(world.servers(), []);
  assert.equal(w.book.status?.lastOrder?.outcome, 'done');
});

test('an engine that takes no writes is told of until it does, whatever else it answers', async (t) => {
  const world = worldOf(t);
  const m = world.add('m');
  m.start();
  await world.clock.pass(3_000);
  const write = m.engine.write.bind(m.engine);
  m.engine.write = async () => {
    throw new PeerError('leader_full', 'no space');
  };
  m.keys.text = key('001', 'a');
  await world.clock.pass(1_000);
  for (let passed = 0; passed < 5_000; passed += 50) {
    assert.match(m.keeper?.status().engineTrouble ?? '', /no space/);
    await world.clock.pass(50);
  }
  m.engine.write = write;
  await world.clock.pass(1_000);
  assert.equal(m.keeper?.status().engineTrouble, undefined);
  m.engine.write = async () => {
    throw new PeerError('leader_full', 'no space');
  };
  m.keys.text += key('002', 'b');
  await world.clock.pass(1_000);
  m.order('demote');
  await world.clock.pass(3_000);
  assert.equal(m.keeper?.status().engineTrouble, undefined, 'no ledger, no trouble of it');
});

test('two losses in a row move the role once: the second waits for minInterval', async (t) => {
  const world = worldOf(t);
  const [m, w, v] = [world.add('m'), world.add('w'), world.add('v')];
  for (const node of [m, w, v]) node.start();
  await world.clock.pass(3_000);
  m.engine.isCut = true;
  await world.clock.pass(30_000);
  const [second] = world.servers();
  const holder = [w, v].find(({ settings }) => settings.node === second);
  assert.ok(holder !== undefined);
  holder.engine.isCut = true;
  await world.clock.pass(300_000);
  assert.deepEqual(world.servers(), []);
  await world.clock.pass(400_000);
  assert.equal(world.servers().length, 1);
});

test('a host that cannot be the master gives the seat to another one', async (t) => {
  const world = worldOf(t);
  const [m, w, v] = [world.add('m'), world.add('w'), world.add('v')];
  m.start();
  await world.clock.pass(2_000);
  w.fault = new HostError('listen_failed', 'the port is taken');
  v.hooks.seen = 'authd: not found';
  for (const node of [w, v]) node.start();
  await world.clock.pass(3_000);
  m.engine.isCut = true;
  await world.clock.pass(40_000);
  assert.deepEqual(world.servers(), []);
  assert.match(w.book.status?.why ?? '', /the last try failed: .*the port is taken/);
  assert.match(v.book.status?.why ?? '', /authd: not found/);
});
