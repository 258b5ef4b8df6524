/**
 * `GET` and `POST /v1/agents/sync` (cluster-protocol.md 6.3). A page is read and marked in one
 * transaction, so a change between the two is never lost; a body is stored whole or not at all.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '../../../guards.ts';
import { type AgentInfoKind, agentInfoKinds, agentTextColumns } from '../../../wazuh/wazuh-db.ts';
import type { Sql, SqlRow, SqlValue } from './sql.ts';

const rowsAtOnce = 1_000;
const numberColumns = ['last_keepalive', 'disconnection_time', 'status_code'] as const;
const stateColumns = ['connection_status', 'disconnection_time', 'status_code'] as const;

/** Columns of an agent in each part of the body. */
const columnsOf: Readonly<Record<AgentInfoKind, readonly string[]>> = {
  syncreq: [
    'id',
    ...agentTextColumns,
    'last_keepalive',
    'connection_status',
    'disconnection_time',
    'group_config_status',
    'status_code',
  ],
  syncreq_keepalive: ['id', 'version'],
  syncreq_status: ['id', 'version', ...stateColumns],
};

/** Pieces of the body; between two pieces others may work. What was read counts as synced. */
export function* readAgentSync(sql: Sql): Generator<string> {
  let isFirst = true;
  for (const kind of agentInfoKinds) {
    let lastId = 0;
    for (let count = 0; ; ) {
      const rows = sql.transaction(() => takePage(sql, kind, lastId));
      if (rows.length === 0) {
        if (count > 0) yield ']';
        break;
      }
      const start = count > 0 ? ',' : `${isFirst ? '{' : ','}"${kind}":[`;
      isFirst = false;
      count += rows.length;
      lastId = Number(rows.at(-1)?.id);
      yield start + rows.map((row) => JSON.stringify(row)).join(',');
    }
  }
  yield isFirst ? '{}' : '}';
}

function takePage(sql: Sql, kind: AgentInfoKind, afterId: number): readonly JsonObject[] {
  // Both conditions: the index of waiting rows is chosen by the second alone.
  const waiting = `sync_status = '${kind}' AND sync_status <> 'synced'`;
  const rows = sql.all(
    `SELECT ${columnsOf[kind].join(', ')} FROM agent
      WHERE id > ? AND ${waiting} ORDER BY id LIMIT ${rowsAtOnce}`,
    afterId,
  );
  const lastId = rows.at(-1)?.id;
  if (lastId === undefined) return [];
  const labels = kind === 'syncreq' ? labelsBetween(sql, afterId, lastId) : noLabels;
  sql.run(
    `UPDATE agent SET sync_status = 'synced' WHERE id > ? AND id <= ? AND ${waiting}`,
    afterId,
    lastId,
  );
  return rows.map((row) => {
    const own = labels.get(row.id ?? null);
    return own === undefined ? withoutEmpty(row) : { ...withoutEmpty(row), labels: own };
  });
}

const noLabels: ReadonlyMap<SqlValue, readonly JsonObject[]> = new Map();

/** Labels by agent, for ids above `afterId` up to `lastId`. */
function labelsBetween(
  sql: Sql,
  afterId: number,
  lastId: SqlValue,
): ReadonlyMap<SqlValue, readonly JsonObject[]> {
  const byAgent = new Map<SqlValue, JsonObject[]>();
  const where = 'id > ? AND id <= ? ORDER BY id, key';
  for (const row of sql.all(`SELECT id, key, value FROM labels WHERE ${where}`, afterId, lastId)) {
    const { id = null, key, value } = row;
    const label = { key: key ?? '', value: value ?? '' };
    const own = byAgent.get(id);
    if (own === undefined) byAgent.set(id, [label]);
    else own.push(label);
  }
  return byAgent;
}

function withoutEmpty(row: SqlRow): JsonObject {
  const told: Record<string, SqlValue> = {};
  for (const name in row) {
    const value = row[name];
    if (value !== null && value !== undefined && value !== '') told[name] = value;
  }
  return told;
}

export function labelsOf(sql: Sql, id: SqlValue): readonly JsonObject[] {
  return sql
    .all('SELECT key, value FROM labels WHERE id = ?', id)
    .map(({ key, value }) => ({ key: key ?? '', value: value ?? '' }));
}

const updates = {
  syncreq: `UPDATE agent SET ${[...agentTextColumns, ...numberColumns]
    .map((column) => `${column} = ?`)
    .join(', ')}, connection_status = ?, sync_status = 'synced',
    group_config_status = coalesce(nullif(?, ''), group_config_status) WHERE id = ?`,
  syncreq_keepalive: `UPDATE agent SET last_keepalive = ?, sync_status = 'synced',
    connection_status = 'active', disconnection_time = 0, status_code = 0, version = ?
    WHERE id = ?`,
  syncreq_status: `UPDATE agent SET connection_status = ?, sync_status = 'synced',
    disconnection_time = ?, status_code = ?, version = ? WHERE id = ?`,
} as const;

/** Throws `TypeError` for what is not such a body, and what SQLite refuses; then nothing changed. */
export function writeAgentSync(sql: Sql, body: JsonValue, nowS: number): void {
  if (!isJsonObject(body)) throw new TypeError('the body is not an object');
  sql.transaction(() => {
    for (const agent of partOf(body, 'syncreq')) writeWhole(sql, agent);
    for (const agent of partOf(body, 'syncreq_keepalive')) {
      sql.run(updates.syncreq_keepalive, nowS, text(agent, 'version'), idOf(agent));
    }
    for (const agent of partOf(body, 'syncreq_status')) {
      sql.run(
        updates.syncreq_status,
        text(agent, 'connection_status'),
        number(agent, 'disconnection_time'),
        number(agent, 'status_code'),
        text(agent, 'version'),
        idOf(agent),
      );
    }
  });
}

function writeWhole(sql: Sql, agent: JsonObject): void {
  const id = idOf(agent);
  const changed = sql.run(
    updates.syncreq,
    ...agentTextColumns.map((column) => text(agent, column)),
    ...numberColumns.map((column) => number(agent, column)),
    text(agent, 'connection_status'),
    text(agent, 'group_config_status'),
    id,
  );
  sql.run('DELETE FROM labels WHERE id = ?', id);
  const { labels = [] } = agent;
  if (!Array.isArray(labels)) throw new TypeError('labels is not a list');
  if (changed === 0) return; // wazuh-db warns and goes on: the labels belong to nobody
  for (const label of labels as readonly JsonValue[]) {
    if (!isJsonObject(label)) throw new TypeError('a label is not an object');
    sql.run(
      'INSERT OR REPLACE INTO labels (id, key, value) VALUES (?, ?, ?)',
      id,
      text(label, 'key'),
      text(label, 'value'),
    );
  }
}

function partOf(body: JsonObject, kind: AgentInfoKind): readonly JsonObject[] {
  const { [kind]: part = [] } = body;
  if (!Array.isArray(part) || !part.every(isJsonObject))
    throw new TypeError(`${kind} is not a list`);
  return part;
}

function idOf({ id }: JsonObject): number {
  if (Number.isSafeInteger(id)) return Number(id);
  throw new TypeError('an agent without an id');
}

function text(object: JsonObject, name: string): string {
  const { [name]: value = '' } = object;
  if (typeof value === 'string') return value;
  throw new TypeError(`${name} is not a text`);
}

function number(object: JsonObject, name: string): number {
  const { [name]: value = 0 } = object;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw new TypeError(`${name} is not a number`);
}
