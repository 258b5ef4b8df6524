import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Manager } from '../../src/list/model.ts';
import { isInWave } from '../../src/list/rollout.ts';
import { rankManagers } from '../../src/list/select.ts';
import { aManager } from './documents.ts';

const run = { seed: 20261121, numRuns: 300 };
const agents = Array.from({ length: 20_000 }, (_, index) => `agent-${index}`);
const eight = Array.from({ length: 8 }, (_, index) => aManager(`wm-0${index + 1}`));

function ids(managers: readonly Manager[], agentId: string, zone?: string): string[] {
  const place = zone === undefined ? { agentId } : { agentId, zone };
  return rankManagers(managers, place).map((manager) => manager.id);
}

/** How often each id is the one that `pick` finds. */
function tally(pick: (agentId: string) => string | undefined): Map<string, number> {
  const counts = new Map<string, number>();
  for (const agentId of agents) {
    const id = pick(agentId) ?? 'none';
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}

/** Within five standard deviations of a binomial with this share. */
function assertShare(count: number, of: number, share: number, what: string): void {
  const slack = 5 * Math.sqrt(of * share * (1 - share));
  assert.ok(Math.abs(count - of * share) < slack, `${what}: ${count} of ${of}, share ${share}`);
}

test('the ranking is the same on every host and in every version', () => {
  assert.deepEqual(ids(eight.slice(0, 4), '001'), ['wm-02', 'wm-03', 'wm-01', 'wm-04']);
  assert.deepEqual(ids(eight.slice(0, 4), '002'), ['wm-02', 'wm-01', 'wm-03', 'wm-04']);
});

test('first choices spread evenly over equal managers', () => {
  const firsts = tally((agentId) => ids(eight, agentId)[0]);
  assert.equal(firsts.size, 8);
  for (const [id, count] of firsts) assertShare(count, agents.length, 1 / 8, id);
});

test('first choices follow the weights', () => {
  const weights = [100, 200, 300, 400];
  const managers = weights.map((weight, index) => aManager(`w${index}`, { weight }));
  const firsts = tally((agentId) => ids(managers, agentId)[0]);
  weights.forEach((weight, index) => {
    assertShare(firsts.get(`w${index}`) ?? 0, agents.length, weight / 1_000, `w${index}`);
  });
});

test('taking one manager away moves only its own agents, and those evenly', () => {
  const [gone, ...rest] = eight;
  assert.ok(gone !== undefined);
  const own = agents.filter((agentId) => ids(eight, agentId)[0] === gone.id);
  const others = agents.filter((agentId) => ids(eight, agentId)[0] !== gone.id);
  for (const agentId of others) {
    assert.equal(ids(rest, agentId)[0], ids(eight, agentId)[0]);
  }
  const seconds = new Map<string, number>();
  for (const agentId of own) {
    const id = ids(rest, agentId)[0] ?? 'none';
    seconds.set(id, (seconds.get(id) ?? 0) + 1);
  }
  assert.equal(seconds.size, 7);
  for (const [id, count] of seconds) assertShare(count, own.length, 1 / 7, id);
});

test('raising one weight moves agents only to that manager', () => {
  const raised = eight.map((one) => (one.id === 'wm-03' ? { ...one, weight: 200 } : one));
  for (const agentId of agents.slice(0, 4_000)) {
    const [before, after] = [ids(eight, agentId)[0], ids(raised, agentId)[0]];
    assert.ok(after === before || after === 'wm-03');
  }
});

test('the rest of the ranking never depends on a manager that left, nor on the order of the list', () => {
  const subset = fc.shuffledSubarray(eight, { minLength: 1 });
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), subset, (agentId, managers) => {
      const kept = new Set(managers.map((one) => one.id));
      const expected = ids(eight, agentId).filter((id) => kept.has(id));
      assert.deepEqual(ids(managers, agentId), expected);
    }),
    run,
  );
});

test('lower prio comes first, whatever weight, zone and hash say', () => {
  const managers = [
    aManager('far', { prio: 1, weight: 1_000, zone: 'here' }),
    aManager('near', { prio: 0, weight: 1, zone: 'there' }),
  ];
  for (const agentId of agents.slice(0, 50)) {
    assert.deepEqual(ids(managers, agentId, 'here'), ['near', 'far']);
  }
});

test('the own zone comes first within one prio', () => {
  const managers = eight.map((one, index) => ({ ...one, zone: index < 2 ? 'here' : 'there' }));
  for (const agentId of agents.slice(0, 50)) {
    assert.deepEqual(
      new Set(ids(managers, agentId, 'here').slice(0, 2)),
      new Set(['wm-01', 'wm-02']),
    );
  }
});

test('weight 0 comes last of its state, even before prio and zone', () => {
  const managers = [
    aManager('last', { weight: 0, prio: 0, zone: 'here' }),
    aManager('first', { weight: 1, prio: 9, zone: 'there' }),
    aManager('drained', { state: 'drain' }),
  ];
  assert.deepEqual(ids(managers, 'any', 'here'), ['first', 'last', 'drained']);
});

test('up before drain before down; nobody of the list is left out', () => {
  const down = aManager('down', { state: 'down' });
  const drain = aManager('drain', { state: 'drain' });
  const up = aManager('up', { prio: 9 });
  assert.deepEqual(ids([down, drain, up], 'any'), ['up', 'drain', 'down']);
  assert.deepEqual(ids([down, drain], 'any'), ['drain', 'down']);
  assert.deepEqual(ids([down], 'any'), ['down']);
  assert.deepEqual(ids([], 'any'), []);
});

test('no rollout means everybody; a wave holds its share and only grows', () => {
  const wave = (pct: number) => ({ id: 'r-1', salt: 's', pct });
  assert.equal(isInWave(undefined, 'any'), true);
  const small = agents.filter((agentId) => isInWave(wave(5), agentId));
  assertShare(small.length, agents.length, 0.05, '5 %');
  assert.ok(small.every((agentId) => isInWave(wave(25), agentId)));
  assert.equal(agents.filter((agentId) => isInWave(wave(0), agentId)).length, 0);
  assert.equal(agents.filter((agentId) => isInWave(wave(100), agentId)).length, agents.length);
});

test('another salt draws another wave', () => {
  const draw = (salt: string) => agents.filter((id) => isInWave({ id: 'r', salt, pct: 5 }, id));
  const first = new Set(draw('a'));
  const both = draw('b').filter((agentId) => first.has(agentId));
  assertShare(both.length, agents.length, 0.0025, 'in both');
});
