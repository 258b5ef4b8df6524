/** Changes of groups on a master while workers come and go. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentStore, type Pages } from '../../../src/cluster/store/agent-store.ts';
import { GroupDebts } from '../../../src/cluster/store/group-debts.ts';
import type { GroupsSender } from '../../../src/cluster/tasks/agent-groups-sender.ts';
import { LocalAgentGroups } from '../../../src/cluster/tasks/local-agent-groups.ts';
import { NodeLog } from '../../../src/cluster/tasks/node-log.ts';
import { clock } from '../links.ts';
import { openState, TestStore } from '../store/stores.ts';
import { LineLog, until } from '../system/nodes.ts';

test('a worker that joins while changes are read is told of them', async (t) => {
  const store = new TestStore(t);
  store.addAgent(1, { group_sync_status: 'syncreq' });
  const told: string[] = [];
  const sender = (name: string): GroupsSender =>
    ({
      name,
      queue: (pages: Pages) => told.push(`${name} ${pages.length}`),
    }) as unknown as GroupsSender;
  const workers = [sender('w1')];
  const groups = new LocalAgentGroups({
    store: new AgentStore(
      {
        query(command, signal) {
          if (command.includes('"set_synced": true')) workers[1] = sender('w2');
          return store.db.query(command, signal);
        },
        http: () => assert.fail('nothing else is asked'),
      },
      clock,
    ),
    debts: new GroupDebts(openState(t)),
    ...{ clock, log: new NodeLog(new LineLog(), 'Master'), startDelayMs: 0, everyMs: 60_000 },
    workers: () => [...workers],
  });
  const stop = new AbortController();
  const running = groups.run(stop.signal);

  await until('told', () => told.length > 0);
  stop.abort(new Error('done'));
  await running;

  assert.deepEqual(told, ['w1 1', 'w2 1']);
});
