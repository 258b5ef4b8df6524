/** `simulate` reads the published list, tells who would go where, and changes nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { initPublisherDirectory } from './publisher-fixture.ts';

const addresses = ['10.0.0.1', '10.0.0.2', '10.0.0.3'];

test('simulate --down tells who would go where, and changes nothing', async (t) => {
  const publisher = await initPublisherDirectory(t, addresses);
  await publisher.run('publish');
  const { nodes } = await publisher.json('nodes');
  const { id } = nodes[0];
  const before = await publisher.json('history');
  const told = await publisher.json('simulate', '--down', id, '--agents', '3000');
  const row = told.managers.find((one: { id: string }) => one.id === id);
  assert.deepEqual([row.after, row.before], [0, told.moved]);
  assert.ok(told.moved > 800 && told.moved < 1_200, `${told.moved} of 3000`);
  const { out, exit } = await publisher.run('simulate', '--down', id, '--agents', '3000');
  assert.equal(exit, 0);
  assert.match(out, /3000 invented: .* down/);
  assert.match(out, new RegExp(`\\n${told.moved} of 3000 agents move`));
  assert.deepEqual(await publisher.json('history'), before);
});

test('simulate --add tells whom a new manager would draw', async (t) => {
  const publisher = await initPublisherDirectory(t, addresses);
  await publisher.run('publish');
  const told = await publisher.json('simulate', '--add', 'wm9', '--agents', '4000');
  assert.equal(told.moved, 0);
  assert.ok(told.drawn > 850 && told.drawn < 1_150, `${told.drawn} of 4000`);
});

test('simulate names the nearest manager, and what is missing', async (t) => {
  const publisher = await initPublisherDirectory(t, addresses);
  const early = await publisher.run('simulate', '--down', 'x');
  assert.match(early.err, /E042 unknown_version/);
  await publisher.run('publish');
  const { nodes } = await publisher.json('nodes');
  const mistyped = await publisher.run('simulate', '--down', `${nodes[0].id}x`);
  assert.equal(mistyped.exit, 2);
  assert.match(mistyped.err, /E041 unknown_manager.*did you mean/);
  const empty = await publisher.run('simulate');
  assert.equal(empty.exit, 2);
  assert.match(empty.err, /--down or --add/);
});
