/** Leaving a dead manager: at once in a small fleet, as fast as the survivors admit in a big one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Health } from '../../src/health/judge.ts';
import type { Manager, ManagerList } from '../../src/list/model.ts';
import { clientDefaults } from '../../src/list/parse-list.ts';
import { leaveAtMs, leaveWindowMs, slotsFromMs } from '../../src/sidecar/decide-admission.ts';

const startMs = Date.UTC(2026, 10, 21);

function managerOf(id: string, weight = 100): Manager {
  const rest = { port: 1514, protocol: 'tcp', zone: 'z', prio: 0, weight, state: 'up' } as const;
  return { id, address: '10.0.0.1', ...rest };
}

function listOf(managers: readonly Manager[], agents: number, ratePerServer?: number): ManagerList {
  const admission = { id: 'a', ratePerServer: ratePerServer ?? 1, startSlotAtMs: 0 };
  return {
    org: 'acme',
    rootVersion: 1,
    epoch: 1,
    term: 1,
    version: 1,
    aud: { group: '*', site: '*' },
    issuedAtMs: startMs,
    validFor: 86_400,
    managers,
    client: { ...clientDefaults, agents },
    ...(ratePerServer === undefined ? {} : { admission }),
  };
}

const [dead, ...others] = ['a', 'b', 'c', 'd'].map((id) => managerOf(id));
assert.ok(dead !== undefined);
const all = [dead, ...others];
/** Nobody was ever seen to fall. */
const health: ReadonlyMap<string, Health> = new Map();

test('a manager that takes in fewer than the others makes the slots longer, whatever its weight', () => {
  const windowOf = (managers: readonly Manager[]) =>
    leaveWindowMs({
      list: listOf([dead, ...managers], 4_000, 100),
      ...{ leaving: dead, health, candidates: managers, sinceAtMs: startMs },
    });
  const [b, c, d] = others;
  assert.ok(b !== undefined && c !== undefined && d !== undefined);
  // 1000 leave: 333 for each of three that take 80 a second.
  assert.equal(windowOf([b, c, d]), 4_167);
  assert.equal(windowOf([{ ...b, acceptRate: 10 }, c, d]), 41_667);
  assert.equal(windowOf([{ ...b, acceptRate: 1_000 }, c, d]), 4_167);
});

test('a fleet of unknown or small size leaves at once', () => {
  assert.equal(
    leaveWindowMs({
      list: listOf(all, 0),
      leaving: dead,
      health,
      candidates: others,
      sinceAtMs: startMs,
    }),
    0,
  );
  assert.ok(
    leaveWindowMs({
      list: listOf(all, 40),
      leaving: dead,
      health,
      candidates: others,
      sinceAtMs: startMs,
    }) < 100,
  );
});

test('ten thousand agents of four managers at 100 a second leave within the time of the spec', () => {
  const list = listOf(all, 40_000, 100);
  const windowMs = leaveWindowMs({
    list,
    leaving: dead,
    health,
    candidates: others,
    sinceAtMs: startMs,
  });
  assert.equal(windowMs, 41_667); // 10 000 / (3 * 100 * 0.8)
});

test('the busiest taker sets the pace', () => {
  const heavy = [managerOf('b', 300), managerOf('c'), managerOf('d')];
  const list = listOf([dead, ...heavy], 6_000, 100);
  const windowMs = leaveWindowMs({
    list,
    leaving: dead,
    health,
    candidates: heavy,
    sinceAtMs: startMs,
  });
  assert.equal(windowMs, 7_500); // 1 000 leave, 600 of them to b, at 80 a second
});

test('slots of different agents fill the window evenly', () => {
  const list = listOf(all, 40_000, 100);
  const slots = Array.from({ length: 1_000 }, (_, agent) => {
    const shared = {
      list,
      leaving: dead,
      health,
      candidates: others,
      sinceAtMs: startMs,
      nowMs: startMs,
    };
    return leaveAtMs({ ...shared, agentId: String(agent) }) - startMs;
  });
  const early = slots.filter((slot) => slot < 41_667 / 2).length;
  assert.ok(slots.every((slot) => slot >= 0 && slot <= 41_667));
  assert.ok(early > 440 && early < 560, `${early} of 1000 in the first half`);
});

test('lost although its manager answers: all take the fleet in, none waits longer for the crowd', () => {
  const windowOf = (agents: number) => {
    const list = listOf(all, agents, 30);
    return leaveWindowMs({ list, leaving: dead, health, candidates: all, sinceAtMs: startMs });
  };
  assert.equal(Math.round(windowOf(3_840) / 10), 4_000); // 3840 on four, at 24 a second each
  const slotsOf = (agents: number) => {
    const fleet = { list: listOf(all, agents, 30), leaving: dead, health, candidates: all };
    const times = { sinceAtMs: startMs + 20_000, nowMs: startMs + 20_000, lostAtMs: startMs };
    return Array.from(
      { length: 1_000 },
      (_, agent) => leaveAtMs({ ...fleet, ...times, agentId: String(agent) }) - startMs,
    );
  };
  const isInBurst = (slot: number) =>
    (slot > 30_000 && slot < 40_000) || (slot > 62_000 && slot < 72_000);
  const [fits, tooMany] = [slotsOf(6_500), slotsOf(40_000)];
  assert.ok(fits.every((slot) => slot >= 24_000 && slot <= 102_000 && !isInBurst(slot)));
  assert.ok(fits.some((slot) => slot > 90_000));
  assert.ok(tooMany.every((slot) => slot <= 102_000) && tooMany.some(isInBurst));
});

