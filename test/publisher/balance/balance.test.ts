/** Surplus only, after a long time, never who is well placed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseList, renderList } from '../../../src/list/parse-list.ts';
import { rankManagers } from '../../../src/list/select.ts';
import { silentLog } from '../../../src/log.ts';
import { LoadCounter } from '../../../src/publisher/balance/count-loads.ts';
import {
  type BalanceGround,
  judgeBalance,
  type Load,
} from '../../../src/publisher/balance/judge-balance.ts';
import { lookOnce } from '../../../src/publisher/balance/keep-balance.ts';
import { Complaints } from '../../../src/publisher/complaints.ts';
import { listedManagers, weighManager } from '../../../src/publisher/content.ts';
import { balanceOrder, publishConfigured, weightOrder } from '../../../src/publisher/orders.ts';
import { listOf, publish } from '../../../src/publisher/publish.ts';
import { configuredOf, managersOf, openDesk, startMs } from '../fixture.ts';
import { aReport } from '../reports/report-fixture.ts';

const settings = { skewPct: 20, afterMs: 900_000 };

function load(id: string, agents: number, share: number, strangers: Record<string, number>): Load {
  return { id, agents, share, strangers: new Map(Object.entries(strangers)) };
}

const skewed = [
  load('a', 150, 100, { b: 55, c: 5 }),
  load('b', 50, 100, {}),
  load('c', 100, 100, { a: 5 }),
];

function ground(change: Partial<BalanceGround> = {}): BalanceGround {
  const base = { loads: skewed, since: new Map(), asked: undefined, settings };
  return { ...base, nowMs: startMs, version: 7, ...change };
}

test('skew that lasts asks as many strangers home as there are too many, and nobody before', () => {
  const first = judgeBalance(ground());
  assert.equal(first.asked, undefined);
  assert.deepEqual([...first.since], [['a', startMs]]);
  const later = judgeBalance(ground({ since: first.since, nowMs: startMs + 900_000 }));
  assert.deepEqual(later.asked, { id: 'b-7', from: ['a'], pct: 84 }); // 50 of 60 strangers
  assert.equal(later.why, 'a holds 150, its share is 100');
  const even = [load('a', 105, 100, { b: 10 }), load('b', 95, 100, {})];
  const calm = judgeBalance(ground({ loads: even, since: first.since, nowMs: startMs + 900_000 }));
  assert.deepEqual([calm.asked, [...calm.since]], [undefined, []], 'it begins anew');
});

test('what is asked stays the same until half the skew is gone, then nothing is asked', () => {
  const asked = { id: 'b-7', from: ['a'], pct: 84 };
  const since = new Map([['a', startMs]]);
  const nowMs = startMs + 2_000_000;
  assert.equal(judgeBalance(ground({ asked, since, nowMs })).asked, asked);
  const half = [load('a', 115, 100, { b: 20 }), load('b', 85, 100, {})];
  assert.equal(judgeBalance(ground({ loads: half, asked, since, nowMs })).asked, asked);
  const done = [load('a', 108, 100, { b: 13 }), load('b', 92, 100, {})];
  assert.equal(judgeBalance(ground({ loads: done, asked, since, nowMs })).asked, undefined);
});

test('where all on a busy manager are at home nobody is asked; few agents are no skew', () => {
  const old = { since: new Map([['a', 0]]), nowMs: startMs };
  const placed = [load('a', 150, 100, {}), load('b', 50, 100, {})];
  assert.equal(judgeBalance(ground({ loads: placed, ...old })).asked, undefined);
  const small = [load('a', 6, 3, { b: 3 }), load('b', 1, 4, {})];
  assert.equal(judgeBalance(ground({ loads: small, ...old })).asked, undefined);
});

test('loads are counted against the ranking of the list, weights included; silent agents are nowhere', () => {
  const managers = managersOf('wm1', 'wm2').map((one) => ({ ...one, zone: 'default' }));
  const heavy = managers.map((one) => (one.id === 'wm1' ? { ...one, weight: 300 } : one));
  const rows = Array.from({ length: 7_000 }, (_, at) => {
    const agent = `${at + 1}`.padStart(3, '0');
    const receivedAtMs = at < 10 ? startMs - 10_000_000 : startMs;
    return { report: aReport({ agent, place: agent, manager: 'wm1' }), receivedAtMs };
  });
  const counter = new LoadCounter();
  assert.equal(counter.count(heavy, rows, startMs), undefined, 'not all are ranked yet');
  const loads = counter.count(heavy, rows, startMs);
  assert.ok(loads !== undefined);
  const homes = rows.slice(10).filter(({ report }) => {
    return rankManagers(heavy, { agentId: report.place })[0]?.id === 'wm1';
  }).length;
  assert.deepEqual(
    loads.map(({ id, agents, share }) => [id, agents, share]),
    [
      ['wm1', 6_990, homes],
      ['wm2', 0, 6_990 - homes],
    ],
  );
  assert.ok(homes > 5_000 && homes < 5_500, `three quarters: ${homes}`);
  assert.equal(loads[0]?.strangers.get('wm2'), 6_990 - homes);
});

test('weights set by command are in the list, survive the configuration and can be taken back', async (t) => {
  const desk = await openDesk(t);
  const configured = configuredOf('wm1', 'wm2');
  await publish(desk, publishConfigured(configured));
  await publish(desk, weightOrder(configured, 'wm1', 50));
  const changed = { ...configured, validFor: 3_600 };
  const { entry } = await publish(desk, publishConfigured(changed));
  assert.deepEqual(
    listOf(entry).managers.map(({ weight }) => weight),
    [50, 100],
  );
  const { entry: back } = await publish(desk, weightOrder(changed, 'wm1', undefined));
  assert.deepEqual(
    listOf(back).managers.map(({ weight }) => weight),
    [100, 100],
  );
  assert.equal(listedManagers(weighManager(back.content, 'wm2', 0))[1]?.weight, 0);
  assert.throws(() => weighManager(back.content, 'wm9', 1), { reason: 'unknown_manager' });
});

test('the list carries what is asked, and the next configuration forgets it', async (t) => {
  const desk = await openDesk(t);
  const configured = configuredOf('wm1', 'wm2');
  await publish(desk, publishConfigured(configured));
  const asked = { id: 'b-2', from: ['wm1'], pct: 40 };
  const { entry } = await publish(desk, balanceOrder(configured, asked, 'skew'));
  const list = listOf(entry);
  assert.deepEqual(list.balance, asked);
  assert.deepEqual(parseList(renderList(list)), list);
  const { entry: next } = await publish(
    desk,
    publishConfigured({ ...configured, validFor: 3_600 }),
  );
  assert.equal(listOf(next).balance, undefined);
});

test('the running publisher asks when skew lasts, and stops asking when it is gone', async (t) => {
  const desk = await openDesk(t);
  const configured = configuredOf('wm1', 'wm2');
  await publish(desk, publishConfigured(configured));
  let isSkewed = true;
  const rows = () =>
    Array.from({ length: 200 }, (_, at) => {
      const agent = `${at + 1}`.padStart(3, '0');
      const [home] = rankManagers(configured.managers, { agentId: agent, zone: 'default' });
      const report = aReport({ agent, place: agent, manager: isSkewed ? 'wm1' : (home?.id ?? '') });
      return { report, receivedAtMs: desk.clock.nowMs() };
    });
  const parts = {
    ...{ clock: desk.clock, log: silentLog, history: desk.history, rows },
    complaints: new Complaints(silentLog, desk.clock.nowMs),
    settings: () => settings,
    leads: () => true,
    publish: async (asked: Parameters<typeof balanceOrder>[1], why: string) => {
      await publish(desk, balanceOrder(configured, asked, why));
    },
  };
  const counter = new LoadCounter();
  let since = await lookOnce(parts, counter, new Map());
  assert.equal(desk.history.newest()?.version, 1);
  desk.clock.atMs += 900_000;
  since = await lookOnce(parts, counter, since);
  assert.deepEqual(desk.history.newest()?.content.balance?.from, ['wm1']);
  assert.equal(desk.history.newest()?.content.balance?.pct, 100);
  since = await lookOnce(parts, counter, since);
  assert.equal(desk.history.newest()?.version, 2, 'asked once');
  isSkewed = false;
  await lookOnce(parts, counter, since);
  assert.equal(desk.history.newest()?.version, 3);
  assert.equal(desk.history.newest()?.content.balance, undefined);
});
