/** Hostile peers of the commands about agents' data, over real links, both directions. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { parseClusterJson } from '../../../src/cluster/files/cluster-json.ts';
import type { Link } from '../../../src/cluster/link.ts';
import { MasterAgentData } from '../../../src/cluster/master/agent-data.ts';
import type { Asked } from '../../../src/cluster/session/output.ts';
import { AgentInfoJournal } from '../../../src/cluster/store/agent-info-journal.ts';
import { AgentStore } from '../../../src/cluster/store/agent-store.ts';
import { GroupDebts } from '../../../src/cluster/store/group-debts.ts';
import { NodeLog } from '../../../src/cluster/tasks/node-log.ts';
import { Services } from '../../../src/cluster/tasks/services.ts';
import { sendString } from '../../../src/cluster/upload.ts';
import { WorkerAgentData } from '../../../src/cluster/worker/agent-data.ts';
import { clock, dial, listen } from '../links.ts';
import { openState, TestStore } from '../store/stores.ts';
import { LineLog, until } from '../system/nodes.ts';

const { intervals } = parseClusterJson({});
const hello = { node: 'w1', cluster: 'wazuh', type: 'worker', version: '4.14.8' };
const noTransfers = {
  pathOf: () => '',
  read: () => Promise.reject(new Error('nothing is stored here')),
  drop: () => Promise.resolve(),
  stagingOf: () => '',
  end: () => Promise.resolve(),
  dropKept: () => Promise.resolve(),
  perform: () => Promise.resolve(),
};

/** A master with a store; the peer on the other end is the test's own. */
async function masterSide(t: TestContext) {
  const store = new TestStore(t);
  const lines = new LineLog();
  const log = new NodeLog(lines, 'Worker w1');
  const stop = new AbortController();
  t.after(() => stop.abort());
  const data = new MasterAgentData({
    store: new AgentStore(store.db, clock),
    debts: new GroupDebts(openState(t)),
    ...{ clock, log, intervals },
  });
  const services = new Services([data.service()]);
  const peers = new Map<Link, Parameters<typeof services.serve>[1]>();
  const handler = {
    asked(asked: Asked, link: Link): void {
      if (asked.command === 'hello') {
        link.admit(asked.counter, { mustBeOurs: false });
        return;
      }
      const peer = { name: 'w1', link, log, transfers: noTransfers, signal: stop.signal };
      if (!peers.has(link)) peers.set(link, peer);
      services.serve(asked, peers.get(link) ?? peer);
    },
  };
  const { port } = await listen(t, { handler });
  const told: string[] = [];
  const worker = await dial(port, {
    asked(asked, link) {
      told.push(`${asked.command} ${JSON.stringify(asked.value)}`);
      link.answer(asked.counter, { kind: 'ok', payload: 'Thanks' });
    },
  });
  t.after(() => worker.link.close());
  await worker.link.request('hello', hello);
  return { store, lines, link: worker.link, told };
}

