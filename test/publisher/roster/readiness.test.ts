import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterHealth, WorkerHealth } from '../../../src/cluster/local/node-health.ts';
import { clusterOpinion, clusterStep } from '../../../src/publisher/roster/cluster-views.ts';
import {
  defaultReadiness,
  judgeRound,
  judgeViews,
  knownReadiness,
} from '../../../src/publisher/roster/readiness.ts';
import { siteViews } from '../../../src/publisher/roster/site-views.ts';
import type { ManagerViews } from '../../../src/publisher/roster/view.ts';
import { parseManagerState, queueUsage } from '../../../src/wazuh/manager-state.ts';
import { startMs } from '../fixture.ts';
import { aReport } from '../reports/report-fixture.ts';
import { never } from './worker-health.ts';

function view(id: string, change: Partial<ManagerViews> = {}): ManagerViews {
  return { id, probe: 'up', cluster: 'up', inStep: { kind: 'in_step' }, sites: [], ...change };
}

const known = knownReadiness(['wm1', 'wm2', 'wm3'], startMs);
const site = (name: string, opinion: 'up' | 'down') => ({ site: name, opinion });

test('who is in stays while one place alone speaks against it, and leaves when two agree', () => {
  const cases = [
    [view('wm1', { probe: 'down' }), true], // the publisher is blind, the cluster is not
    [view('wm1', { cluster: 'down' }), true],
    [view('wm1', { probe: 'down', cluster: 'down' }), false],
    [view('wm1', { probe: 'down', cluster: 'unknown' }), false], // no other witness
    [view('wm1', { probe: 'down', cluster: 'unknown', sites: [site('eu', 'up')] }), true],
    [view('wm1', { sites: [site('eu', 'down')] }), true], // a blind office drains nobody
    [view('wm1', { sites: [site('eu', 'down'), site('us', 'down'), site('ap', 'down')] }), false],
    [view('wm1', { inStep: { kind: 'behind', why: 'old keys' } }), false],
  ] as const;
  for (const [seen, isReady] of cases) {
    assert.equal(judgeViews(seen, true, defaultReadiness).isReady, isReady, JSON.stringify(seen));
  }
});

test('a newcomer is let in only when all that is known speaks for it', () => {
  const cases = [
    [view('wm9'), true],
    [view('wm9', { probe: 'down' }), false],
    [view('wm9', { cluster: 'down' }), false],
    [view('wm9', { inStep: { kind: 'behind', why: 'no keys yet' } }), false],
    [view('wm9', { sites: [site('eu', 'down')] }), false], // an address only good inside
    [view('wm9', { cluster: 'unknown', inStep: { kind: 'unknown' } }), true],
  ] as const;
  for (const [seen, isReady] of cases) {
    assert.equal(judgeViews(seen, false, defaultReadiness).isReady, isReady, JSON.stringify(seen));
  }
});

test('daemons, queues and disk of the node here count at once', () => {
  const fine = { missingDaemons: [], queueUsage: 0.2, diskFree: 0.5 };
  const faults = [{ missingDaemons: ['wazuh-db'] }, { queueUsage: 0.99 }, { diskFree: 0.01 }];
  assert.equal(judgeViews(view('wm1', { local: fine }), true, defaultReadiness).isReady, true);
  for (const fault of faults) {
    const local = { ...fine, ...fault };
    assert.equal(judgeViews(view('wm1', { local }), true, defaultReadiness).isReady, false);
  }
});

test('one lost manager leaves in the round that sees it; it comes back after two good ones', () => {
  const lost = view('wm1', { probe: 'down', cluster: 'down' });
  const others = [view('wm2'), view('wm3')];
  const gone = judgeRound(known, [lost, ...others], defaultReadiness, startMs);
  assert.deepEqual(gone.unready, ['wm1']);
  const first = judgeRound(gone.readiness, [view('wm1'), ...others], defaultReadiness, startMs);
  assert.deepEqual(first.unready, ['wm1']);
  const second = judgeRound(first.readiness, [view('wm1'), ...others], defaultReadiness, startMs);
  assert.deepEqual(second.unready, []);
});

test('one that flaps stays out until it was quiet for long', () => {
  let readiness = known;
  let nowMs = startMs;
  const others = [view('wm2'), view('wm3')];
  const round = (isUp: boolean) => {
    nowMs += 1_000;
    const seen = isUp ? view('wm1') : view('wm1', { probe: 'down', cluster: 'down' });
    const result = judgeRound(readiness, [seen, ...others], defaultReadiness, nowMs);
    readiness = result.readiness;
    return result.unready;
  };
  for (let flap = 0; flap < 4; flap += 1) [false, true, true].map(round);
  assert.deepEqual(round(true), ['wm1']);
  nowMs += 3_600_000;
  assert.deepEqual(round(true), []);
});

test('when most look lost at once the list stays, and never becomes empty', () => {
  const lost = (id: string) => view(id, { probe: 'down', cluster: 'down' });
  const most = judgeRound(
    known,
    [lost('wm1'), lost('wm2'), view('wm3')],
    defaultReadiness,
    startMs,
  );
  assert.deepEqual(most.unready, []);
  assert.match(most.guarded ?? '', /2 of 3/);
  const all = judgeRound(known, ['wm1', 'wm2', 'wm3'].map(lost), defaultReadiness, startMs);
  assert.deepEqual(all.unready, []);
  const last = judgeRound(
    knownReadiness(['wm1'], startMs),
    [lost('wm1')],
    defaultReadiness,
    startMs,
  );
  assert.deepEqual(last.unready, []);
});

