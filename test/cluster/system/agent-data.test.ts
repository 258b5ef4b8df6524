/** Agents' data between whole nodes of ours, each with its own database on real files. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { AgentData } from '../../../src/cli/build-agent-data.ts';
import type { Worker } from '../../../src/cluster/worker/worker.ts';
import { Home, type Running, startMaster, startWorker, until } from './nodes.ts';

const quick = {
  intervals: {
    worker: { sync_agent_info: 0.2, timeout_agent_groups: 10 },
    master: { sync_agent_groups: 0.2, agent_group_start_delay: 0.1, timeout_agent_info: 10 },
  },
};
const wish = { cluster: quick, more: { database: 'embedded' } } as const;

async function ask(data: AgentData | undefined, command: string): Promise<string> {
  assert.ok(data);
  const { status, payload } = await data.db.query(command, AbortSignal.timeout(20_000));
  assert.notEqual(status, 'err', `${command.slice(0, 80)}: ${payload}`);
  return payload;
}

async function connected(...workers: readonly Running<Worker>[]): Promise<void> {
  for (const { log } of workers) {
    await until('connected', () => log.has('Successfully connected'), 30_000);
  }
}

async function rows(data: AgentData | undefined, sql: string): Promise<readonly unknown[]> {
  return JSON.parse(await ask(data, `global sql ${sql}`)) as readonly unknown[];
}

async function setGroups(
  data: AgentData | undefined,
  agents: readonly { id: number; name: string; groups: readonly string[] }[],
  syncStatus = 'syncreq',
): Promise<void> {
  const order = { mode: 'override', sync_status: syncStatus, data: agents };
  await ask(data, `global set-agent-groups ${JSON.stringify(order)}`);
  await ask(data, 'global sql update agent set date_add = 1 where id > 0');
}

async function eventually(
  t: TestContext,
  what: string,
  read: () => Promise<unknown>,
  wanted: unknown,
): Promise<void> {
  let seen: unknown;
  let isBusy = false;
  const isSo = (): boolean => {
    if (!isBusy) {
      isBusy = true;
      const see = (value: unknown): void => {
        seen = value;
        isBusy = false;
      };
      read().then(see, (error: unknown) => see(String(error)));
    }
    return JSON.stringify(seen) === JSON.stringify(wanted);
  };
  await until(`${what}: ${t.name}`, isSo, 30_000).catch((error: unknown) => {
    assert.deepEqual(seen, wanted, String(error));
  });
}

test('what agents report on a worker appears on the master', async (t) => {
  const master = await startMaster(t, new Home(t), wish);
  const worker = startWorker(t, new Home(t), { name: 'w1', port: master.port, ...wish });
  await connected(worker);
  for (const { data } of [master, worker]) {
    await setGroups(data, [{ id: 1, name: 'web', groups: [] }], 'synced');
    await ask(data, 'global insert-agent {"id":2,"name":"db","date_add":1}');
  }
  const facts = { id: 2, node_name: 'w1', os_name: 'Debian', version: 'Wazuh v4.14.8' };
  const more = { connection_status: 'active', sync_status: 'syncreq', labels: 'env:pro"d\n' };
  await ask(worker.data, `global update-agent-data ${JSON.stringify({ ...facts, ...more })}`);
  const read = () =>
    rows(
      master.data,
      `select agent.id, node_name, os_name, connection_status, labels.value from agent
         left join labels on labels.id = agent.id where os_name is not null`,
    );
  const wanted = {
    ...{ id: 2, node_name: 'w1', os_name: 'Debian' },
    ...{ connection_status: 'active', value: 'pro"d' },
  };
  await eventually(t, 'whole agent', read, [wanted]);
  await until('said', () => master.log.has('[Worker w1] [Agent-info sync] Finished in'));
  await until('said', () => worker.log.has('[Worker w1] [Agent-info sync] Finished in'));
  await until('nothing more', () => worker.log.has('No synchronization required, skipping.'));
});

/** The role where it moves: its token, held for as long as the node runs. */
function seated(token: number) {
  const fence = {
    token,
    holds: () => true,
    saw: () => undefined,
    keysNoted: async () => undefined,
  };
  return { cluster: quick, more: { database: 'embedded', fence } } as const;
}

