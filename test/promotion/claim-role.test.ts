/** From the seat to the record, by an engine that does not always answer. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { PeerError } from '../../src/errors.ts';
import { pauseMs, World } from './world.ts';

/** `w` has the seat and waits for the pause: `m` is cut off. */
async function claiming(t: TestContext): Promise<World> {
  const world = new World();
  t.after(() => world.end());
  const [m, w] = [world.add('m'), world.add('w')];
  for (const node of [m, w]) node.start();
  await world.clock.pass(3_000);
  m.engine.isCut = true;
  while (world.store.holder()?.name !== 'w') await world.clock.pass(100);
  return world;
}

for (const isCarriedOut of [false, true]) {
  const what = isCarriedOut ? 'that was carried out' : 'that was not';
  test(`a write of the record without an answer, ${what}, costs a second and no promotion`, async (t) => {
    const world = await claiming(t);
    const w = world.nodes[1];
    assert.ok(w !== undefined);
    const write = w.engine.write.bind(w.engine);
    w.engine.write = async (...args) => {
      w.engine.write = write;
      if (isCarriedOut) await write(...args);
      throw new PeerError('leader_unreachable', 'no answer');
    };
    await world.clock.pass(pauseMs + 2_000);
    assert.deepEqual(world.servers(), ['w']);
    assert.equal(world.store.record()?.token, w.token);
  });
}

test('an engine that answers no write gets the seat back', async (t) => {
  const world = await claiming(t);
  const w = world.nodes[1];
  assert.ok(w !== undefined);
  w.engine.write = async () => {
    throw new PeerError('leader_unreachable', 'no answer');
  };
  await world.clock.pass(pauseMs + 7_000);
  assert.equal(world.store.holder(), undefined);
  assert.match(w.book.status?.why ?? '', /the last try failed: .*no answer/);
});

test('a record of another version that appears meanwhile is not written over', async (t) => {
  const world = await claiming(t);
  const bytes = Buffer.from('{"version":2}');
  world.store.state = { bytes, revision: ++world.store.revision };
  await world.clock.pass(60_000);
  assert.equal(world.store.state.bytes, bytes);
  assert.deepEqual(world.servers(), []);
});
