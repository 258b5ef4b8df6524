import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ScanReport } from '../../../src/cluster/files/jobs.ts';
import { isFileName } from '../../../src/cluster/files/name.ts';
import { AgentInfoJournal } from '../../../src/cluster/store/agent-info-journal.ts';
import { GroupDebts } from '../../../src/cluster/store/group-debts.ts';
import { SyncBook } from '../../../src/cluster/store/sync-book.ts';
import { HandClock } from '../links.ts';
import { openState } from './stores.ts';

const all = { nodes: null, states: null, offset: 0, limit: 100 };

function scan(generation: number, keysHash: string | undefined): ScanReport {
  return {
    ...{ generation, files: 2, present: new Map(), blind: [], problems: [], hashedFiles: 0 },
    ...{ digest: undefined, keysHash },
  };
}

function order(...missing: readonly string[]) {
  return { missing: missing.filter(isFileName), shared: [], extra: new Map() };
}

test('a file that a node lacks is told with since when and why, until it has it', async (t) => {
  const clock = new HandClock();
  const book = new SyncBook(openState(t), clock);
  const at = clock.nowMs();
  book.scanned(scan(1, 'a'));
  book.checked('w1', { generation: 1, order: order('etc/rules/a.xml', 'etc/lists/b'), files: 9 });
  clock.advance(5_000);
  book.checked('w1', { generation: 1, order: order('etc/rules/a.xml'), files: 10 });
  book.failed('w1', 'Error 1000 - no space left');
  const { rows, total } = await book.page(all);
  assert.equal(total, 2);
  assert.deepEqual(rows, [
    {
      ...{ node: 'w1', file: 'etc/lists/b', state: 'synchronized', sinceMs: at + 5_000 },
      reason: undefined,
    },
    {
      ...{ node: 'w1', file: 'etc/rules/a.xml', state: 'failed', sinceMs: at },
      reason: 'Error 1000 - no space left',
    },
  ]);
  const failed = await book.page({ ...all, states: ['failed'], nodes: ['w1', 'w2'] });
  assert.equal(failed.total, 1);
  assert.equal(book.lagOf('w1')?.filesMs, 5_000);
  book.checked('w1', { generation: 1, order: undefined, files: 11 });
  assert.equal(book.lagOf('w1')?.filesMs, 0);
  assert.equal((await book.page({ ...all, states: ['failed', 'pending'] })).total, 0);
});

test('the generation of client.keys grows with its content, and tells who may be promoted', (t) => {
  const clock = new HandClock();
  const state = openState(t);
  const book = new SyncBook(state, clock);
  book.scanned(scan(1, 'a'));
  book.checked('w1', { generation: 1, order: undefined, files: 1 });
  book.checked('w2', { generation: 1, order: undefined, files: 1 });
  clock.advance(1_000);
  book.scanned(scan(2, 'b'));
  clock.advance(2_000);
  book.scanned(scan(3, 'b'));
  book.checked('w1', { generation: 3, order: order('etc/rules/x'), files: 1 });
  book.checked('w2', { generation: 3, order: order('etc/client.keys'), files: 1 });
  assert.deepEqual(book.nodesWithAllKeys(), ['w1']);
  assert.equal(book.lagOf('w1')?.keysMs, 0);
  assert.equal(book.lagOf('w2')?.keysMs, 2_000);
  assert.equal(book.lagOf('w2')?.keysGeneration, 1);
  assert.equal(book.lagOf('w2')?.newestKeysGeneration, 2);
  const again = new SyncBook(state, clock);
  again.scanned(scan(1, 'b'));
  assert.equal(again.lagOf('w1')?.newestKeysGeneration, 2, 'a restart begins no new generation');
  again.scanned(scan(2, 'a'));
  assert.equal(again.lagOf('w1')?.newestKeysGeneration, 3, 'an old content that returns is new');
});

test('ten thousand missing files are a bounded number of lines, the keys among them', async (t) => {
  const book = new SyncBook(openState(t), new HandClock());
  book.scanned(scan(1, 'a'));
  const names = Array.from({ length: 10_000 }, (_, index) => `etc/shared/g/${index}`);
  book.checked('w1', { generation: 1, order: order(...names, 'etc/client.keys'), files: 0 });
  assert.ok((await book.page(all)).total <= 5_001);
  const [keys] = (await book.page({ ...all, limit: 1 })).rows;
  assert.equal(keys?.file, 'etc/client.keys');
  book.checked('w1', { generation: 1, order: undefined, files: 10_001 });
  assert.ok((await book.page(all)).total <= 1_000);
});

test('what was read stays in the journal until delivered; a kill in between is known', (t) => {
  const state = openState(t);
  const journal = new AgentInfoJournal(state);
  journal.open(100);
  journal.keep('{"a":1}');
  journal.keep('{"b":2}');
  journal.keptAll(120);
  const afterKill = new AgentInfoJournal(state);
  assert.equal(afterKill.open(200), 120);
  const part = afterKill.next();
  assert.equal(part?.body, '{"a":1}');
  afterKill.failed(part?.number ?? 0);
  assert.equal(afterKill.next()?.failures, 1);
  afterKill.delivered(part?.number ?? 0);
  assert.equal(afterKill.next()?.body, '{"b":2}');
  afterKill.close();
  assert.equal(new AgentInfoJournal(state).open(300), undefined, 'closed in order: nothing lost');
});

test('a worker never seen is owed everything; one that paid is owed the next change', (t) => {
  const debts = new GroupDebts(openState(t));
  debts.joined('w1', 10);
  assert.equal(debts.owedSinceMs('w1'), 10);
  debts.paid('w1');
  debts.joined('w1', 20);
  assert.equal(debts.owedSinceMs('w1'), undefined);
  debts.oweAll(30);
  debts.oweAll(40);
  assert.equal(debts.owedSinceMs('w1'), 30);
  assert.equal(debts.owedSinceMs('w2'), undefined);
});

test('who remembers nothing, or a time still to come, asks for whatever was seen lately', (t) => {
  const nowS = 1_800_000_000;
  assert.equal(new AgentInfoJournal(openState(t)).open(nowS), nowS - 3_600);
  const state = openState(t);
  const beforeKill = new AgentInfoJournal(state);
  beforeKill.open(nowS);
  beforeKill.keptAll(nowS);
  assert.equal(new AgentInfoJournal(state).open(nowS - 86_400), nowS - 90_000, 'the clock was set');
});
