/**
 * A store on wazuh-db's sockets of a home, filled with agents: `store-process.ts HOME ROLE AGENTS`.
 * Ours and the stock daemon are measured against the same one.
 */
import { join } from 'node:path';
import { EmbeddedDb } from '../../src/cluster/store/embedded/embedded-db.ts';
import { groupHashOf } from '../../src/cluster/store/embedded/group-hash.ts';
import { agentMigrations } from '../../src/cluster/store/embedded/schema.ts';
import { SqliteFile } from '../../src/host/sqlite-file.ts';
import { listenWazuhDb } from '../../src/host/wazuh-db-listener.ts';

const [home = '', role = '', agents = '0'] = process.argv.slice(2);
const sql = new SqliteFile({
  path: join(home, 'store', 'agents.db'),
  migrations: agentMigrations,
  maxBytes: 2 ** 32,
  foreignTables: ['agent', 'labels', 'group', 'belongs', 'info'],
});

sql.transaction(() => {
  const add = `INSERT INTO agent (id, name, ip, version, date_add, node_name, connection_status,
    group_config_status, config_sum, merged_sum, os_uname, "group", group_hash)
    VALUES (?, ?, '10.0.0.1', 'Wazuh v4.14.8', 1, ?, 'active', 'synced', ?, ?, ?, 'default', ?)`;
  const sum = 'ab73af41699f13fdd81903b5f23d8d00';
  const uname = 'Linux |debian |6.1.0-13-amd64 |#1 SMP PREEMPT_DYNAMIC Debian 6.1.55-1 |x86_64';
  const hash = groupHashOf(['default']);
  for (let id = 1; id <= Number(agents); id++) {
    sql.run(add, id, `agent${id}`, role === 'master' ? 'unknown' : 'w', sum, sum, uname, hash);
    sql.run('INSERT INTO belongs (id_group, id_agent, priority) VALUES (1, ?, 0)', id);
  }
});
const db = new EmbeddedDb({
  sql,
  isWorker: role === 'worker',
  now: () => Math.floor(Date.now() / 1000),
  hasGroupFolder: () => true,
  pause: () => new Promise((resolve) => setImmediate(resolve)),
});
await listenWazuhDb(db, { home, owner: undefined });
