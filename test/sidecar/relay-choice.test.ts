import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultJudgeSettings, type Health, judgeOutcome } from '../../src/health/judge.ts';
import type { Manager } from '../../src/list/model.ts';
import { admissionWaitMs, chooseManagers, patienceMs } from '../../src/sidecar/relay-choice.ts';
import { loopbackList } from './scene.ts';

const manager = (id: string, address: string, state: Manager['state'] = 'up'): Manager => ({
  ...{ id, address, port: 1_514, protocol: 'tcp', zone: 'default', prio: 0, weight: 100, state },
});

function alive(...ips: readonly string[]): Health {
  return judgeOutcome(undefined, { kind: 'alive', tookMs: 1, ips }, defaultJudgeSettings, 0);
}

function dead(...ips: readonly string[]): Health {
  const outcome = { kind: 'dead', failure: 'refused', detail: '', tookMs: 1, ips } as const;
  const once = judgeOutcome(undefined, outcome, defaultJudgeSettings, 0);
  return judgeOutcome(once, outcome, defaultJudgeSettings, 1);
}

const places = (chosen: ReturnType<typeof chooseManagers>): readonly string[] =>
  chosen.map(({ id, address }) => `${id} ${address}`);

test('every address of a name is dialled, the one that answered first, before the next manager', () => {
  const ranking = [manager('a', 'a.test'), manager('b', '192.0.2.9')];
  const health = new Map([
    ['a', alive('192.0.2.2', '192.0.2.1')],
    ['b', alive('192.0.2.9')],
  ]);
  assert.deepEqual(places(chooseManagers('001', ranking, health, 10)), [
    'a 192.0.2.2',
    'a 192.0.2.1',
    'b 192.0.2.9',
  ]);
});

test('a name nobody resolved yet is dialled as it is; at most four addresses of one name', () => {
  const many = Array.from({ length: 9 }, (_, index) => `192.0.2.${index + 1}`);
  const ranking = [manager('a', 'a.test'), manager('b', 'b.test')];
  const chosen = places(chooseManagers('001', ranking, new Map([['b', alive(...many)]]), 10));
  assert.deepEqual(chosen.slice(-1), ['a a.test']);
  assert.equal(chosen.length, 5);
});

test('a manager that came back a moment ago gets a tenth of the agents that would go to it', () => {
  const ranking = [manager('a', '192.0.2.1'), manager('b', '192.0.2.2')];
  const health = new Map([
    ['a', { ...alive(), returnedAtMs: 1_000 }],
    ['b', alive()],
  ]);
  const firstAt = (nowMs: number): number =>
    Array.from({ length: 500 }, (_, number) =>
      chooseManagers(`${number}`, ranking, health, nowMs),
    ).filter(([first]) => first?.id === 'a').length;
  const young = firstAt(1_500);
  assert.ok(young > 20 && young < 90, `${young}`);
  assert.equal(firstAt(1_000 + 120_000), 500);
});

test('when all look dead, one that fell long before the others is dialled last', () => {
  const ranking = [manager('a', '192.0.2.1'), manager('b', '192.0.2.2'), manager('c', '192.0.2.3')];
  const health = new Map([
    ['a', { ...dead(), sinceAtMs: 100_000 }],
    ['b', { ...dead(), sinceAtMs: 130_000 }],
    ['c', { ...dead(), sinceAtMs: 128_000 }],
  ]);
  const chosen = chooseManagers('001', ranking, health, 131_000);
  assert.deepEqual(
    chosen.map(({ id }) => id),
    ['b', 'c', 'a'],
  );
});

test('up, then unknown, then drained, then dead; nobody is left out', () => {
  const ranking = [
    manager('dead', '192.0.2.1'),
    manager('drained', '192.0.2.2', 'drain'),
    manager('new', '192.0.2.3'),
    manager('up', '192.0.2.4'),
  ];
  const health = new Map([
    ['dead', dead('192.0.2.1')],
    ['drained', alive('192.0.2.2')],
    ['up', alive('192.0.2.4')],
  ]);
  assert.deepEqual(
    chooseManagers('001', ranking, health, 10).map(({ id }) => id),
    ['up', 'new', 'drained', 'dead'],
  );
});

test('slots later than an agent can be kept are dealt anew: they do not all end at one instant', () => {
  const base = loopbackList();
  const [first] = base.managers;
  assert.ok(first !== undefined);
  const list = { ...base, client: { ...base.client, agents: 1_000_000 } };
  const ranking = list.managers;
  const health = new Map(
    ranking.map(({ id }) => [id, id === first.id ? dead() : alive()] as const),
  );
  const ranked = { list, hash: 'sha256:x', acceptedAtMs: 0, ranking };
  const waits = Array.from({ length: 400 }, (_, number) =>
    admissionWaitMs({ agentId: `${number}`, list: ranked, health, nowMs: 10 }, first.id, 0),
  );
  assert.ok(waits.every((ms) => ms >= 0 && ms <= 45_000));
  const late = waits.filter((ms) => ms > 40_000).length;
  assert.ok(late > 10 && late < 90, `${late}`);
});

const askedAgain = Array.from({ length: 200 }, (_, number) => `${number}`);

