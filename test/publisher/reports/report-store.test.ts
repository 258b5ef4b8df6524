import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { HostError } from '../../../src/errors.ts';
import { openReports } from '../../../src/host/report-database.ts';
import { type Log, silentLog } from '../../../src/log.ts';
import { LoadHistory, maxSamples } from '../../../src/publisher/board/load-history.ts';
import { Complaints } from '../../../src/publisher/complaints.ts';
import { buildAgentBook } from '../../../src/publisher/reports/agent-book.ts';
import {
  type ReportStore,
  saveSome,
  trimOld,
} from '../../../src/publisher/reports/report-keeper.ts';
import { HandClock, scratchDirectory, startMs } from '../fixture.ts';
import { aReport } from './report-fixture.ts';

function partsOf(store: ReportStore, log: Log = silentLog) {
  const clock = new HandClock(startMs);
  return {
    clock,
    store,
    book: buildAgentBook(store.rows()),
    complaints: new Complaints(log, () => clock.nowMs()),
    keepMs: 86_400_000,
    exists: () => true,
  };
}

test('what was reported is there again after a restart, with its history', (t) => {
  const path = join(scratchDirectory(t), 'reports.db');
  const first = openReports(path);
  const parts = partsOf(first);
  parts.book.take({ report: aReport(), receivedAtMs: startMs });
  parts.book.take({ report: aReport({ seq: 2, manager: 'wm2' }), receivedAtMs: startMs + 1 });
  assert.equal(saveSome(parts), true);
  first.close();
  const second = openReports(path);
  t.after(() => second.close());
  const book = buildAgentBook(second.rows());
  assert.equal(book.seqOf('001'), 2); // a replay of both is refused after the restart too
  const events = second.events('001', 10).map(({ kind, text }) => `${kind} ${text}`);
  assert.deepEqual(events, ['manager wm1 -> wm2', 'manager wm1', 'list holds 1/1/1']);
});

test('retention: old agents, removed agents and their rows go', (t) => {
  const store = openReports(join(scratchDirectory(t), 'reports.db'));
  t.after(() => store.close());
  const parts = { ...partsOf(store), exists: (agent: string) => agent !== '003' };
  for (const agent of ['001', '002', '003']) {
    parts.book.take({
      report: aReport({ agent }),
      receivedAtMs: agent === '002' ? startMs - 10 ** 9 : startMs,
    });
  }
  saveSome(parts);
  trimOld(parts);
  assert.deepEqual(
    store.rows().map(({ report }) => report.agent),
    ['001'],
  );
  assert.deepEqual(
    [...parts.book.rows()].map(({ report }) => report.agent),
    ['001'],
  );
});

/** A disk that is full until it is not. */
class FullDisk implements ReportStore {
  readonly #real: ReportStore;
  isFull = true;

  constructor(real: ReportStore) {
    this.#real = real;
  }

  rows = () => this.#real.rows();
  count = () => this.#real.count();
  events = (agent: string, limit: number) => this.#real.events(agent, limit);
  recent = (sinceMs: number, limit: number) => this.#real.recent(sinceMs, limit);
  trim = (beforeMs: number, gone: readonly string[]) => this.#real.trim(beforeMs, gone);
  loads = () => this.#real.loads();
  addLoads = (sample: Parameters<ReportStore['addLoads']>[0]) => this.#real.addLoads(sample);
  close = () => this.#real.close();
  save(unsaved: Parameters<ReportStore['save']>[0]): void {
    if (this.isFull) throw new HostError('store_failed', 'database or disk is full');
    this.#real.save(unsaved);
  }
}

test('a full disk is told once, costs no report and is caught up with', (t) => {
  const store = openReports(join(scratchDirectory(t), 'reports.db'));
  t.after(() => store.close());
  const disk = new FullDisk(store);
  const told: string[] = [];
  const log: Log = {
    ...silentLog,
    error: (event) => void told.push(event),
    info: (event) => void told.push(event),
  };
  const parts = partsOf(disk, log);
  for (let seq = 1; seq <= 50; seq += 1) {
    parts.book.take({ report: aReport({ seq }), receivedAtMs: startMs });
    assert.equal(saveSome(parts), false);
  }
  assert.deepEqual(
    parts.complaints.list().map(({ topic }) => topic),
    ['reports.store'],
  );
  assert.equal(parts.book.unsavedCount(), 3); // one row, whatever came; two events of the first
  disk.isFull = false;
  assert.equal(saveSome(parts), true);
  assert.deepEqual(told, ['trouble.began', 'trouble.ended']);
  assert.equal(store.rows()[0]?.report.seq, 50);
});

test('loads over time are there again after a restart, a day of them and no more', (t) => {
  const path = join(scratchDirectory(t), 'reports.db');
  const first = openReports(path);
  for (let at = 1; at <= maxSamples + 50; at += 1) {
    first.addLoads({ atMs: at, loads: new Map([['wm1', at]]) });
  }
  first.close();
  const second = openReports(path);
  t.after(() => second.close());
  const samples = second.loads();
  assert.equal(samples.length, maxSamples);
  assert.deepEqual(samples.at(-1)?.loads, new Map([['wm1', maxSamples + 50]]));
  const { times, managers } = new LoadHistory(samples).series(maxSamples + 49, 10);
  assert.deepEqual(times, [maxSamples + 49, maxSamples + 50]);
  assert.deepEqual(managers, [{ id: 'wm1', agents: [maxSamples + 49, maxSamples + 50] }]);
});

test('a sample that cannot be read is left out', (t) => {
  const path = join(scratchDirectory(t), 'reports.db');
  const store = openReports(path);
  t.after(() => store.close());
  const other = new DatabaseSync(path);
  for (const text of ['', '{}', '[["wm1",-1]]']) {
    other.prepare('INSERT INTO loads (at_ms, agents) VALUES (1, ?)').run(text);
  }
  other.close();
  store.addLoads({ atMs: 2, loads: new Map([['wm1', 3]]) });
  assert.deepEqual(store.loads(), [{ atMs: 2, loads: new Map([['wm1', 3]]) }]);
});
