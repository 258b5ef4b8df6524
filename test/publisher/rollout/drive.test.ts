/** What a rollout that ends early goes back to. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '../../../src/log.ts';
import { Complaints } from '../../../src/publisher/complaints.ts';
import { listedManagers } from '../../../src/publisher/content.ts';
import { leavingOrder, publishConfigured, rosterOrder } from '../../../src/publisher/orders.ts';
import { listOf, publish } from '../../../src/publisher/publish.ts';
import { buildAgentBook } from '../../../src/publisher/reports/agent-book.ts';
import { driveRollout } from '../../../src/publisher/rollout/drive.ts';
import type { RolloutRecord } from '../../../src/publisher/rollout/record.ts';
import { tendRollout } from '../../../src/publisher/rollout/tend.ts';
import { configuredOf, openDesk, startMs } from '../fixture.ts';
import { aReport } from '../reports/report-fixture.ts';

test('a host that was being stopped when a rollout began is not drained again by its end', async (t) => {
  const desk = await openDesk(t);
  const three = configuredOf('a', 'b', 'c');
  await publish(desk, publishConfigured(three));
  const { entry: stable } = await publish(desk, leavingOrder(three, 'b'));
  await publish(desk, rosterOrder(three, [], 'b is back', new Map([['b', false]])));
  const { entry } = await publish(desk, publishConfigured(configuredOf('a', 'b', 'c', 'd')));
  const rollout: RolloutRecord = {
    ...{ id: 'r-4', salt: 's', lane: 'normal', stages: [{ percent: 1, bakeMs: 1 }], stage: 0 },
    ...{ pct: 1, strata: [], expected: 1, stageStartedAtMs: 0, startedAtMs: 0 },
    ...{ sinceVersion: entry.version, stableVersion: stable.version },
  };
  const newest = { ...entry, rollout };
  const drive = driveRollout({
    ...{ newest, stable, rows: [], frozen: undefined, nowMs: 1 },
    mark: { id: rollout.id, kind: 'aborted', who: 'bob', why: '', atMs: 0 },
    settings: { reportedPct: 95, silenceMs: 1, marginPct: 1, maxRestores: 3 },
    maxRemovedPct: 50,
  });
  assert.ok(drive.kind === 'publish');
  const { content } = drive.order.want(newest);
  const states = listedManagers(content).map(({ id, state }) => `${id} ${state}`);
  assert.deepEqual(states, ['a up', 'b up', 'c up']);
});

test('the next wave has agents of small sites in it as the first one had', async (t) => {
  const desk = await openDesk(t);
  const { entry } = await publish(desk, publishConfigured(configuredOf('a', 'b')));
  const book = buildAgentBook([]);
  for (let index = 0; index < 1_000; index += 1) {
    const [agent, site] = [`${index}`, index < 40 ? 'tiny' : 'eu-1'];
    book.take({ report: aReport({ agent, place: agent, site }), receivedAtMs: startMs + 1 });
  }
  const bakeMs = 10;
  const stages = [1, 5, 100].map((percent) => ({ percent, bakeMs }));
  const rollout: RolloutRecord = {
    ...{ id: 'r-1', salt: 's', lane: 'normal', stages, stage: 0, pct: 1, expected: 15 },
    ...{ strata: [{ key: 'site:tiny', pct: 15 }], sinceVersion: 1, stableVersion: 1 },
    ...{ stageStartedAtMs: startMs, startedAtMs: startMs },
  };
  const newest = { ...entry, rollout };
  const drive = driveRollout({
    ...{ newest, stable: undefined, rows: book.rows(), mark: undefined, frozen: undefined },
    settings: { reportedPct: 95, silenceMs: 180_000, marginPct: 1, maxRestores: 3 },
    maxRemovedPct: 50,
    nowMs: startMs + bakeMs,
  });
  assert.ok(drive.kind === 'publish');
  const next = drive.order.want(newest).rollout;
  assert.deepEqual([next?.stage, next?.strata.map(({ key }) => key)], [1, ['site:tiny']]);
  assert.ok((next?.expected ?? 0) > 20, `${next?.expected}`);
});

test('a publisher that was away hears its agents before it takes a wave back for their silence', async (t) => {
  const desk = await openDesk(t);
  await publish(desk, publishConfigured(configuredOf('a', 'b')));
  const rollout: RolloutRecord = {
    ...{ id: 'r-2', salt: 's', lane: 'normal', stage: 0, stages: [{ percent: 1, bakeMs: 1 }] },
    ...{ pct: 1, strata: [], expected: 5, sinceVersion: 2, stableVersion: 1 },
    ...{ stageStartedAtMs: startMs, startedAtMs: startMs },
  };
  const third = publishConfigured(configuredOf('a', 'b', 'c'));
  await publish({ ...desk, plan: () => rollout }, third);
  const complaints = new Complaints(silentLog, () => 0);
  const awayMs = 3_600_000;
  const settings = { reportedPct: 95, silenceMs: 180_000, marginPct: 1, maxRestores: 3 };
  const look = (heardMs: number): Promise<boolean> => {
    desk.clock.atMs = startMs + awayMs + heardMs;
    const ground = { rows: () => [], settings: () => settings, heardMs: () => heardMs };
    return tendRollout(
      desk,
      { ...ground, frozen: () => undefined },
      { log: silentLog, complaints },
    );
  };
  assert.deepEqual(
    [await look(1_000), await look(700_000), await look(800_000)],
    [false, false, true],
  );
  assert.equal(desk.history.newest()?.reason, 'halt');
});

test('a list that added many managers is taken back although sidecars let few go at once', async (t) => {
  const desk = await openDesk(t);
  const { entry: stable } = await publish(desk, publishConfigured(configuredOf('a')));
  const rollout: RolloutRecord = {
    ...{ id: 'r-2', salt: 's', lane: 'normal', stage: 0, stages: [{ percent: 1, bakeMs: 1 }] },
    ...{ pct: 1, strata: [], expected: 5, sinceVersion: 2, stableVersion: stable.version },
    ...{ stageStartedAtMs: startMs, startedAtMs: startMs },
  };
  const more = publishConfigured(configuredOf('a', 'b', 'c', 'd'));
  await publish({ ...desk, plan: () => rollout }, more);
  desk.history.mark({ id: rollout.id, kind: 'aborted', who: 'bob', why: '', atMs: 0 });
  const complaints = new Complaints(silentLog, () => 0);
  const settings = { reportedPct: 95, silenceMs: 180_000, marginPct: 1, maxRestores: 3 };
  const ground = { rows: () => [], settings: () => settings, heardMs: () => 1_000 };
  await tendRollout(desk, { ...ground, frozen: () => undefined }, { log: silentLog, complaints });
  const newest = desk.history.newest();
  const states = newest && listOf(newest).managers.map(({ id, state }) => `${id} ${state}`);
  assert.deepEqual([newest?.reason, states], ['halt', ['a up', 'd down']]);
});

test('a wave that neither goes on nor back, long after it should have, is told', async (t) => {
  const desk = await openDesk(t);
  await publish(desk, publishConfigured(configuredOf('a', 'b')));
  const rollout: RolloutRecord = {
    ...{ id: 'r-2', salt: 's', lane: 'normal', stage: 0, stages: [{ percent: 100, bakeMs: 1 }] },
    ...{ pct: 100, strata: [], expected: 4, failedBefore: 2, sinceVersion: 2, stableVersion: 1 },
    ...{ stageStartedAtMs: startMs, startedAtMs: startMs },
  };
  const third = publishConfigured(configuredOf('a', 'b', 'c'));
  await publish({ ...desk, plan: () => rollout }, third);
  const complaints = new Complaints(silentLog, () => 0);
  const settings = { reportedPct: 95, silenceMs: 180_000, marginPct: 1, maxRestores: 3 };
  const hash = aReport().list?.hash ?? '';
  const rows = ['1', '2', '3', '4'].map((agent) => {
    const list = { position: { epoch: 1, term: 1, version: 2 }, hash };
    const report = aReport({ agent, place: agent, list, connected: agent > '2', everySec: 3_600 });
    return { report, receivedAtMs: startMs + 1 };
  });
  const ground = { rows: () => rows, settings: () => settings, heardMs: () => 9_000_000 };
  const look = async (atMs: number): Promise<readonly string[]> => {
    desk.clock.atMs = startMs + atMs;
    await tendRollout(desk, { ...ground, frozen: () => undefined }, { log: silentLog, complaints });
    return complaints.list().map(({ topic, message }) => `${topic} ${message}`);
  };
  const [early, late] = [await look(100_000), await look(200_000)];
  assert.deepEqual(early, []);
  assert.deepEqual(late, ['rollout.waits r-2: 2 of 4 fare badly, as others do']);
  desk.history.mark({ id: rollout.id, kind: 'paused', who: 'bob', why: '', atMs: 0 });
  assert.deepEqual(await look(300_000), []);
});
