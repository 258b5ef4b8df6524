/** Changes of groups on a master while workers come and go. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { AgentStore, type Pages } from '../../../src/cluster/store/agent-store.ts';
import { GroupDebts } from '../../../src/cluster/store/group-debts.ts';
import { WdbError } from '../../../src/cluster/store/wazuh-db.ts';
import type { GroupsSender } from '../../../src/cluster/tasks/agent-groups-sender.ts';
import { LocalAgentGroups } from '../../../src/cluster/tasks/local-agent-groups.ts';
import { NodeLog } from '../../../src/cluster/tasks/node-log.ts';
import { clock } from '../links.ts';
import { openState, TestStore } from '../store/stores.ts';
import { LineLog, until } from '../system/nodes.ts';

type Query = (command: string, signal: AbortSignal) => ReturnType<TestStore['db']['query']>;

/** A master with one changed agent; `told` is what its workers hear. */
function masterSide(t: TestContext, interpose: (query: Query) => Query) {
  const store = new TestStore(t);
  store.addAgent(1, { group_sync_status: 'syncreq' });
  const told: string[] = [];
  const sender = (name: string): GroupsSender =>
    ({
      name,
      queue: (pages: Pages) => told.push(`${name} ${pages.length}`),
      wantAll: () => told.push(`${name} all`),
    }) as unknown as GroupsSender;
  const workers = [sender('w1')];
  const query = interpose((command, signal) => store.db.query(command, signal));
  const groups = new LocalAgentGroups({
    store: new AgentStore({ query, http: () => assert.fail('nothing else is asked') }, clock),
    debts: new GroupDebts(openState(t)),
    ...{ clock, log: new NodeLog(new LineLog(), 'Master'), startDelayMs: 0, everyMs: 60_000 },
    workers: () => [...workers],
  });
  const round = async (): Promise<void> => {
    const stop = new AbortController();
    const running = groups.run(stop.signal);
    await until('told', () => told.length > 0);
    stop.abort(new Error('done'));
    await running;
  };
  return { join: (name: string) => workers.push(sender(name)), round, told };
}

test('a worker that joins while changes are read is told of them', async (t) => {
  const { join, round, told } = masterSide(t, (query) => (command, signal) => {
    if (command.includes('"set_synced": true')) join('w2');
    return query(command, signal);
  });

  await round();

  assert.deepEqual(told, ['w1 1', 'w2 1']);
});

test('changes of which the database told a part before it failed reach every worker all the same', async (t) => {
  const page = '[{"data":[{"id":1,"name":"a","groups":["default"]}]}]';
  let asked = 0;
  const { round, told } = masterSide(t, (query) => (command, signal) => {
    if (!command.includes('"set_synced": true')) return query(command, signal);
    asked += 1;
    if (asked > 1) return Promise.reject(new WdbError(2010));
    return Promise.resolve({ status: 'due', payload: page });
  });

  await round();

  assert.deepEqual(told, ['w1 all']);
});
