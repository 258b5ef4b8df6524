/** Shares over seeded loads: bounded, stepwise, rare, and never to and fro. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  judgeLoad,
  type LoadTrack,
  loadLimits,
  type Shares,
  shareOf,
} from '../../../src/publisher/weights/judge-load.ts';

const afterMs = 900_000;
const tickMs = 50_000;
const dayMs = 86_400_000;

/** As small as a generator can be that repeats by its seed. */
function seeded(seed: number): () => number {
  let state = seed * 2_654_435_761;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 0x9e3779b9) | 0;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
}

interface Change {
  readonly atMs: number;
  readonly id: string;
  readonly from: number;
  readonly to: number;
}

/** Runs the judge over a trace; `busyAt` may depend on the shares, as real load does. */
function run(
  ids: readonly string[],
  forMs: number,
  busyAt: (id: string, atMs: number, shares: Shares) => number | undefined,
) {
  let shares: Shares = {};
  let tracks: ReadonlyMap<string, LoadTrack> = new Map();
  let changedMs: number | undefined;
  const changes: Change[] = [];
  for (let atMs = 0; atMs < forMs; atMs += tickMs) {
    const samples = ids.flatMap((id) => {
      const busy = busyAt(id, atMs, shares);
      return busy === undefined ? [] : [{ id, busy }];
    });
    const before = shares;
    const ground = { managers: ids, shares, samples, tracks, changedMs, afterMs };
    const verdict = judgeLoad({ ...ground, monotonicMs: atMs });
    ({ shares, tracks } = verdict);
    const moved = ids.filter((id) => shareOf(before, id) !== shareOf(shares, id));
    for (const id of moved) {
      changes.push({ atMs, id, from: shareOf(before, id), to: shareOf(shares, id) });
    }
    if (moved.length > 0) changedMs = atMs;
    else assert.equal(shares, before);
    checkShares(ids, shares);
  }
  for (const { from, to } of changes) assert.equal(Math.abs(from - to), loadLimits.step);
  return { shares, changes };
}

function checkShares(ids: readonly string[], shares: Shares): void {
  const all = Object.entries(shares);
  assert.ok(all.every(([id, share]) => ids.includes(id) && share >= 50 && share < 100));
  assert.ok(all.length * 2 <= ids.length, 'half of the managers keep their weight');
}

/** How often a manager went down after it went up, or up after it went down. */
function turns(changes: readonly Change[]): number {
  const ids = new Set(changes.map(({ id }) => id));
  return [...ids].reduce((sum, id) => {
    const ways = changes.filter((one) => one.id === id).map(({ from, to }) => Math.sign(to - from));
    return sum + ways.filter((way, at) => at > 0 && way !== ways[at - 1]).length;
  }, 0);
}

const four = ['wm1', 'wm2', 'wm3', 'wm4'];

test('noise, spikes and a day like any other change nothing', () => {
  for (let seed = 1; seed <= 10; seed += 1) {
    const random = seeded(seed);
    const { changes } = run(four, 2 * dayMs, (_id, atMs) => {
      const day = 0.45 + 0.35 * Math.sin((atMs / dayMs) * 2 * Math.PI);
      const spike = random() < 0.02 ? 0.5 : 0;
      return Math.max(0, day + (random() - 0.5) * 0.3 + spike);
    });
    assert.deepEqual(changes, [], `seed ${seed}`);
  }
});

test('a load that comes and goes faster than `after` changes nothing', () => {
  for (const periodMs of [120_000, 600_000, 1_200_000]) {
    const { changes } = run(four, dayMs, (id, atMs) =>
      id === 'wm1' && atMs % periodMs < periodMs / 2 ? 0.95 : 0.1,
    );
    assert.deepEqual(changes, [], `period ${periodMs}`);
  }
});

test('weak hosts give away what they cannot bear, in small steps, and never take it to and fro', () => {
  for (let seed = 1; seed <= 12; seed += 1) {
    const random = seeded(seed);
    const capacity = new Map(four.map((id) => [id, 0.6 + random() * 0.8]));
    const demand = 2 + random();
    // Agents follow the weights late: a fiftieth of the way in every look, some not at all.
    const held = new Map(four.map((id) => [id, 0.25]));
    const days = 5;
    const { changes } = run(four, days * dayMs, (id, atMs, shares) => {
      const total = four.reduce((sum, one) => sum + shareOf(shares, one), 0);
      const now = held.get(id) ?? 0;
      held.set(id, now + (shareOf(shares, id) / total - now) / 50);
      const day = 0.75 + 0.25 * Math.sin((atMs / dayMs) * 2 * Math.PI);
      const busy = (demand * day * (held.get(id) ?? 0)) / (capacity.get(id) ?? 1);
      return Math.min(1, busy + (random() - 0.5) * 0.1);
    });
    assert.ok(turns(changes) <= 2, `seed ${seed}: ${JSON.stringify(changes)}`);
    assert.ok(changes.length <= 16, `seed ${seed}: ${changes.length} changes in ${days} days`);
    const late = changes.filter(({ atMs }) => atMs > 3 * dayMs);
    assert.ok(late.length <= 1, `seed ${seed}: ${JSON.stringify(late)}`);
  }
});

test('whatever is said, shares stay in range and change at most once in `after`', () => {
  for (let seed = 1; seed <= 12; seed += 1) {
    const random = seeded(seed);
    let level = new Map<string, number>();
    const { changes } = run(four, dayMs, (id, atMs) => {
      if (atMs % 3_600_000 === 0) level = new Map([...level, [id, random() * 4 - 1]]);
      return random() < 0.1 ? undefined : (level.get(id) ?? 0); // beyond 0 to 1, too
    });
    const instants = [...new Set(changes.map(({ atMs }) => atMs))];
    const gaps = instants.slice(1).map((atMs, at) => atMs - (instants[at] ?? 0));
    assert.ok(
      gaps.every((gap) => gap >= afterMs),
      `seed ${seed}: ${gaps}`,
    );
  }
});

test('one that is far too busy falls to half and no further, and has all of it back when it is not', () => {
  const { shares, changes } = run(four, dayMs / 2, (id) => (id === 'wm1' ? 0.99 : 0.3));
  assert.deepEqual(shares, { wm1: 50 });
  assert.deepEqual(
    changes.map(({ to }) => to),
    [90, 80, 70, 60, 50],
  );
  const back = run(four, 2 * dayMs, (id, atMs) => (id === 'wm1' && atMs < dayMs / 2 ? 0.99 : 0.5));
  assert.deepEqual(back.shares, {});
});

test('hosts of which nothing is known take nothing away, and what was taken stays while they are silent', () => {
  assert.deepEqual(run(four, dayMs, (id) => (id === 'wm1' ? 0.99 : undefined)).changes, []);
  const silent = run(four, dayMs, (id, atMs) => {
    if (atMs >= 2 * 3_600_000) return undefined;
    return id === 'wm1' ? 0.99 : 0.3;
  });
  assert.ok(shareOf(silent.shares, 'wm1') < 100);
  assert.ok(silent.changes.every(({ atMs }) => atMs <= 2 * 3_600_000 + 60_000));
  assert.deepEqual(run(['wm1'], dayMs, () => 1).changes, []);
});
