/** Who is asked, when, and what comes of it; with answers that the test gives. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Clock } from '../../src/clock.ts';
import type { Marks } from '../../src/health/holder.ts';
import { systemClock } from '../../src/host/system-clock.ts';
import { silentLog } from '../../src/log.ts';
import { HolderWatch } from '../../src/sidecar/holder-watch.ts';
import { eventually } from '../fakes/processes.ts';

/** Pauses are a twentieth of what they are. */
const clock: Clock = {
  ...systemClock,
  after: (ms, task) => systemClock.after(ms / 20, task),
};
const target = { id: 'wm', address: '10.0.0.9', port: 1_514, publishers: [] };
const listed = new Set(['wm']);

function watch(t: TestContext) {
  const scene = {
    answers: [] as Marks[],
    now: { server: 'a' } as Marks,
    asked: 0,
    moves: 0,
    neighbours: new Map<string, string>(),
  };
  const holders = new HolderWatch({
    ...{ clock, log: silentLog, random: { fraction: () => 0.5, bytes: (n) => new Uint8Array(n) } },
    ask: async () => {
      scene.asked += 1;
      return scene.answers.shift() ?? scene.now;
    },
    neighbours: () => scene.neighbours,
    moved: () => {
      scene.moves += 1;
    },
  });
  const stop = new AbortController();
  const running = holders.run(stop.signal).catch(() => undefined);
  t.after(async () => {
    stop.abort();
    await running;
  });
  return { holders, scene };
}

test('a manager in use is asked once; trouble asks again, and another node is a move', async (t) => {
  const { holders, scene } = watch(t);
  holders.look(target, listed, 0);
  await eventually('it is known', () => holders.seen().get('wm')?.marks.server === 'a');
  assert.equal(scene.asked, 1);
  scene.answers = [{}, {}]; // nobody answers for a while
  scene.now = { server: 'b' };
  holders.trouble('wm');
  await eventually('the move is told', () => scene.moves === 1);
  assert.equal(holders.seen().get('wm')?.marks.server, 'b');
  assert.ok((holders.seen().get('wm')?.movedAtMs ?? 0) > 0);
});

test('two nodes that answer in turns are no move', async (t) => {
  const { holders, scene } = watch(t);
  holders.look(target, listed, 0);
  await eventually('it is known', () => holders.seen().get('wm')?.marks.server === 'a');
  scene.answers = [{ server: 'b' }, { server: 'a' }];
  holders.trouble('wm');
  await eventually('it is split', () => holders.seen().get('wm')?.splitAtMs !== undefined);
  assert.equal(scene.moves, 0);
});

test('another hardware address behind the same one is trouble; managers that left are forgotten', async (t) => {
  const { holders, scene } = watch(t);
  scene.neighbours.set(target.address, '02:00:00:00:00:0a');
  holders.look(target, listed, 0);
  await eventually('it is known', () => holders.seen().get('wm')?.marks.server === 'a');
  scene.now = { server: 'b' };
  scene.neighbours.set(target.address, '02:00:00:00:00:0b');
  holders.look(target, listed, 0);
  await eventually('the move is told', () => scene.moves === 1);
  assert.equal(holders.seen().get('wm')?.neighbour?.mac, '02:00:00:00:00:0b');
  holders.look(undefined, new Set(), 0);
  assert.equal(holders.seen().size, 0);
});

test('the entry of a manager that was left is told as it is now, and no more once it is gone', async (t) => {
  const { holders, scene } = watch(t);
  const both = new Set(['wm', 'other']);
  scene.neighbours.set(target.address, '02:00:00:00:00:0a');
  holders.look(target, both, 0);
  const next = { ...target, id: 'other', address: '10.0.0.8' };
  const macOf = (): string | undefined => holders.seen().get('wm')?.neighbour?.mac;
  holders.look(next, both, 0);
  const sinceAtMs = holders.seen().get('wm')?.neighbour?.sinceAtMs;
  assert.equal(macOf(), '02:00:00:00:00:0a');
  scene.neighbours.clear();
  holders.look(next, both, 0);
  assert.equal(macOf(), undefined);
  scene.neighbours.set(target.address, '02:00:00:00:00:0a');
  holders.look(next, both, 0);
  assert.equal(holders.seen().get('wm')?.neighbour?.sinceAtMs, sinceAtMs);
  scene.neighbours.set(target.address, '02:00:00:00:00:0b');
  holders.look(next, both, 0);
  assert.equal(macOf(), '02:00:00:00:00:0b');
});

test('trouble of a manager that is not in use asks nobody', async (t) => {
  const { holders, scene } = watch(t);
  holders.look(target, listed, 0);
  await eventually('it is known', () => holders.seen().get('wm')?.marks.server === 'a');
  holders.trouble('other');
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(scene.asked, 1);
});
