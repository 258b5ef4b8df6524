/**
 * Tables of agents and groups under the names and values that programs around wazuh-db ask for
 * (`global sql select … from agent`). One migration each, never edited once released.
 */
import { agentInfoKinds, connectionStates, groupConfigStates } from '../../../wazuh/wazuh-db.ts';

const oneOf = (column: string, values: readonly string[]): string =>
  `CHECK (${column} IN (${values.map((value) => `'${value}'`).join(', ')}))`;

export const agentMigrations: readonly string[] = [
  `CREATE TABLE agent (
     id INTEGER PRIMARY KEY,
     name TEXT NOT NULL,
     ip TEXT, register_ip TEXT, internal_key TEXT,
     os_name TEXT, os_version TEXT, os_major TEXT, os_minor TEXT, os_codename TEXT, os_build TEXT,
     os_platform TEXT, os_uname TEXT, os_arch TEXT,
     version TEXT, config_sum TEXT, merged_sum TEXT, manager_host TEXT,
     node_name TEXT DEFAULT 'unknown',
     date_add INTEGER NOT NULL,
     last_keepalive INTEGER,
     "group" TEXT DEFAULT 'default',
     group_hash TEXT DEFAULT NULL,
     group_sync_status TEXT NOT NULL DEFAULT 'synced'
       ${oneOf('group_sync_status', ['synced', 'syncreq'])},
     sync_status TEXT NOT NULL DEFAULT 'synced'
       ${oneOf('sync_status', ['synced', ...agentInfoKinds])},
     connection_status TEXT NOT NULL DEFAULT 'never_connected'
       ${oneOf('connection_status', connectionStates)},
     disconnection_time INTEGER DEFAULT 0,
     group_config_status TEXT NOT NULL DEFAULT 'not synced'
       ${oneOf('group_config_status', groupConfigStates)},
     status_code INTEGER DEFAULT 0
   );
   CREATE INDEX agent_name ON agent (name);
   CREATE INDEX agent_sync ON agent (sync_status) WHERE sync_status <> 'synced';
   CREATE INDEX agent_group_sync ON agent (group_sync_status) WHERE group_sync_status <> 'synced';
   INSERT INTO agent (id, name, ip, register_ip, date_add, last_keepalive, "group",
     connection_status)
     VALUES (0, 'localhost', '127.0.0.1', '127.0.0.1', unixepoch(), 253402300799, NULL, 'active');
   CREATE TABLE labels (
     id INTEGER REFERENCES agent (id) ON DELETE CASCADE,
     key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (id, key)
   );
   CREATE TABLE info (key TEXT PRIMARY KEY, value TEXT);
   CREATE TABLE "group" (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE);
   INSERT INTO "group" (name) VALUES ('default');
   CREATE TABLE belongs (
     id_agent INTEGER REFERENCES agent (id) ON DELETE CASCADE,
     id_group INTEGER REFERENCES "group" (id) ON DELETE CASCADE,
     priority INTEGER NOT NULL DEFAULT 0,
     UNIQUE (id_agent, priority), PRIMARY KEY (id_agent, id_group)
   );
   CREATE INDEX belongs_group ON belongs (id_group);
   CREATE TABLE metadata (key TEXT PRIMARY KEY, value TEXT);
   INSERT INTO metadata (key, value) VALUES ('db_version', '7');`,
  `ALTER TABLE agent ADD COLUMN os_type TEXT;`, // of 5.0
];