test('a clock that was set back neither frees everybody at once nor holds anybody for long', () => {
  const list = listOf(all, 40_000, 100);
  const waits = Array.from({ length: 1_000 }, (_, agent) => {
    const shared = { list, leaving: dead, health, candidates: others, nowMs: startMs };
    const sinceAtMs = startMs + 86_400_000;
    return leaveAtMs({ ...shared, sinceAtMs, agentId: String(agent) }) - startMs;
  });
  assert.ok(waits.every((waitMs) => waitMs >= 0 && waitMs <= 41_667));
  assert.ok(waits.filter((waitMs) => waitMs === 0).length < 120);
});

test('who goes home goes last, but nobody is put off anew when one that came back grows onto him', () => {
  const list = listOf(all, 40_000, 100);
  const shared = { list, leaving: dead, candidates: others, nowMs: startMs, agentId: '7' };
  const slotOf = (returnedAtMs: number | undefined, isReturning: boolean): number => {
    const back = { ...judgedBack(), ...(returnedAtMs === undefined ? {} : { returnedAtMs }) };
    const seen = new Map(returnedAtMs === undefined ? [] : [['b', back] as const]);
    return leaveAtMs({ ...shared, health: seen, sinceAtMs: startMs, isReturning });
  };
  assert.equal(slotOf(undefined, true) - slotOf(undefined, false), 41_667 + 5_000);
  const longAgoMs = startMs - 600_000;
  assert.ok(slotOf(longAgoMs, true) > slotOf(longAgoMs, false));
  assert.equal(slotOf(startMs + 9_000, true), slotOf(startMs + 9_000, false));
});

test('who goes home goes among the last of the others where two windows are longer than anybody waits', () => {
  const slotsOf = (agents: number, isReturning: boolean): readonly number[] => {
    const list = listOf(all, agents, 100);
    const shared = { list, leaving: dead, candidates: others, health, isReturning };
    const times = { sinceAtMs: startMs, nowMs: startMs };
    return Array.from(
      { length: 1_000 },
      (_, agent) => leaveAtMs({ ...shared, ...times, agentId: String(agent) }) - startMs,
    );
  };
  for (const agents of [42_000, 60_000, 80_000, 400_000]) {
    const [going, returning] = [slotsOf(agents, false), slotsOf(agents, true)];
    assert.ok(returning.every((slot) => slot <= 90_000));
    assert.ok(returning.every((slot, agent) => slot >= (going[agent] ?? 0)));
  }
  const firstOf = (agents: number): number => Math.min(...slotsOf(agents, true));
  assert.ok(firstOf(60_000) > 27_000 && firstOf(60_000) < 28_500); // 62.5 s each, until 90
});

test('a manager that fell and came back holds nobody: the others have more to give', () => {
  const list = listOf(all, 40_000, 100);
  const back = judgedBack();
  const windowMs = leaveWindowMs({
    list,
    leaving: dead,
    health: new Map([['b', back]]),
    candidates: others,
    sinceAtMs: startMs,
  });
  assert.equal(windowMs, 83_334); // 40 000 / 3, on two (b is too young), at 80 a second each
});

test('slots are counted anew from the return that ended a doubt, not from those of managers that fell one by one', () => {
  const ago = (sec: number): number => startMs - sec * 1_000;
  const back = (fellSec: number, returnedSec: number): Health => ({
    ...judgedBack(),
    sinceAtMs: ago(returnedSec),
    returnedAtMs: ago(returnedSec),
    damping: { penalty: 1_000, atMs: ago(fellSec), isSuppressed: false },
  });
  const { returnedAtMs: _, ...never } = { ...judgedBack(), sinceAtMs: ago(9_000) };
  const gone: Health = { ...never, verdict: 'down', lastKind: 'dead', sinceAtMs: ago(60) };
  const slotsFrom = (c: Health): number =>
    slotsFromMs({
      ...{ list: listOf(all, 9_000), acceptedAtMs: ago(9_000), doubtMs: 30_000 },
      ...{ candidates: others, knownAtMs: ago(60), nowMs: startMs },
      health: new Map([
        ['a', gone],
        ['b', back(50, 40)],
        ['c', c],
        ['d', never],
      ]),
    });
  assert.equal(slotsFrom(back(30, 20)), ago(60)); // never more than two of four at once
  assert.equal(slotsFrom(back(45, 20)), ago(40)); // three, until b was back
});

function judgedBack(): Health {
  return {
    verdict: 'up',
    streak: 9,
    lastKind: 'alive',
    sinceAtMs: startMs,
    probedAtMs: startMs,
    tookMs: 1,
    seen: 'answered',
    returnedAtMs: startMs,
    ips: [],
  };
}
