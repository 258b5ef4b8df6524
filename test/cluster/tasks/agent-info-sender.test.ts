/** Agent-info of a worker when the link or the database fails between the read and the journal. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Link } from '../../../src/cluster/link.ts';
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
  isHeld = true;
  readonly answers: string[] = [];
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
    this.answers.push(answer.body.toString());
    if (!this.isHeld) return answer;
    const gate = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => gate.reject(signal.reason));
    this.waiting.push((error) => (error === undefined ? gate.resolve() : gate.reject(error)));
    await gate.promise;
    return answer;
  }
}

async function workerSide(t: TestContext) {
  const told = new Told();
  const store = new TestStore(t, true);
  const seen = { connection_status: 'active', node_name: 'w1', last_keepalive: nowS };
  store.addAgent(1, { ...seen, sync_status: 'syncreq' });
  const lines = new LineLog();
  const db = new SlowDb(store.db);
  t.after(() => {
    for (const end of db.waiting) end(new Error('the test ends'));
  });
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
    ...{ everyMs: 20, storingMs: 120_000 },
  });
  const { port } = await listen(t, {
    handler: {
      asked(asked, link) {
        if (asked.command === 'hello') return link.admit(asked.counter, { mustBeOurs: false });
        if (asked.command === 'agentInfoReady') link.takeString(asked.value);
        link.answer(asked.counter, { kind: 'ok', payload: 'True' });
        if (asked.command !== 'agentInfoReady') return;
        delivered.push(asked.value);
        told.part(() => sender.stored({ updatedChunks: 1, errorMessages: [], timeSpentS: 0 }));
      },
    },
  });
  const delivered: string[] = [];
  const strings: number[] = [];
  const connect = async (features: ReadonlySet<string> = new Set()) => {
    const { link } = await dial(port, { asked: () => undefined });
    t.after(() => link.close());
    countStrings(link, strings);
    const hello = { node: 'w1', cluster: 'wazuh', type: 'worker', version: '4.14.8' };
    await link.request('hello', hello);
    const stop = new AbortController();
    t.after(() => stop.abort());
    const done = sender.run({ link, log: new NodeLog(lines, 'Worker w1'), features }, stop.signal);
    return { stop, done };
  };
  return { connect, db, delivered, lines, sender, sql, store, strings, told };
}

/** When the master says that a part is stored: at once, or when the test lets it. */
class Told {
  isHeld = false;
  readonly waiting: (() => void)[] = [];

  part(say: () => void): void {
    if (this.isHeld) this.waiting.push(say);
    else say();
  }
}

/** The size of each string that goes up over this link. */
function countStrings(link: Link, sizes: number[]): void {
  const request = link.request.bind(link);
  link.request = (name, value, options) => {
    if (name === 'reserveString') sizes.push(Number(value));
    return request(name, value, options);
  };
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

test('a part goes up while the one before it is stored; sent again, it does not go up again', async (t) => {
  const { connect, db, delivered, sender, sql, store, strings, told } = await workerSide(t);
  const long = { os_uname: 'x'.repeat(4_000), os_build: 'y'.repeat(4_000) };
  for (let id = 2; id <= 400; id++) {
    store.addAgent(id, { sync_status: 'syncreq', connection_status: 'active', ...long });
  }
  told.isHeld = true;
  const { stop, done } = await connect();
  await until('reading', () => db.waiting.length === 1);
  db.waiting.shift()?.();
  await until('the first is asked for', () => delivered.length === 1);
  assert.equal(strings.length, 2, 'the second goes up meanwhile');

  sender.failed('no space', new NodeLog(new LineLog(), 'Worker w1'));
  await until('the first again', () => delivered.length === 2);
  assert.deepEqual(strings, [strings[0], strings[1], strings[0]]);

  told.isHeld = false;
  for (const say of told.waiting.slice(-1)) say();
  await until('the second', () => delivered.length === 3);
  await until('nothing waits', () => new AgentInfoJournal(sql).next() === undefined);
  assert.equal(strings.length, 3, 'the second went up once');
  stop.abort(new Error('done'));
  await done;
});

test('a node that has become the master is told of the agents that the one before it was told of', async (t) => {
  const { connect, db, delivered, lines } = await workerSide(t);
  db.isHeld = false;
  const first = await connect(new Set(['master-5']));
  await until('told', () => delivered.length === 1);
  first.stop.abort(new Error('the link ended'));
  await first.done;
  const skipped = lines.count('No synchronization required');
  const again = await connect(new Set(['master-5']));
  await until('nothing new', () => lines.count('No synchronization required') > skipped);
  assert.equal(delivered.length, 1, 'the same master is told once');
  again.stop.abort(new Error('the master died'));
  await again.done;

  const promoted = await connect(new Set(['master-9']));
  await until('told anew', () => delivered.length === 2);

  promoted.stop.abort(new Error('done'));
  await promoted.done;
});

test('a part that waited long before the master refused it for good loses none of its agents', async (t) => {
  const { connect, db, lines, sender, sql, store, told } = await workerSide(t);
  const gone = {
    connection_status: 'disconnected',
    node_name: 'w1',
    disconnection_time: nowS - 9e3,
  };
  store.addAgent(2, { ...gone, sync_status: 'syncreq_status' });
  db.isHeld = false;
  told.isHeld = true;
  const { stop, done } = await connect();
  await until('asked for', () => told.waiting.length === 1);
  new AgentInfoJournal(sql).keptAll(nowS - 8_900);
  db.isHeld = true; // what is read anew stays where it is

  for (let refusal = 1; refusal <= 5; refusal++) {
    await until(`refusal ${refusal}`, () => told.waiting.length === refusal);
    sender.failed('no space', new NodeLog(new LineLog(), 'Worker w1'));
  }
  await until('given up', () => lines.has('they are read anew'));
  await until('marked', () => new AgentInfoJournal(sql).next() === undefined);

  await until('read anew', () => db.waiting.length === 1);
  assert.match(db.answers.at(-1) ?? '', /"syncreq_status":\[\{"id":2,/);
  stop.abort(new Error('done'));
  await done;
});