test('while the list stays, who was out of it stays out', () => {
  const lost = (id: string) => view(id, { probe: 'down', cluster: 'down' });
  const rounds = [
    [lost('wm1'), view('wm2'), view('wm3')],
    [lost('wm1'), lost('wm2'), view('wm3')], // the second one dies while the first is in repair
    [lost('wm1'), lost('wm2'), view('wm3')],
    [lost('wm1'), lost('wm2'), lost('wm3')],
    [lost('wm1'), view('wm2'), view('wm3')],
    [lost('wm1'), view('wm2'), view('wm3')],
  ];
  let readiness = known;
  const unready = rounds.map((views) => {
    const round = judgeRound(readiness, views, defaultReadiness, startMs);
    readiness = round.readiness;
    return round.unready.join(' ');
  });
  assert.deepEqual(unready, ['wm1', 'wm1', 'wm1', 'wm1', 'wm1', 'wm1']);
});

test('a site has a voice from three voters on, and a voter that sees nobody has none', () => {
  const row = (agent: string, verdicts: readonly string[], at = 'eu') => ({
    report: aReport({
      agent,
      site: at,
      health: verdicts.map((verdict, index) => ({ id: `wm${index + 1}`, verdict })),
    }),
    receivedAtMs: startMs,
  });
  const blind = ['001', '002', '003', '004'].map((agent) => row(agent, ['down', 'down']));
  assert.equal(siteViews(blind, startMs).size, 0);
  const two = ['001', '002'].map((agent) => row(agent, ['down', 'up']));
  assert.equal(siteViews(two, startMs).size, 0);
  const three = [...two, row('003', ['down', 'up'])];
  assert.deepEqual(siteViews(three, startMs).get('wm1'), [{ site: 'eu', opinion: 'down' }]);
  assert.equal(siteViews(three, startMs + 120_000).size, 0); // old words
});

function cluster(sync: Partial<WorkerHealth>): ClusterHealth {
  const node = { name: 'w', type: 'worker', version: '4.14.8', address: '172.17.0.2' };
  return { connectedNodes: 1, nodes: [{ ...node, activeAgents: 0, sync: { ...never, ...sync } }] };
}

test('a worker catches up until a check has ended, and is behind when that takes long', () => {
  const at = (ms: number): string => new Date(startMs + ms).toISOString();
  const sight = (health: ClusterHealth | undefined) => ({
    health,
    nowMs: startMs,
    maxAgeMs: 60_000,
  });
  const checked = { start: at(-5_000), end: at(-4_000) };
  const kindOf = (sync: Partial<WorkerHealth>) => clusterStep(sight(cluster(sync)), 'w').kind;
  assert.equal(kindOf({}), 'catching_up');
  assert.equal(kindOf({ integrityCheck: checked }), 'in_step');
  assert.equal(kindOf({ integrityCheck: { start: at(-90_000), end: at(-80_000) } }), 'behind');
  const running = { start: at(-1_000), end: 'n/a', missing: 1, shared: 0, extra: 0 };
  assert.equal(kindOf({ integrityCheck: checked, integritySync: running }), 'catching_up');
  const stuck = { ...running, start: at(-90_000) };
  assert.equal(kindOf({ integrityCheck: checked, integritySync: stuck }), 'behind');
  assert.equal(clusterStep(sight(undefined), 'w').kind, 'unknown'); // a socket that hangs
  assert.equal(clusterOpinion(sight(undefined), 'w'), 'unknown');
  assert.equal(clusterOpinion(sight(cluster({})), 'other'), 'down');
  const stale = cluster({ lastKeepAlive: at(-200_000) });
  assert.equal(clusterOpinion(sight(stale), 'w'), 'down');
});

test('by the store of our own master a newcomer needs every key, one that is in only has to be quick', () => {
  const lags = { keysMs: 0, groupsMs: 0, filesMs: 0, files: 0 };
  const generations = { keysGeneration: 3, newestKeysGeneration: 4 };
  const health = cluster({
    integrityCheck: { start: 'n/a', end: new Date(startMs).toISOString() },
  });
  const stepOf = (change: Partial<typeof lags>) =>
    clusterStep({ health, nowMs: startMs, maxAgeMs: 60_000 }, 'w', {
      ...{ ...lags, ...generations },
      ...change,
    });
  assert.equal(stepOf({}).kind, 'in_step');
  const late = stepOf({ keysMs: 5_000 });
  assert.deepEqual(late, {
    kind: 'catching_up',
    why: 'it lacks keys of agents for 5 s (generation 3 of 4)',
  });
  assert.equal(judgeViews(view('w', { inStep: late }), false, defaultReadiness).isReady, false);
  assert.equal(judgeViews(view('w', { inStep: late }), true, defaultReadiness).isReady, true);
  assert.equal(stepOf({ keysMs: 61_000 }).kind, 'behind');
  assert.equal(stepOf({ groupsMs: 61_000 }).kind, 'behind');
});

test("Wazuh's own state files tell how full the queues are", () => {
  const text =
    "# State\nqueue_size='900'\ntotal_queue_size='1000'\nevent_queue_usage='0.25'\nx=1\n";
  assert.equal(queueUsage(parseManagerState(text)), 0.9);
  assert.equal(queueUsage(parseManagerState('')), 0);
});