test('agents that went on as they were appear on the node that becomes the master', async (t) => {
  const before = await startMaster(t, new Home(t), seated(5));
  const home = new Home(t);
  const worker = startWorker(t, home, { name: 'w1', port: before.port, ...seated(5) });
  await connected(worker);
  const facts = { id: 2, node_name: 'w1', os_name: 'Debian', connection_status: 'active' };
  for (const { data } of [before, worker]) {
    await ask(data, 'global insert-agent {"id":2,"name":"db","date_add":1}');
  }
  const change = JSON.stringify({ ...facts, sync_status: 'syncreq' });
  await ask(worker.data, `global update-agent-data ${change}`);
  const told = 'select id, node_name, os_name, connection_status from agent where id = 2';
  await eventually(t, 'before', () => rows(before.data, told), [facts]);
  await worker.stop();
  await before.stop();

  const after = await startMaster(t, new Home(t), { name: 'n', ...seated(9) });
  await ask(after.data, 'global insert-agent {"id":2,"name":"db","date_add":1}');
  startWorker(t, home, { name: 'w1', port: after.port, ...seated(9) });

  await eventually(t, 'after', () => rows(after.data, told), [facts]);
});

test('changes of groups reach every worker, also one that was away', async (t) => {
  const master = await startMaster(t, new Home(t), wish);
  const homes = [new Home(t), new Home(t)];
  for (const home of [...homes, master.home]) home.write('etc/shared/linux/agent.conf', 'x');
  const name = (index: number) => ({ name: `w${index}`, port: master.port, ...wish });
  const first = startWorker(t, homes[0] ?? assert.fail(), name(0));
  const second = startWorker(t, homes[1] ?? assert.fail(), name(1));
  await connected(first, second);
  const groups = (data: AgentData | undefined) => () =>
    rows(data, 'select id, name, `group` from agent where id > 0');
  await setGroups(master.data, [{ id: 7, name: 'seven', groups: ['default', 'linux'] }]);
  const one = { id: 7, name: 'seven', group: 'default,linux' };
  await eventually(t, 'first', groups(first.data), [one]);
  await eventually(t, 'second', groups(second.data), [one]);
  await second.stop();
  await setGroups(master.data, [{ id: 7, name: 'seven', groups: ['linux'] }]);
  await eventually(t, 'first', groups(first.data), [{ ...one, group: 'linux' }]);
  const again = startWorker(t, homes[1] ?? assert.fail(), name(1));
  await connected(again);
  await eventually(t, 'again', groups(again.data), [{ ...one, group: 'linux' }]);
  await until('said', () => master.log.has('[Worker w1] [Agent-groups send full] Finished in'));
  await until('paid', () => master.data?.master?.statusOf('w1')?.groupsOwedSinceMs === undefined);
});

test('five checksums that differ lead to everything being sent and written over', async (t) => {
  const master = await startMaster(t, new Home(t), wish);
  const worker = startWorker(t, new Home(t), { name: 'w1', port: master.port, ...wish });
  await connected(worker);
  await setGroups(master.data, [{ id: 1, name: 'one', groups: ['default'] }]);
  const groups = () => rows(worker.data, 'select id, `group` from agent where id > 0');
  await eventually(t, 'sent', groups, [{ id: 1, group: 'default' }]);
  await until('in step', () => worker.log.has('The checksum of both databases match.'));
  await setGroups(worker.data, [{ id: 1, name: 'one', groups: [] }], 'synced');
  await until('mismatch', () => worker.log.has('Checksum comparison failed (1/5).'));
  await until('asked', () => worker.log.has('Sent request to obtain all agent-groups information'));
  await eventually(t, 'written over', groups, [{ id: 1, group: 'default' }]);
  await until('said', () => worker.log.has('[Agent-groups recv full] Finished in'));
});
