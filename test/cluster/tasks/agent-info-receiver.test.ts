/** Agent-info on a master whose database refuses: whose fault is it, the agent's or its own? */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentStore } from '../../../src/cluster/store/agent-store.ts';
import type { WazuhDb, WdbRequest } from '../../../src/cluster/store/wazuh-db.ts';
import { AgentInfoReceiver } from '../../../src/cluster/tasks/agent-info-receiver.ts';
import { ByteGate } from '../../../src/cluster/tasks/byte-gate.ts';
import type { DataPeer } from '../../../src/cluster/tasks/data-peer.ts';
import { NodeLog } from '../../../src/cluster/tasks/node-log.ts';
import { clock } from '../links.ts';
import { LineLog, until } from '../system/nodes.ts';

/** Takes a body as `takes` says of it, given how many came before. */
class JudgingDb implements WazuhDb {
  readonly stored = new Set<number>();
  posts = 0;
  readonly #takes: (ids: readonly number[], before: number) => boolean;

  constructor(takes: (ids: readonly number[], before: number) => boolean) {
    this.#takes = takes;
  }

  query(): Promise<never> {
    return Promise.reject(new Error('nobody asks'));
  }

  async http({ body = new Uint8Array() }: WdbRequest) {
    const lists = JSON.parse(Buffer.from(body).toString()) as Record<string, { id: number }[]>;
    const ids = Object.values(lists).flatMap((agents) => agents.map(({ id }) => id));
    const isTaken = this.#takes(ids, this.posts);
    this.posts += 1;
    if (isTaken) for (const id of ids) this.stored.add(id);
    return { status: isTaken ? 200 : 500, body: Buffer.alloc(0) };
  }
}

const agent = (id: number) => ({ id, connection_status: 'active', group_config_status: 'synced' });
const agents = (count: number) => Array.from({ length: count }, (_, index) => agent(index + 1));

/** How many chunks the worker is told were stored; 0: it keeps all of them. */
async function chunksTold(db: WazuhDb, syncreq: readonly object[]): Promise<number> {
  const envelope = { set_data_command: 'global sync-agent-info-set', payload: {} };
  const bytes = Buffer.from(JSON.stringify({ ...envelope, chunks: { syncreq } }));
  const told: { updatedChunks: number }[] = [];
  const link = {
    isOpen: true,
    takeString: () => ({ kind: 'memory', bytes }),
    request: async (_: string, result: { updatedChunks: number }) => told.push(result),
  };
  const log = new NodeLog(new LineLog(), 'Worker w1');
  const receiver = new AgentInfoReceiver({
    peer: { link, log } as unknown as DataPeer,
    store: new AgentStore(db, clock),
    ...{ clock, gate: new ByteGate(1e9), timeoutMs: 40_000 },
    signal: new AbortController().signal,
  });
  receiver.ready('1');
  await until('told', () => told.length > 0);
  return told[0]?.updatedChunks ?? -1;
}

test('a database whose disk gets full in the middle of a body fails the round, soon', async () => {
  const db = new JudgingDb((_, before) => before === 0);

  assert.equal(await chunksTold(db, agents(6_000)), 0);
  assert.ok(db.posts < 500, `${db.posts} questions`);
});

test('a database that takes nothing fails the round, also beside an agent that is wrong', async () => {
  const wrong = { ...agent(2), connection_status: 'strange' };
  assert.equal(await chunksTold(new JudgingDb(() => false), [agent(1), wrong]), 0);
});

test('a database that refused for a moment is asked again, and nobody is passed over', async () => {
  const db = new JudgingDb((_, before) => before > 14);

  assert.equal(await chunksTold(db, agents(2_000)), 1);
  assert.equal(db.stored.size, 2_000);
});

test('an agent that the database alone refuses costs that agent and no other', async () => {
  const db = new JudgingDb((ids) => !ids.includes(7) && !ids.includes(2_000));

  assert.equal(await chunksTold(db, agents(2_000)), 1);
  assert.equal(db.stored.size, 1_998);
});

test('many agents that the database alone refuses cost those agents and no other', async () => {
  const db = new JudgingDb((ids) => !ids.some((id) => id % 20 === 0));

  assert.equal(await chunksTold(db, agents(4_000)), 1);
  assert.equal(db.stored.size, 3_800);
});