/** When each goes on: one of three managers died, the second one while they waited in their relays. */
function goneOnMs(agents: number): readonly number[] {
  const base = loopbackList();
  const managers = ['a', 'b', 'c'].map((id, place) => manager(id, `192.0.2.${place + 1}`));
  const list = { ...base, managers, client: { ...base.client, agents } };
  const ranked = { list, hash: 'sha256:x', acceptedAtMs: 0, ranking: managers };
  const waitMs = (agentId: string, b: Health, nowMs: number, leftMs?: number): number => {
    const health = new Map([
      ['a', dead()],
      ['b', b],
      ['c', alive()],
    ] as const);
    const ground = { agentId, list: ranked, health, nowMs: dead().sinceAtMs + nowMs };
    return admissionWaitMs(ground, 'a', nowMs, leftMs);
  };
  return askedAgain.map((agentId) => {
    const slotMs = waitMs(agentId, alive(), 0);
    const leftMs = 45_000 - slotMs;
    assert.equal(waitMs(agentId, alive(), slotMs, leftMs), 0, 'nothing has changed');
    return slotMs + waitMs(agentId, dead(), slotMs, leftMs);
  });
}

test('asked again when one of two that take the agents in has hung: slots as long as the other needs', () => {
  // A third of all for two is 6 s; then two thirds for one are 25 s, and those that return come later.
  const atMs = goneOnMs(3_000);
  assert.ok(atMs.every((ms) => ms <= 45_000));
  const early = atMs.filter((ms) => ms < 6_000).length;
  assert.ok(early < 60, `${early} of ${atMs.length} in the slots of before`);
});

test('asked again, too late for a new slot: spread over the hold, no crowd at its end', () => {
  // 19 s, then more than anybody is held.
  const atMs = goneOnMs(9_000);
  assert.ok(atMs.every((ms) => ms <= 45_000));
  const early = atMs.filter((ms) => ms < 19_000).length;
  assert.ok(early < 30, `${early} of ${atMs.length} in the slots of before`);
  const last = atMs.filter((ms) => ms > 40_000).length;
  assert.ok(last < 50, `${last} of ${atMs.length} in the last 5 s`);
});

test('only who answered the last probe is worth dialling again, whatever the verdict says', () => {
  const ranking = [
    manager('up', '192.0.2.1'),
    manager('back', '192.0.2.2'),
    manager('no', '192.0.2.3'),
  ];
  const back = judgeOutcome(
    dead('192.0.2.2'),
    { kind: 'alive', tookMs: 1, ips: ['192.0.2.2'] },
    defaultJudgeSettings,
    2,
  );
  const health = new Map([
    ['up', alive()],
    ['back', back],
    ['no', dead()],
  ]);
  assert.equal(back.verdict, 'down');
  assert.deepEqual(
    chooseManagers('001', ranking, health, 10).map(({ id, answers }) => [id, answers]),
    [
      ['up', true],
      ['back', true],
      ['no', undefined],
    ],
  );
});

test('an agent is kept long where every manager refuses, a moment where the fault may be here', () => {
  const ranking = [
    manager('a', '192.0.2.1'),
    manager('b', '192.0.2.2'),
    manager('c', '192.0.2.3', 'down'),
  ];
  const silent = { ...dead(), failure: 'silent' } as const;
  const patience = (a: Health, b: Health): number =>
    patienceMs(
      ranking,
      new Map([
        ['a', a],
        ['b', b],
        ['c', silent],
      ]),
    );
  assert.equal(patience(dead(), dead()), 20_000);
  assert.equal(patience(dead(), { ...dead(), failure: 'unresolved' }), 3_000);
  assert.equal(patience(dead(), silent), 3_000);
  assert.equal(patience(dead(), alive()), 3_000);
  const starting = judgeOutcome(
    dead(),
    { kind: 'alive', tookMs: 1, ips: [] },
    defaultJudgeSettings,
    2,
  );
  assert.equal(
    patience(dead(), starting),
    20_000,
    'a manager that has just come back ends no wait',
  );
});

test('nobody is kept without a list, nor for long where nothing is known', () => {
  assert.equal(patienceMs([], new Map()), 0);
  assert.equal(patienceMs([manager('a', '192.0.2.1')], new Map()), 3_000);
});

test('agents whose manager was dead and is back come back as fast as it takes them in', () => {
  const list = loopbackList({ client: { ...loopbackList().client, agents: 6_000 } });
  const [first] = list.managers;
  assert.ok(first !== undefined);
  const ranked = { list, hash: 'sha256:x', acceptedAtMs: 0, ranking: list.managers };
  const waitsOf = (seen: Health, lostForMs: number): readonly number[] =>
    Array.from({ length: 400 }, (_, number) => {
      const health = new Map(list.managers.map(({ id }) => [id, id === first.id ? seen : dead()]));
      const ground = { agentId: `${number}`, list: ranked, health, nowMs: 10_000 };
      return admissionWaitMs(ground, first.id, lostForMs);
    });
  const back = { ...alive(), returnedAtMs: 9_000 };
  const slots = waitsOf(back, 5_000);
  const late = slots.filter((ms) => ms > 12_000).length;
  assert.ok(late > 120 && late < 260, `${late} of 400 in the second half of 25 s`);
  assert.ok(Math.max(...slots) <= 24_000, 'counted from its return');
  const never = waitsOf(alive(), 5_000);
  assert.ok(
    never.every((ms) => ms === 0),
    'it answered all the time: nobody else lost it',
  );
  const before = waitsOf(back, 500);
  assert.ok(
    before.every((ms) => ms === 0),
    'it was back before this agent lost it',
  );
});
