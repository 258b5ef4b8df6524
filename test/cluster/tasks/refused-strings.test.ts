/** A string of agents' data that is refused because others are under way leaves the disk at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Link } from '../../../src/cluster/link.ts';
import { AgentStore } from '../../../src/cluster/store/agent-store.ts';
import { GroupsReceiver } from '../../../src/cluster/tasks/agent-groups-receiver.ts';
import { AgentInfoReceiver } from '../../../src/cluster/tasks/agent-info-receiver.ts';
import { ByteGate } from '../../../src/cluster/tasks/byte-gate.ts';
import type { DataPeer } from '../../../src/cluster/tasks/data-peer.ts';
import { NodeLog } from '../../../src/cluster/tasks/node-log.ts';
import { clock } from '../links.ts';
import { TestStore } from '../store/stores.ts';
import { LineLog } from '../system/nodes.ts';

/** Every string of it is on the disk and is never read to its end. */
function peerWithStrings() {
  const onDisk = new Set<number>();
  let transfer = 0;
  const takeString = () => {
    transfer += 1;
    onDisk.add(transfer);
    return { kind: 'stored', transfer, sizeBytes: 1_000_000 };
  };
  const read = () => new Promise<Buffer>(() => undefined);
  const drop = async (one: number) => void onDisk.delete(one);
  const link = { takeString, isOpen: true } as unknown as Link;
  const log = new NodeLog(new LineLog(), 'Worker w');
  const peer = { name: 'w', link, log, transfers: { read, drop } } as unknown as DataPeer;
  return { peer, onDisk };
}

test('a master keeps the string of one agent-info round, none of those it refuses', async (t) => {
  const { peer, onDisk } = peerWithStrings();
  const store = new AgentStore(new TestStore(t).db, clock);
  const { signal } = new AbortController();
  const gate = new ByteGate(1 << 28);
  const receiver = new AgentInfoReceiver({ peer, store, clock, gate, timeoutMs: 1_000, signal });
  for (let turn = 0; turn < 50; turn++) receiver.ready('1');
  await new Promise(setImmediate);
  assert.equal(onDisk.size, 1);
});

test('a worker keeps the strings of the groups messages that wait, none of those it refuses', async (t) => {
  const { peer, onDisk } = peerWithStrings();
  const store = new AgentStore(new TestStore(t).db, clock);
  const gate = new ByteGate(1 << 28);
  const receiver = new GroupsReceiver({ store, clock, gate, timeoutMs: 1_000, mismatchLimit: 5 });
  const { signal } = new AbortController();
  const replies = Array.from({ length: 50 }, () => receiver.ready('changed', '1', peer, signal));
  const waiting = replies.filter(({ kind }) => kind === 'ok').length;
  await new Promise(setImmediate);
  assert.ok(onDisk.size <= waiting && waiting < 50, `${onDisk.size} strings of ${waiting}`);
});
