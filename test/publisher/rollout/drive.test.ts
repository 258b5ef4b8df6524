/** What a rollout that ends early goes back to. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listedManagers } from '../../../src/publisher/content.ts';
import { leavingOrder, publishConfigured, rosterOrder } from '../../../src/publisher/orders.ts';
import { publish } from '../../../src/publisher/publish.ts';
import { driveRollout } from '../../../src/publisher/rollout/drive.ts';
import type { RolloutRecord } from '../../../src/publisher/rollout/record.ts';
import { configuredOf, openDesk } from '../fixture.ts';

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
  });
  assert.ok(drive.kind === 'publish');
  const { content } = drive.order.want(newest);
  const states = listedManagers(content).map(({ id, state }) => `${id} ${state}`);
  assert.deepEqual(states, ['a up', 'b up', 'c up']);
});
