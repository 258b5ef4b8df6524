/** The text commands about single agents that daemons around wazuh-db use. */
import type { JsonObject } from '../../../guards.ts';
import { connectionStates, groupConfigStates } from '../../../wazuh/wazuh-db.ts';
import type { WdbAnswer } from '../wazuh-db.ts';
import { labelsOf } from './agents-sync.ts';
import { badJson, badQuery, err, ok, okJson, parseId, parseObject } from './answers.ts';
import { type GroupsWritePorts, rememberGroups } from './groups-write.ts';
import { first, type Sql, type SqlValue, textOf } from './sql.ts';

type Command = (argument: string, ports: GroupsWritePorts) => WdbAnswer;

const missing = err('Invalid JSON data, missing required fields');

/** Add an agent with its group; a known id is an error. */
const insertAgent: Command = (argument, ports) => {
  const asked = parseObject(argument);
  if (asked === undefined) return badJson(argument);
  const { id, name, date_add: dateAdd } = asked;
  if (!isWhole(id) || typeof name !== 'string' || !isWhole(dateAdd)) return missing;
  const { sql, hash } = ports;
  sql.transaction(() => {
    sql.run(
      `INSERT INTO agent (id, name, ip, register_ip, internal_key, date_add, "group")
         VALUES (?, ?, ?, ?, ?, ?, NULL)`,
      id,
      name,
      text(asked, 'ip'),
      text(asked, 'register_ip'),
      text(asked, 'internal_key'),
      dateAdd,
    );
    const group = text(asked, 'group') ?? 'default';
    const known = first(sql, 'SELECT id FROM "group" WHERE name = ?', group)?.id;
    if (known === undefined) return;
    sql.run('INSERT INTO belongs (id_group, id_agent, priority) VALUES (?, ?, 0)', known, id);
    rememberGroups(sql, id, 'syncreq');
  });
  hash.clear();
  return ok();
};

const urgency: Readonly<Record<string, number>> = {
  synced: 0,
  syncreq_keepalive: 1,
  syncreq_status: 2,
  syncreq: 3,
};

/** What waits to be sent only becomes more urgent; `synced` always ends it. */
function urgentOf(sql: Sql, id: number, wished: string): SqlValue {
  const had = textOf(first(sql, 'SELECT sync_status FROM agent WHERE id = ?', id)?.sync_status);
  if (wished === 'synced') return wished;
  return (urgency[wished] ?? 3) >= (urgency[had] ?? 0) ? wished : had;
}

const updateKeepalive: Command = (argument, { sql, now }) => {
  const asked = parseObject(argument);
  if (asked === undefined) return badJson(argument);
  const { id, connection_status: state, sync_status: sync = 'synced' } = asked;
  if (!isWhole(id) || !isOne(state, connectionStates) || typeof sync !== 'string') return missing;
  sql.run(
    `UPDATE agent SET last_keepalive = ?, connection_status = ?, sync_status = ?,
       disconnection_time = 0, status_code = 0 WHERE id = ?`,
    now(),
    state,
    urgentOf(sql, id, sync),
    id,
  );
  return ok();
};

const updateConnectionStatus: Command = (argument, { sql, now }) => {
  const asked = parseObject(argument);
  if (asked === undefined) return badJson(argument);
  const {
    id,
    connection_status: state,
    sync_status: sync = 'synced',
    status_code: code = 0,
  } = asked;
  if (!isWhole(id) || !isOne(state, connectionStates) || typeof sync !== 'string') return missing;
  sql.run(
    `UPDATE agent SET connection_status = ?, sync_status = ?, disconnection_time = ?,
       status_code = ? WHERE id = ?`,
    state,
    urgentOf(sql, id, sync),
    state === 'disconnected' ? now() : 0,
    isWhole(code) ? code : 0,
    id,
  );
  return ok();
};

const dataColumns = [
  ...[
    'os_name',
    'os_version',
    'os_major',
    'os_minor',
    'os_codename',
    'os_platform',
    'os_build',
    'os_type',
  ],
  ...['os_uname', 'os_arch', 'version', 'config_sum', 'merged_sum', 'manager_host', 'node_name'],
] as const;

