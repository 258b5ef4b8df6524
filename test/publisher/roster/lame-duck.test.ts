/** A publisher whose host is stopped: its manager leaves first, and comes back with it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withLeaving } from '../../../src/publisher/content.ts';
import { initPublisherDirectory, TestPublisher } from '../../cli/publisher-fixture.ts';
import { eventually, ownAddress } from '../../fakes/processes.ts';
import { configuredOf } from '../fixture.ts';
import { PongManager } from './pong.ts';

const waitMs = 60_000;

test('told to stop, it drains its own manager, serves on, and takes it back at the next start', async (t) => {
  const managers = [70, 71].map((at) => new PongManager(t, ownAddress(at)));
  await Promise.all(managers.map((manager) => manager.come()));
  const names = managers.map(({ address }, at) => `wm${at + 1}=${address}:1514`);
  const publisher = await initPublisherDirectory(t, names);
  const roster = 'roster:\n  enabled: true\n  interval: 100ms\n  local: wm1\n  lameDuck: 4s\n';
  publisher.edit(/^list:/m, `${roster}probe:\n  interval: 200ms\nlist:`);
  await publisher.start();
  await eventually('rounds', async () => (await publisher.json('status')).running.roster, waitMs);
  assert.deepEqual(await publisher.states(), { wm1: 'up', wm2: 'up' });
  const stopped = publisher.stop();
  await eventually('drained', async () => (await publisher.states()).wm1 === 'drain', waitMs);
  assert.equal((await stopped)?.exit, 0);
  const again = new TestPublisher(publisher.directory, publisher.port, names);
  t.after(() => again.stop());
  await again.start();
  await eventually('back', async () => (await again.states()).wm1 === 'up', waitMs);
  assert.equal((await again.json('history')).history[1].reason, 'leaving');
});

test('the last manager that is up does not leave', () => {
  const content = { ...configuredOf('wm1', 'wm2'), drained: ['wm2'] };
  assert.equal(withLeaving(content, 'wm1', true), content);
  assert.deepEqual(withLeaving({ ...content, drained: [] }, 'wm1', true).leaving, ['wm1']);
  assert.equal(withLeaving({ ...content, leaving: ['wm1'] }, 'wm1', false).leaving, undefined);
});
