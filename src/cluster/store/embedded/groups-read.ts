/** `sync-agent-groups-get` and `get-groups-integrity`: who belongs where, page by page. */
import type { JsonObject } from '../../../guards.ts';
import { wazuhDbLimits } from '../../../wazuh/wazuh-db.ts';
import type { WdbAnswer } from '../wazuh-db.ts';
import { badJson, err, okJson, parseObject } from './answers.ts';
import type { GlobalGroupHash } from './group-hash.ts';
import type { Sql } from './sql.ts';

export interface GroupsPorts {
  readonly sql: Sql;
  readonly hash: GlobalGroupHash;
  /** Seconds since the epoch. */
  now(): number;
}

interface Wish {
  readonly condition: 'sync_status' | 'all' | undefined;
  readonly lastId: number;
  readonly setsSynced: boolean;
  readonly wantsHash: boolean;
  readonly deltaS: number;
}

const emptyPage = '[{"data":[]}]'.length;
const hashRoom = '"hash":"",'.length + 40;
const rowsAtOnce = 512;
const groupsOf = `SELECT name FROM belongs JOIN "group" ON id = id_group WHERE id_agent = ?
  ORDER BY priority`;
/** Both conditions: the index of changed rows is chosen by the second alone. */
const changed = `group_sync_status = 'syncreq' AND group_sync_status <> 'synced'`;
const named = `SELECT id, name, (SELECT json_group_array(name) FROM (SELECT name FROM belongs
  JOIN "group" g ON g.id = id_group WHERE id_agent = agent.id ORDER BY priority)) AS groups
  FROM agent WHERE id > ? AND date_add < ?`;
const agentsBy = {
  sync_status: `${named} AND ${changed} ORDER BY id LIMIT ${rowsAtOnce}`,
  all: `${named} ORDER BY id LIMIT ${rowsAtOnce}`,
} as const;
const markSynced = `UPDATE agent SET group_sync_status = 'synced'
  WHERE id > ? AND id <= ? AND date_add < ? AND group_sync_status <> 'synced'`;

export function agentGroups(sql: Sql, id: number): readonly string[] {
  return sql.all(groupsOf, id).map(({ name }) => String(name));
}

/** `argument`: the JSON after the command. */
export function getAgentGroups(argument: string, ports: GroupsPorts): WdbAnswer {
  const asked = parseObject(argument);
  if (asked === undefined) return badJson(argument);
  const wish = readWish(asked);
  if (wish === 'unknown_condition') {
    return err('Could not obtain a response from wdb_global_sync_agent_groups_get');
  }
  if (wish === undefined) return err('Invalid JSON data, invalid alternative fields data');
  return ports.sql.transaction(() => page(wish, ports));
}

function readWish(asked: JsonObject): Wish | 'unknown_condition' | undefined {
  const { condition, last_id: lastId = 0, agent_registration_delta: deltaS = 0 } = asked;
  const { set_synced: setsSynced = false, get_global_hash: wantsHash = false } = asked;
  if (!isCount(lastId) || !isCount(deltaS)) return undefined;
  if (typeof setsSynced !== 'boolean' || typeof wantsHash !== 'boolean') return undefined;
  if (condition !== undefined && typeof condition !== 'string') return undefined;
  if (condition !== undefined && condition !== 'sync_status' && condition !== 'all') {
    return 'unknown_condition';
  }
  return { condition, lastId, setsSynced, wantsHash, deltaS };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function page(wish: Wish, { sql, hash, now }: GroupsPorts): WdbAnswer {
  const { items, bytes, isFull } = collect(wish, sql, now() - wish.deltaS);
  const isLast = !isFull && (!wish.wantsHash || bytes + hashRoom < wazuhDbLimits.pageBytes);
  const tail = isLast && wish.wantsHash ? `,"hash":${JSON.stringify(hash.get())}` : '';
  return { status: isLast ? 'ok' : 'due', payload: `[{"data":[${items.join(',')}]${tail}}]` };
}

function collect(
  wish: Wish,
  sql: Sql,
  addedBeforeS: number,
): { readonly items: readonly string[]; readonly bytes: number; readonly isFull: boolean } {
  if (wish.condition === undefined) return { items: [], bytes: emptyPage, isFull: false };
  const { items, bytes, isFull, lastId } = take(wish.condition, wish.lastId, sql, addedBeforeS);
  if (wish.setsSynced) sql.run(markSynced, wish.lastId, lastId, addedBeforeS);
  return { items, bytes, isFull };
}

function take(
  condition: 'sync_status' | 'all',
  afterId: number,
  sql: Sql,
  addedBeforeS: number,
): {
  readonly items: readonly string[];
  readonly bytes: number;
  readonly isFull: boolean;
  readonly lastId: number;
} {
  const items: string[] = [];
  let bytes = emptyPage;
  let lastId = afterId;
  for (;;) {
    const rows = sql.all(agentsBy[condition], lastId, addedBeforeS);
    if (rows.length === 0) return { items, bytes, isFull: false, lastId };
    for (const { id, name, groups } of rows) {
      const item = `{"id":${id},"name":${JSON.stringify(name)},"groups":${groups}}`;
      const size = Buffer.byteLength(item) + 1;
      if (bytes + size >= wazuhDbLimits.pageBytes) return { items, bytes, isFull: true, lastId };
      bytes += size;
      items.push(item);
      lastId = Number(id);
    }
  }
}

/** `argument`: the SHA-1 of the one who asks. */
export function getGroupsIntegrity(argument: string, { sql, hash }: GroupsPorts): WdbAnswer {
  if (argument.length !== 40) {
    const got = `Expected (40) got (${argument.length})`;
    return err(`Hash hex-digest does not have the expected length. ${got}`);
  }
  const pending = sql.all(`SELECT 1 FROM agent WHERE ${changed} LIMIT 1`);
  if (pending.length > 0) return okJson(['syncreq']);
  return okJson([hash.get() === argument ? 'synced' : 'hash_mismatch']);
}
