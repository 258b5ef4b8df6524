/** A node that lies about its agents, or comes from the future: told once, and nothing bad comes of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterHealth, WorkerHealth } from '../../../src/cluster/local/node-health.ts';
import type { Health } from '../../../src/health/judge.ts';
import { systemClock } from '../../../src/host/system-clock.ts';
import { type Log, silentLog } from '../../../src/log.ts';
import { Complaints } from '../../../src/publisher/complaints.ts';
import { ClaimBook } from '../../../src/publisher/roster/claims.ts';
import { type RosterParts, rosterRound } from '../../../src/publisher/roster/keep-roster.ts';
import { defaultReadiness, knownReadiness } from '../../../src/publisher/roster/readiness.ts';
import { managersOf } from '../fixture.ts';
import { aReport } from '../reports/report-fixture.ts';
import { never } from './worker-health.ts';

const startMs = 1_000_000_000;
const claim = (claimedAgents: number) => [{ id: 'a', claimedAgents }];

test('a contradiction counts when it lasts; few agents, and agents without a sidecar, are none', () => {
  const told = (claimed: number, reported: number): string | undefined => {
    const book = new ClaimBook();
    const counts = new Map([['a', reported]]);
    assert.equal(book.note(claim(claimed), counts, 0).size, 0);
    return book.note(claim(claimed), counts, 300_000).get('a');
  };
  assert.equal(told(10, 100), 'its node says it has 10 agents, 100 report that they are on it');
  assert.equal(told(60, 100), undefined);
  assert.equal(told(0, 15), undefined);
  assert.equal(told(5_000, 100), undefined);
  for (const absurd of [-1, 1.5, Number.POSITIVE_INFINITY, 1e15]) {
    assert.match(told(absurd, 0) ?? '', /says it has/);
  }
  const book = new ClaimBook();
  const counts = new Map([['a', 100]]);
  book.note(claim(0), counts, 0);
  book.note(claim(100), counts, 200_000);
  assert.equal(book.note(claim(0), counts, 400_000).size, 0, 'it was right meanwhile');
});

const up: Health = {
  ...{ verdict: 'up', streak: 1, lastKind: 'alive', sinceAtMs: 0, probedAtMs: 0, tookMs: 1 },
  ...{ seen: '', ips: [] },
};

test('in the running roster it is one line and one trouble of status; no manager leaves for it', async () => {
  let atMs = startMs;
  const clock = { ...systemClock, nowMs: () => atMs };
  const lines: string[] = [];
  const log: Log = { ...silentLog, error: (event) => void lines.push(event) };
  const complaints = new Complaints(log, () => clock.nowMs());
  const published: (readonly string[])[] = [];
  let claimed = 0;
  const node = {
    name: 'a',
    type: 'worker',
    version: '4.14.8',
    address: '10.0.0.1',
  };
  let sync: WorkerHealth | undefined;
  const parts: RosterParts = {
    ...{ clock, log, complaints, claims: new ClaimBook() },
    managers: () => managersOf('a'),
    nodeOf: (id) => id,
    healths: () => new Map([['a', up]]),
    rows: () =>
      Array.from({ length: 50 }, (_, index) => ({
        report: aReport({ agent: `${index}`, place: `${index}`, connected: true, manager: 'a' }),
        receivedAtMs: clock.nowMs(),
      })),
    askCluster: async () =>
      ({
        connectedNodes: 1,
        nodes: [{ ...node, activeAgents: claimed, sync }],
      }) satisfies ClusterHealth,
    settings: () => ({ ...defaultReadiness, everyMs: 100, maxAgeMs: 60_000 }),
    publish: async (unready) => void published.push(unready),
  };
  let readiness = knownReadiness(['a'], startMs);
  const pass = async (rounds: number): Promise<void> => {
    for (let round = 0; round < rounds; round += 1) {
      readiness = await rosterRound(parts, readiness, new AbortController().signal);
      atMs += 10_000;
    }
  };
  await pass(40);
  assert.deepEqual(
    complaints.list().map(({ topic, message }) => [topic, message]),
    [['roster.claims', 'a: its node says it has 0 agents, 50 report that they are on it']],
  );
  assert.deepEqual(lines, ['trouble.began']);
  assert.ok(published.every((unready) => unready.length === 0));
  claimed = 50;
  await pass(2);
  assert.deepEqual(complaints.list(), []);

  // A node from the future: who is in stays, who is new is not let in by such times; told once.
  const ahead = { start: inAnHour(atMs), end: inAnHour(atMs) };
  sync = { ...never, integrityCheck: ahead, lastKeepAlive: inAnHour(atMs) };
  await pass(3);
  assert.match(complaints.list()[0]?.message ?? '', /times to come \(a 3\d\d\d s ahead\)/);
  assert.deepEqual([lines.length, readiness.get('a')?.isReady], [2, true]);
  readiness = new Map();
  await pass(3);
  assert.equal(readiness.get('a')?.isReady, false);
  assert.match(readiness.get('a')?.why ?? '', /checked 3\d\d\d s from now/);
  sync = { ...never, integrityCheck: { start: inAnHour(0), end: new Date(atMs).toISOString() } };
  await pass(3);
  assert.deepEqual([complaints.list(), readiness.get('a')?.isReady], [[], true]);
});

const inAnHour = (atMs: number): string => new Date(atMs + 3_600_000).toISOString();
