/**
 * A node that was lost and is back: from a real publisher's list, by real probes, two thousand agents
 * that look for a manager choose it in a growing share, and the slots of a mass move do not count on
 * it before it has the whole. Two minutes of the sidecars' time; the clock is moved, nobody waits.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultSlowStart } from '../../src/health/damping.ts';
import { defaultJudgeSettings, type Health } from '../../src/health/judge.ts';
import { buildProber } from '../../src/host/probe-socket.ts';
import { systemClock, systemRandom } from '../../src/host/system-clock.ts';
import { parseEnvelope } from '../../src/list/envelope.ts';
import type { ManagerList } from '../../src/list/model.ts';
import { parseList } from '../../src/list/parse-list.ts';
import { rankManagers } from '../../src/list/select.ts';
import { silentLog } from '../../src/log.ts';
import { leaveWindowMs } from '../../src/sidecar/decide-admission.ts';
import { viewOf } from '../../src/sidecar/decide-view.ts';
import { buildHealthBook } from '../../src/sidecar/health-book.ts';
import { buildHealthWatch } from '../../src/sidecar/health-watch.ts';
import { initPublisherDirectory, type TestPublisher } from '../cli/publisher-fixture.ts';
import { ShiftedClock } from '../dns/shifted-clock.ts';
import { eventually, ownAddress } from '../fakes/processes.ts';
import { PongManager } from '../publisher/roster/pong.ts';
import { situationOf } from '../sidecar/decide-cases.ts';

const waitMs = 60_000;
const agents = Array.from({ length: 2_000 }, (_, at) => `${1_000 + at}`);
const base = situationOf({ name: 'looks for a manager', expect: '' });

async function listOf(publisher: TestPublisher): Promise<ManagerList> {
  return parseList(parseEnvelope((await publisher.get('/v1/list')).body).payloadBytes);
}

/** Agents that would go to `id` now, of those that look for a manager. */
function drawnTo(
  id: string,
  list: ManagerList,
  health: ReadonlyMap<string, Health>,
  nowMs: number,
): readonly string[] {
  return agents.filter((agentId) => {
    const ranked = { ...base.list, list, ranking: rankManagers(list.managers, { agentId }) };
    const seen = { ...base.seen, health };
    return viewOf({ ...base, agentId, nowMs, seen, list: ranked }).candidates[0]?.id === id;
  });
}

const ranksFirst = (id: string, { managers }: ManagerList): number =>
  agents.filter((agentId) => rankManagers(managers, { agentId })[0]?.id === id).length;

/** Tenths of its share at these seconds after its return, and what is to be expected. */
const course = [
  [0, 0.1],
  [30, 0.325],
  [60, 0.55],
  [90, 0.775],
  [120, 1],
] as const;

function assertGrows(
  list: ManagerList,
  health: ReadonlyMap<string, Health>,
  returnedAtMs: number,
): void {
  const whole = ranksFirst('wm3', list);
  let before: readonly string[] = [];
  for (const [seconds, wanted] of course) {
    const drawn = drawnTo('wm3', list, health, returnedAtMs + seconds * 1_000);
    const share = drawn.length / whole;
    assert.ok(Math.abs(share - wanted) < 0.06, `${share} of its share after ${seconds} s`);
    assert.ok(
      before.every((agent) => drawn.includes(agent)),
      'who may go may go on',
    );
    before = drawn;
  }
}

/** How long the agents of wm1 take to leave, were it lost at that moment. */
function windowAt(atMs: number, list: ManagerList, health: ReadonlyMap<string, Health>): number {
  const crowd = { ...list, client: { ...list.client, agents: 3_000 } };
  const [leaving, ...candidates] = crowd.managers;
  assert.ok(leaving !== undefined);
  return leaveWindowMs({ list: crowd, leaving, candidates, health, sinceAtMs: atMs });
}

test('a node that is back draws a tenth of its share at once and all of it after two minutes', async (t) => {
  const managers = [160, 161, 162].map((at) => new PongManager(t, ownAddress(at)));
  await Promise.all(managers.map((manager) => manager.come()));
  const names = managers.map(({ address }, at) => `wm${at + 1}=${address}:1514`);
  const publisher = await initPublisherDirectory(t, names);
  const roster = 'roster:\n  enabled: true\n  interval: 100ms\nprobe:\n  interval: 100ms\nlist:';
  publisher.edit(/^list:/m, roster);
  await publisher.start();
  const clock = new ShiftedClock(systemClock);
  const watch = buildHealthWatch({
    ...{ clock, log: silentLog, random: systemRandom, prober: buildProber(systemClock) },
    ...{ settings: defaultJudgeSettings, deadlineMs: 5_000, inUseMs: 100, othersMs: 100 },
  });
  const stop = new AbortController();
  const watching = watch.run(stop.signal);
  t.after(async () => {
    stop.abort(new Error('the test is over'));
    await watching;
  });
  /** The sidecar holds the newest list, and has looked. */
  const held = async (state: string) => {
    const list = await listOf(publisher);
    const health = await watch.probe(list.managers);
    return list.managers[2]?.state === state && { list, health };
  };
  const first = await eventually('all are up', () => held('up'), waitMs);
  assert.equal(
    drawnTo('wm3', first.list, first.health, clock.nowMs()).length,
    ranksFirst('wm3', first.list),
  );
  await managers[2]?.leave();
  const lost = await eventually('it is out of the list', () => held('down'), waitMs);
  assert.equal(drawnTo('wm3', lost.list, lost.health, clock.nowMs()).length, 0);
  await managers[2]?.come();
  const back = await eventually(
    'it is in the list, and answers',
    async () => {
      const now = await held('up');
      return now !== false && now.health.get('wm3')?.verdict === 'up' && now;
    },
    waitMs,
  );
  const returnedAtMs = back.health.get('wm3')?.returnedAtMs ?? assert.fail();
  assertGrows(back.list, back.health, returnedAtMs);
  const young = windowAt(returnedAtMs, back.list, back.health);
  const old = windowAt(returnedAtMs + defaultSlowStart.lengthMs, back.list, back.health);
  assert.ok(young > old * 1.8, `slots over ${young} ms, later over ${old} ms`);
});

test('one that the list takes back starts slowly, too, though it answered this host all the time', async (t) => {
  const manager = new PongManager(t, ownAddress(163));
  await manager.come();
  const clock = new ShiftedClock(systemClock);
  const parts = { clock, log: silentLog, prober: buildProber(systemClock) };
  const book = buildHealthBook({ ...parts, settings: defaultJudgeSettings, deadlineMs: 5_000 });
  const rest = { port: 1514, protocol: 'tcp', zone: 'default', prio: 0, weight: 100 } as const;
  const listWith = (state: 'up' | 'down') =>
    ['wm1', 'wm2', 'wm3'].map((id) => {
      return { id, address: manager.address, ...rest, state: id === 'wm3' ? state : 'up' } as const;
    });
  const list = { ...base.list.list, managers: listWith('up') };
  const fresh = await book.probe(listWith('up'));
  assert.equal(fresh.get('wm3')?.returnedAtMs, undefined);
  await book.probe(listWith('down'));
  clock.skip(600_000);
  const back = await book.probe(listWith('up'));
  const returnedAtMs = back.get('wm3')?.returnedAtMs ?? assert.fail();
  assert.ok(clock.nowMs() - returnedAtMs < 60_000);
  assert.equal(back.get('wm1')?.returnedAtMs, undefined);
  assertGrows(list, back, returnedAtMs);
  clock.skip(600_000);
  assert.equal((await book.probe(listWith('up'))).get('wm3')?.returnedAtMs, returnedAtMs);
});