test('data-worker-strings: unknown ids, no JSON, other commands; the store is as before', async (t) => {
  const { store, link, told, lines } = await masterSide(t);
  store.addAgent(1);
  const before = await store.ask('global get-agent-info 1');
  const sql = { set_data_command: 'global sql delete from agent', payload: {}, chunks: {} };
  const bodies = ['', '{', '[]', 'null', '\0\0', JSON.stringify(sql), '{"chunks": {"syncreq": 7}}'];
  await link.request('agentInfoReady', '4294967295');
  await until('told', () => told.length === 1);
  assert.match(told[0] ?? '', /agentInfoFailed "error while trying to access string under task_id/);
  for (const [index, body] of bodies.entries()) {
    await link.request('agentInfoReady', await sendString(link, Buffer.from(body)));
    await until(`told of ${body}`, () => told.length === index + 2);
    assert.match(told.at(-1) ?? '', /^agentInfoFailed "error while trying to/, body);
  }
  assert.equal(await store.ask('global get-agent-info 1'), before);
  assert.equal(lines.count('ERROR'), bodies.length + 1);
});

test('data-worker-agents: one bad agent costs that agent, the others are stored', async (t) => {
  const { store, link, told, lines } = await masterSide(t);
  for (const id of [1, 2, 3]) store.addAgent(id);
  const good = { connection_status: 'active', group_config_status: 'synced', os_name: 'new' };
  const bad = { ...good, id: 2, os_name: { $gt: '' } };
  const refusedBySqlite = { ...good, id: 3, connection_status: 'active', group_config_status: '' };
  const syncreq = [{ ...good, id: 1 }, bad, refusedBySqlite, '; drop table agent', null];
  const envelope = {
    set_data_command: 'global sync-agent-info-set',
    payload: {},
    chunks: { syncreq },
  };
  await link.request(
    'agentInfoReady',
    await sendString(link, Buffer.from(JSON.stringify(envelope))),
  );
  await until('told', () => told.length === 1);
  assert.match(told[0] ?? '', /^agentInfoStored \{"updatedChunks":1/);
  const rows = await store.ask("global sql select id from agent where os_name = 'new'");
  assert.equal(rows, 'ok [{"id":1}]');
  assert.ok(lines.has('WARNING: [Worker w1] [Agent-info sync] 4 agents were not stored'));
});

test('data-worker-floods: results of nothing, floods of wishes and a second round at once', async (t) => {
  const { store, link, lines } = await masterSide(t);
  store.addAgent(1);
  const result = { updatedChunks: 1e9, errorMessages: ['x'.repeat(9_999)], timeSpentS: -1 };
  await link.request('groupsStored', result);
  await link.request('allGroupsStored', result);
  await link.request('allGroupsFailed', 'y'.repeat(100_000));
  const wishes = Array.from({ length: 500 }, () => link.request('wantAllGroups', undefined));
  const answers = await Promise.all(wishes);
  assert.ok(answers.every(({ kind }) => kind === 'ok'));
  assert.ok(lines.count('[Agent-groups send full] Starting.') <= 2);
  const [one, two] = await Promise.all([
    link.request('agentInfoReady', '1'),
    link.request('agentInfoReady', '2'),
  ]);
  assert.deepEqual([one.kind, two.kind], ['ok', 'fault']);
  assert.ok(lines.lines.every(({ message }) => message.length < 9_000));
});

test('data-master: unknown ids, floods and pages of nonsense leave the worker as it was', async (t) => {
  const store = new TestStore(t, true);
  store.addAgent(1);
  await store.ask(
    'global set-agent-groups {"mode":"override","data":[{"id":1,"name":"a","groups":["default"]}]}',
  );
  const before = await store.ask('global sql select * from belongs');
  const lines = new LineLog();
  const log = new NodeLog(lines, 'Worker w1');
  const data = new WorkerAgentData({
    ...{ node: 'w1', store: new AgentStore(store.db, clock), clock, intervals },
    journal: new AgentInfoJournal(openState(t)),
  });
  const services = new Services([data.service()]);
  const told: string[] = [];
  const { port, peers } = await listen(t, {
    handler: {
      asked(asked, link) {
        if (asked.command === 'hello') return link.admit(asked.counter, { mustBeOurs: false });
        told.push(`${asked.command} ${JSON.stringify(asked.value)}`);
        link.answer(asked.counter, { kind: 'ok', payload: 'Thanks' });
      },
    },
  });
  let peer: Parameters<typeof services.serve>[1] | undefined;
  const worker = await dial(port, {
    asked(asked, link) {
      peer ??= { link, log, transfers: noTransfers, features: new Set() };
      services.serve(asked, peer);
    },
  });
  t.after(() => worker.link.close());
  await worker.link.request('hello', hello);
  const master = peers[0]?.link ?? assert.fail('no link');
  const flood = await Promise.all(
    Array.from({ length: 100 }, (_, id) => master.request('groupsReady', String(id))),
  );
  assert.ok(
    flood.some(({ kind }) => kind === 'fault'),
    'a flood is bounded',
  );
  const told1 = flood.filter(({ kind }) => kind === 'ok').length;
  await until('told', () => told.length === told1);
  const envelope = (chunks: unknown, command = 'global set-agent-groups'): string =>
    JSON.stringify({
      set_data_command: command,
      payload: { mode: 'override', sync_status: 'synced' },
      chunks,
    });
  const evil = JSON.stringify([{ data: [{ id: 1, name: 'a', groups: ["x'; drop table agent"] }] }]);
  const bodies = [
    envelope([evil]),
    envelope(['{']),
    envelope({}),
    envelope([], 'global sql x'),
    '\xff',
  ];
  for (const [index, body] of bodies.entries()) {
    const id = await sendString(master, Buffer.from(body, 'latin1'));
    await master.request('allGroupsReady', id);
    await until(`told of ${body}`, () => told.length === told1 + index + 1);
  }
  assert.match(told[told1] ?? '', /^allGroupsStored .*not the name of a group/);
  assert.ok(told.slice(told1 + 1).every((text) => text.startsWith('allGroupsFailed')));
  assert.equal(await store.ask('global sql select * from belongs'), before);
  await master.request('agentInfoStored', { updatedChunks: 3, errorMessages: [], timeSpentS: 0 });
  await master.request('agentInfoFailed', 'z'.repeat(50_000));
});
