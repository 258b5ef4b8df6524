/** What `simulate --down` foretells is what the ranking of every sidecar then does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Manager, ManagerList } from '../../src/list/model.ts';
import { clientDefaults } from '../../src/list/parse-list.ts';
import { rankManagers } from '../../src/list/select.ts';
import { forecast, type KnownAgent } from '../../src/simulation/what-if.ts';

function managerOf(id: string, weight = 100, state: Manager['state'] = 'up'): Manager {
  const rest = { port: 1514, protocol: 'tcp', zone: 'z', prio: 0 } as const;
  return { id, address: id, ...rest, weight, state };
}

function listOf(managers: readonly Manager[]): ManagerList {
  return {
    org: 'acme',
    rootVersion: 1,
    epoch: 1,
    term: 1,
    version: 1,
    aud: { group: '*', site: '*' },
    issuedAtMs: 0,
    validFor: 86_400,
    managers,
    client: { ...clientDefaults, agents: 40_000 },
  };
}

const agents: readonly KnownAgent[] = Array.from({ length: 4_000 }, (_, number) => ({
  place: String(number + 1),
}));

/** Within five standard deviations of a binomial. */
function assertShare(count: number, of: number, share: number, what: string): void {
  const slack = 5 * Math.sqrt(of * share * (1 - share));
  assert.ok(Math.abs(count - of * share) <= slack, `${what}: ${count} of ${of}, share ${share}`);
}

test('a dead manager moves its own agents only, and spreads them by weight', () => {
  const weights = fc.array(fc.integer({ min: 20, max: 400 }), { minLength: 3, maxLength: 8 });
  fc.assert(
    fc.property(weights, fc.nat(7), (some, pick) => {
      const managers = some.map((weight, number) => managerOf(`m${number}`, weight));
      const dead = managers[pick % managers.length];
      assert.ok(dead !== undefined);
      const seen = forecast(listOf(managers), agents, { down: [dead.id], added: [] });
      const rows = new Map(seen.managers.map((one) => [one.id, one]));
      const left = rows.get(dead.id);
      const total = some.reduce((sum, weight) => sum + weight, 0);
      assertShare(left?.before ?? 0, agents.length, dead.weight / total, `on ${dead.id}`);
      assert.equal(seen.moved, left?.before);
      assert.equal(left?.after, 0);
      for (const { id, weight } of managers) {
        if (id === dead.id) continue;
        const row = rows.get(id);
        assert.equal(row?.leaves, 0, `${id} keeps its own`);
        const share = weight / (total - dead.weight);
        assertShare(row?.comes ?? 0, seen.moved, share, `from ${dead.id} to ${id}`);
      }
    }),
    { seed: 4, numRuns: 6 },
  );
});

test('it foretells the first choice that the ranking then has', () => {
  const managers = ['a', 'b', 'c', 'd'].map((id) => managerOf(id));
  for (const agent of agents.slice(0, 200)) {
    const [home] = rankManagers(managers, { agentId: agent.place });
    assert.ok(home !== undefined);
    const seen = forecast(listOf(managers), [agent], { down: [home.id], added: [] });
    const then = managers.map((one) => (one === home ? managerOf(one.id, 100, 'down') : one));
    assert.equal(seen.moves[0]?.to, rankManagers(then, { agentId: agent.place })[0]?.id);
  }
});

test('an agent is where it reports to be, not where it ranks', () => {
  const managers = ['a', 'b', 'c'].map((id) => managerOf(id));
  const placed = agents.map((agent) => ({ ...agent, on: 'b' }));
  const change = { down: ['b'], added: [] };
  assert.equal(forecast(listOf(managers), placed, change).moved, agents.length);
  assert.equal(forecast(listOf(managers), placed, { ...change, down: ['a'] }).moved, 0);
});

test('an added manager draws its share and moves nobody by itself', () => {
  const managers = ['a', 'b', 'c'].map((id) => managerOf(id));
  const change = { down: [], added: [managerOf('d')] };
  const seen = forecast(listOf(managers), agents, change);
  assert.equal(seen.moved, 0);
  assertShare(seen.drawn, agents.length, 1 / 4, 'drawn to d');
});

test('when the last one dies nobody has anywhere to go', () => {
  const seen = forecast(listOf([managerOf('a'), managerOf('b', 100, 'down')]), agents, {
    down: ['a'],
    added: [],
  });
  assert.equal(seen.stranded, agents.length);
  assert.equal(seen.moved, 0);
});
