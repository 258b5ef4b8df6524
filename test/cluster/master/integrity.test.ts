/** What a master does for a worker whose files it could not read when it packed them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseClusterJson } from '../../../src/cluster/files/cluster-json.ts';
import type { CheckReport, SealedStream } from '../../../src/cluster/files/jobs.ts';
import { parseName } from '../../../src/cluster/files/name.ts';
import type { Left } from '../../../src/cluster/files/pack.ts';
import type { Link } from '../../../src/cluster/link.ts';
import type { MasterDesk } from '../../../src/cluster/master/desk.ts';
import { type IntegrityPeer, RemoteIntegrity } from '../../../src/cluster/master/integrity.ts';
import { BundleShelf } from '../../../src/cluster/tasks/bundle-shelf.ts';
import { MemoryHeldBook } from '../../../src/cluster/tasks/held-book.ts';
import { NodeLog } from '../../../src/cluster/tasks/node-log.ts';
import { SendingTasks } from '../../../src/cluster/tasks/sending.ts';
import { HandClock, random } from '../links.ts';
import { LineLog, until } from '../system/nodes.ts';

const name = parseName('etc/rules/r.xml');
const unreadable: Left = { name, kind: 'unreadable', text: 'EMFILE: too many open files' };

/** A worker of ours that lacks one file; `left` of every bundle that is packed for it. */
function scene(left: () => readonly Left[]) {
  const clock = new HandClock();
  const asked: string[] = [];
  const request = async (command: string) => {
    asked.push(command);
    return { kind: 'ok', payload: Buffer.from('task') };
  };
  const link = { isOpen: true, request, flushed: async () => undefined } as unknown as Link;
  const report = { order: { missing: [name], shared: [], extra: new Map() }, problems: [] };
  const check = async () => ({ ...report, extraValid: [] }) as unknown as CheckReport;
  async function* sealChanges(): SealedStream {
    yield [];
    return { packed: { files: 0, left: left(), bytes: 0 }, digest: Buffer.alloc(32) };
  }
  const spool = { descriptor: -1, read: async () => undefined, drop: async () => undefined };
  const openSpool = async () => spool;
  const shelf = new BundleShelf({ clock, random, jobs: { sealChanges }, openSpool });
  const log = new LineLog();
  const ports = { clock, random, log, heldBook: new MemoryHeldBook(), jobs: { check } };
  const settings = { cluster: parseClusterJson({}) };
  const desk = {
    settings,
    ports,
    shelf,
    local: { report: {} },
    changedAtMs: () => 0,
  } as unknown as MasterDesk;
  const file = Promise.resolve({ transfer: 1, sizeBytes: 1, path: 'p' });
  const worker = {
    ...{ name: 'w', link, log: new NodeLog(log, 'Worker w'), peer: 'ours', connectedAtMs: 0 },
    ...{ features: new Set(['nudge']), sending: new SendingTasks() },
    receiving: { start: () => ({ id: 'task', file }) },
    transfers: { pathOf: () => 'p', drop: async () => undefined },
  } as unknown as IntegrityPeer;
  const integrity = new RemoteIntegrity(worker, desk);
  return {
    ...{ clock, integrity, shelf },
    nudges: () => asked.filter((command) => command === 'integrityUnchanged').length,
    /** One check of the worker's, to its end. */
    async check() {
      assert.equal(integrity.start().kind, 'ok');
      await until('checked', () => integrity.status().isIntegrityFree);
    },
  };
}

test('files that could not be read are offered again soon, less and less often, and once at a time', async () => {
  const { clock, integrity, nudges, check, shelf } = scene(() => [unreadable]);
  await check();
  await check();
  clock.advance(1_999);
  assert.equal(nudges(), 0);
  clock.advance(1);
  assert.equal(nudges(), 1);
  const pauses: number[] = [];
  for (let turn = 0; turn < 9; turn += 1) {
    await check();
    const [before, sinceMs] = [nudges(), clock.monotonicMs()];
    while (nudges() === before) clock.advance(1_000);
    pauses.push((clock.monotonicMs() - sinceMs) / 1_000);
  }
  assert.deepEqual(pauses, [4, 8, 16, 32, 64, 128, 256, 300, 300]);
  await check();
  integrity.end();
  await shelf.close();
  assert.equal(clock.timers, 0, 'a worker that left is offered nothing');
});

test('once they could be read the next failure is tried again soon, too', async () => {
  let left: readonly Left[] = [unreadable];
  const { clock, integrity, nudges, check } = scene(() => left);
  await check();
  clock.advance(2_000);
  left = [];
  await check();
  clock.advance(600_000);
  assert.equal(nudges(), 1, 'nothing is left to be read');
  left = [unreadable];
  await check();
  clock.advance(2_000);
  assert.equal(nudges(), 2);
  integrity.end();
});
