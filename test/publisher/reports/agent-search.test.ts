/** The search of a running publisher says what the command line says, without holding everybody. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { systemClock } from '../../../src/host/system-clock.ts';
import { searchAgents } from '../../../src/publisher/reports/agent-search.ts';
import { pageOf } from '../../../src/publisher/reports/agent-table.ts';
import { startMs } from '../fixture.ts';
import { aReport } from './report-fixture.ts';

const clock = { ...systemClock, nowMs: () => startMs };
const target = { newest: { epoch: 1, term: 1, version: 1 } };

function rowOf(number: number) {
  const agent = `${number}`.padStart(3, '0');
  const manager = `wm${1 + (number % 4)}`;
  const report = aReport({ agent, place: agent, manager, connected: number % 5 !== 0 });
  return { report, receivedAtMs: startMs - (number % 7) * 60_000 };
}

test('every page, in every order, is that of the table', async () => {
  const query = fc.record({
    sort: fc.constantFrom('agent', 'manager', 'ageSec', 'state', 'reason'),
    isReverse: fc.boolean(),
    page: fc.integer({ min: 1, max: 6 }),
    limit: fc.integer({ min: 1, max: 40 }),
    filters: fc.constantFrom([], ['state=away'], ['manager!=wm1']),
  });
  const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 2_000 }), { maxLength: 120 });
  await fc.assert(
    fc.asyncProperty(numbers, query, async (agents, asked) => {
      const rows = agents.map(rowOf);
      const found = await searchAgents(rows, target, { ...asked, text: '' }, clock);
      assert.deepEqual(found, pageOf(rows, target, asked, startMs));
    }),
    { seed: 20261128, numRuns: 200 },
  );
});

test('a part of any column finds, in any case', async () => {
  const rows = [1, 2, 3, 4, 5].map(rowOf);
  const all = { filters: [], sort: 'agent', isReverse: false, page: 1, limit: 10 };
  const find = async (text: string) =>
    (await searchAgents(rows, target, { ...all, text }, clock)).lines.map(({ agent }) => agent);
  assert.deepEqual(await find('WM2'), ['001', '005']);
  assert.deepEqual(await find('not connected'), ['005']);
  assert.deepEqual(await find('nothing of the kind'), []);
});

test('others are let in while many agents are looked at', async () => {
  const rows = Array.from({ length: 60_000 }, (_, at) => rowOf(at + 1));
  const all = { filters: [], sort: 'agent', isReverse: false, page: 1, limit: 10, text: '' };
  let letIn = 0;
  const timer = setInterval(() => {
    letIn += 1;
  }, 1);
  const found = await searchAgents(rows, target, all, clock);
  clearInterval(timer);
  assert.equal(found.total, 60_000);
  assert.ok(letIn > 0);
});
