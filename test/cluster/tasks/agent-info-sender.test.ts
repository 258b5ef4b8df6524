/** Agent-info of a worker when the link or the database fails between the read and the journal. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { AgentInfoJournal } from '../../../src/cluster/store/agent-info-journal.ts';
import { AgentStore } from '../../../src/cluster/store/agent-store.ts';
import type { WazuhDb, WdbRequest, WdbResponse } from '../../../src/cluster/store/wazuh-db.ts';
import { AgentInfoSender } from '../../../src/cluster/tasks/agent-info-sender.ts';
import { NodeLog } from '../../../src/cluster/tasks/node-log.ts';
import { clock, dial, listen } from '../links.ts';
import { nowS, openState, TestStore } from '../store/stores.ts';
import { LineLog, until } from '../system/nodes.ts';

/** A database whose answers to reads wait until the test lets them go. */
class SlowDb implements WazuhDb {
  readonly #db: WazuhDb;
  readonly waiting: ((error?: Error) => void)[] = [];

  constructor(db: WazuhDb) {
    this.#db = db;
  }

  query(command: string, signal: AbortSignal): ReturnType<WazuhDb['query']> {
    return this.#db.query(command, signal);
  }

  async http(request: WdbRequest, signal: AbortSignal): Promise<WdbResponse> {
    const answer = await this.#db.http(request, signal);
    const gate = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => gate.reject(signal.reason));
    this.waiting.push((error) => (error === undefined ? gate.resolve() : gate.reject(error)));
    await gate.promise;
    return answer;
  }
}

async function workerSide(t: TestContext) {
  const store = new TestStore(t, true);
  const seen = { connection_status: 'active', node_name: 'w1', last_keepalive: nowS };
  store.addAgent(1, { ...seen, sync_status: 'syncreq' });
  const lines = new LineLog();
  const db = new SlowDb(store.db);
  const sql = openState(t);
  const sender = new AgentInfoSender({
    node: 'w1',
    store: new AgentStore(db, clock),
    journal: new AgentInfoJournal(sql),
    clock: {
      ...clock,
      nowMs: () => nowS * 1000,
      monotonicMs: clock.monotonicMs,
      after: clock.after,
    },
    ...{ everyMs: 20, storingMs: 5_000 },
  });
  const { port } = await listen(t, {
    handler: {
      asked(asked, link) {
        if (asked.command === 'hello') return link.admit(asked.counter, { mustBeOurs: false });
        if (asked.command === 'agentInfoReady') link.takeString(asked.value);
        link.answer(asked.counter, { kind: 'ok', payload: 'True' });
        if (asked.command !== 'agentInfoReady') return;
        delivered.push(asked.value);
        sender.stored({ updatedChunks: 1, errorMessages: [], timeSpentS: 0 });
      },
    },
  });
  const delivered: string[] = [];
  const connect = async () => {
    const { link } = await dial(port, { asked: () => undefined });
    t.after(() => link.close());
    const hello = { node: 'w1', cluster: 'wazuh', type: 'worker', version: '4.14.8' };
    await link.request('hello', hello);
    const stop = new AbortController();
    t.after(() => stop.abort());
    const done = sender.run({ link, log: new NodeLog(lines, 'Worker w1') }, stop.signal);
    return { stop, done };
  };
  return { connect, db, delivered, lines, sender, sql };
}

test('data-lost-read: a link that ends during a read loses nothing: the next link delivers what was read', async (t) => {
  const { connect, db, delivered } = await workerSide(t);
  const first = await connect();
  await until('reading', () => db.waiting.length === 1);

  first.stop.abort(new Error('the link ended'));
  await first.done;
  await connect();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(db.waiting.length, 1, 'nothing is read beside the read that goes on');
  db.waiting.shift()?.();

  await until('delivered', () => delivered.length === 1);
});

test('a read that fails after it marked the agents is made again', async (t) => {
  const { connect, db, delivered, lines } = await workerSide(t);
  await connect();
  await until('reading', () => db.waiting.length === 1);

  db.waiting.shift()?.(new Error('cut short'));

  await until('reading again', () => db.waiting.length === 1);
  db.waiting.shift()?.();
  await until('delivered', () => delivered.length === 1);
  assert.ok(lines.has('ERROR: [Worker w1] [Agent-info sync] Could not obtain data from wazuh-db'));
});

test('a node that stops in order during a read asks again for what was read', async (t) => {
  const { connect, db, sender, sql } = await workerSide(t);
  const { stop, done } = await connect();
  await until('reading', () => db.waiting.length === 1);

  stop.abort(new Error('the node stops'));
  await done;
  sender.close();

  assert.equal(new AgentInfoJournal(sql).open(nowS + 1), nowS);
});
