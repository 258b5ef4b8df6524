/** From what hosts say to the signed list, with a real history and real keys. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseEnvelope } from '../../../src/list/envelope.ts';
import { parseList } from '../../../src/list/parse-list.ts';
import { silentLog } from '../../../src/log.ts';
import { Complaints } from '../../../src/publisher/complaints.ts';
import {
  drainOrder,
  loadOrder,
  publishConfigured,
  weightOrder,
} from '../../../src/publisher/orders.ts';
import { publish } from '../../../src/publisher/publish.ts';
import { PeerViewsBook } from '../../../src/publisher/roster/peer-views.ts';
import type { LoadSample } from '../../../src/publisher/weights/judge-load.ts';
import {
  type WeightMemory,
  type WeightParts,
  weighOnce,
} from '../../../src/publisher/weights/keep-weights.ts';
import { configuredOf, openDesk, startMs } from '../fixture.ts';

const afterMs = 60_000;

test('a busy host draws fewer agents in the list, the operator goes before, and off gives all back', async (t) => {
  const desk = await openDesk(t);
  const configured = configuredOf('wm1', 'wm2', 'wm3');
  await publish(desk, publishConfigured(configured));
  let samples: readonly LoadSample[] = [];
  let isOn = true;
  let leads = true;
  const parts: WeightParts = {
    ...{ clock: desk.clock, log: silentLog, history: desk.history },
    complaints: new Complaints(silentLog, () => startMs),
    samples: () => samples,
    settings: () => ({ isOn, afterMs }),
    leads: () => leads,
    publish: async (shares, why) => void (await publish(desk, loadOrder(configured, shares, why))),
  };
  let memory: WeightMemory = { tracks: new Map() };
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 10_000) {
      desk.clock.atMs += 10_000;
      memory = await weighOnce(parts, memory);
    }
  };
  const weights = (): readonly number[] => {
    const { envelope } = desk.history.newest() ?? assert.fail();
    return parseList(parseEnvelope(envelope).payloadBytes).managers.map(({ weight }) => weight);
  };
  samples = [
    { id: 'wm1', busy: 0.9 },
    { id: 'wm2', busy: 0.3 },
    { id: 'wm3', busy: 0.2 },
  ];
  await pass(afterMs);
  assert.deepEqual(weights(), [100, 100, 100]);
  await pass(10_000);
  assert.deepEqual(weights(), [90, 100, 100]);
  const { reason, detail } = desk.history.newest() ?? assert.fail();
  assert.deepEqual([reason, detail], ['load', 'wm1 is busy (90 %), others less']);
  await pass(20 * afterMs);
  assert.deepEqual(weights(), [50, 100, 100]);
  const versions = desk.history.newest()?.version ?? 0;
  await pass(20 * afterMs);
  assert.equal(desk.history.newest()?.version, versions); // nothing more to say

  // Configuration and drains keep it; the word of an operator goes before it.
  await publish(desk, drainOrder(configured, 'wm3'));
  await publish(desk, publishConfigured({ ...configured, validFor: 40_000 }));
  assert.deepEqual(weights(), [50, 100, 100]);
  await publish(desk, weightOrder(configured, 'wm1', 80));
  await pass(10 * afterMs);
  assert.deepEqual(weights(), [80, 100, 100]);
  await publish(desk, weightOrder(configured, 'wm1', undefined));
  assert.deepEqual(weights(), [100, 100, 100]);

  leads = false;
  await pass(10 * afterMs);
  assert.deepEqual(weights(), [100, 100, 100]);
  leads = true;
  await pass(4 * afterMs);
  assert.ok((weights()[0] ?? 100) < 100);
  isOn = false;
  await pass(10_000);
  assert.deepEqual(weights(), [100, 100, 100]);
});

test('a load is believed of the manager of the host that says it, and of no other', () => {
  const book = new PeerViewsBook('p1');
  const say = (publisher: string, manager: string, busy: number, ms = 0) =>
    book.take(
      { publisher, atMs: startMs + ms, seen: { wm9: 'up' }, load: { manager, busy } },
      { nowMs: startMs + ms, monotonicMs: ms },
    );
  say('p2', 'wm2', 0.4);
  say('p3', 'wm3', 0.9);
  assert.deepEqual(book.loads(0), [
    { id: 'wm2', busy: 0.4 },
    { id: 'wm3', busy: 0.9 },
  ]);
  say('p3', 'wm2', 1, 1); // two call it theirs
  assert.deepEqual(book.loads(1), []);
  assert.deepEqual(book.loads(10_000), []); // silent
});
