/** Agents' data of 5.0: other columns, no group_config_status, no node of an agent. */
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { AgentsFromDb } from '../../../src/cluster/calls/agents-from-db.ts';
import { AgentStore } from '../../../src/cluster/store/agent-store.ts';
import type { WazuhDb } from '../../../src/cluster/store/wazuh-db.ts';
import { clock } from '../links.ts';
import { nowS, TestStore } from './stores.ts';

const { signal } = new AbortController();

/** The `agent` table as 5.0 has it, behind the text protocol. */
function tableOfFive(): Pick<WazuhDb, 'query'> & { readonly sql: DatabaseSync } {
  const sql = new DatabaseSync(':memory:');
  sql.exec(
    `CREATE TABLE agent (id INTEGER PRIMARY KEY, name, ip, register_ip, internal_key, os_name,
       os_version, os_major, os_minor, os_type, os_platform, os_arch, version, date_add,
       last_keepalive, \`group\`, group_hash, group_sync_status, sync_status DEFAULT 'synced',
       connection_status, disconnection_time, status_code);
     INSERT INTO agent (id, name, os_type, connection_status, last_keepalive, date_add)
       VALUES (1, 'a', 'linux', 'active', ${nowS}, 1), (2, 'b', NULL, 'disconnected', 5, 1);`,
  );
  return {
    sql,
    async query(command) {
      try {
        const rows = sql.prepare(command.slice('global sql '.length)).all();
        return { status: 'ok', payload: JSON.stringify(rows) };
      } catch (error) {
        return { status: 'err', payload: `Cannot execute SQL query; ${String(error)}` };
      }
    },
  };
}

test('agents are read from a table without the columns of 4.x', async () => {
  const directory = new AgentsFromDb(tableOfFive());
  for (const _ of ['first', 'again']) {
    const rows = await directory.agents(signal);
    assert.deepEqual(
      rows.map(({ id, columns }) => [id, columns.os_type, columns.connection_status]),
      [
        [1, 'linux', 'active'],
        [2, undefined, 'disconnected'],
      ],
    );
  }
});

test('a lost round is asked for again of a table that knows no nodes', async () => {
  const { sql, query } = tableOfFive();
  const store = new AgentStore({ query, http: () => assert.fail('not asked') }, clock);
  assert.equal(await store.requestAgentInfoAgain('w1', nowS - 10, signal), undefined);
  const rows = sql.prepare('SELECT id, sync_status FROM agent').all();
  assert.deepEqual(
    rows.map(({ id, sync_status }) => [id, sync_status]),
    [
      [1, 'syncreq'],
      [2, 'synced'],
    ],
  );
});

test('agent-info of 5.0 is stored and told again as it came', async (t) => {
  const store = new TestStore(t);
  store.addAgent(1, { group_config_status: 'synced' });
  const agent = {
    ...{ id: 1, name: 'a', ip: '10.0.0.1', os_name: 'Debian', os_type: 'linux' },
    ...{ last_keepalive: 7, connection_status: 'active', disconnection_time: 0, status_code: 0 },
  };
  assert.match(await store.post('/v1/agents/sync', JSON.stringify({ syncreq: [agent] })), /^200/);
  await store.ask("global sql update agent set sync_status = 'syncreq' where id = 1");
  const told = JSON.parse((await store.get('/v1/agents/sync')).slice(4));
  assert.deepEqual(told.syncreq, [{ ...agent, group_config_status: 'synced' }]);
});