const updateAgentData: Command = (argument, { sql, now }) => {
  const asked = parseObject(argument);
  if (asked === undefined) return badJson(argument);
  const { id, connection_status: state, sync_status: sync = 'synced' } = asked;
  const config = asked.group_config_status ?? 'not synced';
  if (!isWhole(id) || !isOne(state, connectionStates) || typeof sync !== 'string') return missing;
  if (!isOne(config, groupConfigStates)) return missing;
  sql.transaction(() => {
    sql.run(
      `UPDATE agent SET ${dataColumns.map((column) => `${column} = ?`).join(', ')},
         ip = coalesce(?, ip), last_keepalive = ?, connection_status = ?, sync_status = ?,
         group_config_status = ? WHERE id = ?`,
      ...dataColumns.map((column) => text(asked, column)),
      text(asked, 'agent_ip'),
      id === 0 ? 253_402_300_799 : now(),
      state,
      urgentOf(sql, id, sync),
      config,
      id,
    );
    setLabels(sql, id, text(asked, 'labels') ?? '');
  });
  return ok();
};

/** `key:value` lines, as agents send them. */
function setLabels(sql: Sql, id: number, lines: string): void {
  sql.run('DELETE FROM labels WHERE id = ?', id);
  for (const line of lines.split('\n')) {
    const end = line.indexOf(':');
    if (end <= 0) continue;
    const values = [line.slice(0, end).trim(), line.slice(end + 1).trim()] as const;
    sql.run('INSERT OR REPLACE INTO labels (id, key, value) VALUES (?, ?, ?)', id, ...values);
  }
}

const byId =
  (read: (sql: Sql, id: number) => unknown): Command =>
  (argument, { sql }) => {
    const id = parseId(argument);
    return id === undefined ? badQuery(argument) : okJson(read(sql, id));
  };

const deleteAgent: Command = (argument, { sql, hash }) => {
  const id = parseId(argument);
  if (id === undefined || id === 0) return badQuery(argument);
  sql.run('DELETE FROM agent WHERE id = ?', id);
  hash.clear();
  return ok();
};

const insertGroup: Command = (argument, { sql }) => {
  sql.run('INSERT OR IGNORE INTO "group" (name) VALUES (?)', argument);
  return ok();
};

const deleteGroup: Command = (argument, { sql, hash }) => {
  sql.transaction(() => {
    const members = sql.all(
      'SELECT id_agent FROM belongs WHERE id_group = (SELECT id FROM "group" WHERE name = ?)',
      argument,
    );
    sql.run('DELETE FROM "group" WHERE name = ?', argument);
    for (const { id_agent } of members) rememberGroups(sql, Number(id_agent), 'syncreq');
  });
  hash.clear();
  return ok();
};

export const agentCommands: Readonly<Record<string, Command>> = {
  'insert-agent': insertAgent,
  'update-agent-data': updateAgentData,
  'update-keepalive': updateKeepalive,
  'update-connection-status': updateConnectionStatus,
  'delete-agent': deleteAgent,
  'insert-agent-group': insertGroup,
  'delete-group': deleteGroup,
  'select-agent-name': byId((sql, id) => sql.all('SELECT name FROM agent WHERE id = ?', id)),
  'select-agent-group': byId((sql, id) => sql.all('SELECT "group" FROM agent WHERE id = ?', id)),
  'get-agent-info': byId((sql, id) => sql.all('SELECT * FROM agent WHERE id = ?', id)),
  'get-labels': byId((sql, id) => labelsOf(sql, id).map((label) => ({ id, ...label }))),
  'select-groups': (_, { sql }) => okJson(sql.all('SELECT name FROM "group"')),
  'find-group': (name, { sql }) => okJson(sql.all('SELECT id FROM "group" WHERE name = ?', name)),
};

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isOne<Value extends string>(value: unknown, all: readonly Value[]): value is Value {
  return all.some((one) => one === value);
}

function text(object: JsonObject, name: string): string | null {
  const value = object[name];
  return typeof value === 'string' ? value : null;
}
