/**
 * `set-agent-groups` and `recalculate-agent-group-hashes`. An element is judged before anything of
 * the agent changes (wazuh-db has removed its groups by then); one bad element spoils no other.
 */
import { isJsonObject, type JsonValue } from '../../../guards.ts';
import { isGroupName, wazuhDbLimits } from '../../../wazuh/wazuh-db.ts';
import type { WdbAnswer } from '../wazuh-db.ts';
import { badJson, err, ok, parseObject } from './answers.ts';
import { groupHashOf } from './group-hash.ts';
import { agentGroups, type GroupsPorts } from './groups-read.ts';
import { first, type Sql, textOf } from './sql.ts';

export interface GroupsWritePorts extends GroupsPorts {
  /** On a worker an agent that is not known yet must come with its name. */
  readonly isWorker: boolean;
  /** Whether the group exists beyond the database: it has a folder of shared files. */
  hasGroupFolder(name: string): boolean;
}

const modes = ['override', 'append', 'empty_only', 'remove'] as const;
type Mode = (typeof modes)[number];

interface Element {
  readonly id: number;
  readonly groups: readonly string[];
  readonly name: string | undefined;
}

interface Order {
  readonly mode: Mode;
  readonly syncStatus: 'synced' | 'syncreq';
  /** Ids of groups that were looked up; undefined: it exists nowhere. */
  readonly groupIds: Map<string, number | undefined>;
}

export function setAgentGroups(argument: string, ports: GroupsWritePorts): WdbAnswer {
  const asked = parseObject(argument);
  if (asked === undefined) return badJson(argument);
  const { mode, sync_status: wished, data } = asked;
  if (!Array.isArray(data) || typeof mode !== 'string') {
    return err('Invalid JSON data, missing required fields');
  }
  const known = modes.find((one) => one === mode);
  if (known === undefined)
    return err(`Invalid mode '${mode.slice(0, 64)}' in set_agent_groups command`);
  const syncStatus = wished === 'syncreq' ? 'syncreq' : 'synced';
  const order: Order = { mode: known, syncStatus, groupIds: new Map() };
  const isDone = ports.sql.transaction(() => setAll(data as readonly JsonValue[], order, ports));
  ports.hash.clear();
  return isDone ? ok() : err('An error occurred during the set of the groups');
}

function setAll(data: readonly JsonValue[], order: Order, ports: GroupsWritePorts): boolean {
  let isDone = true;
  for (const value of data) {
    const element = readElement(value);
    if (element === undefined || !setOne(element, order, ports)) isDone = false;
  }
  return isDone;
}

function readElement(value: JsonValue): Element | undefined {
  if (!isJsonObject(value)) return undefined;
  const { id, groups, name } = value;
  if (!Number.isSafeInteger(id) || Number(id) < 0 || !Array.isArray(groups)) return undefined;
  if (!groups.every((one): one is string => typeof one === 'string' && isGroupName(one))) {
    return undefined;
  }
  return { id: Number(id), groups, name: typeof name === 'string' ? name : undefined };
}

/** True: done, and nothing of it was refused. */
function setOne(element: Element, order: Order, ports: GroupsWritePorts): boolean {
  const { sql } = ports;
  const { mode, syncStatus } = order;
  const { id, groups, name } = element;
  const had = mode === 'append' || mode === 'empty_only' ? agentGroups(sql, id).length : 0;
  if (mode === 'empty_only' && had > 0) return true;
  const kept = mode === 'append' ? had : 0;
  if (kept + groups.length > wazuhDbLimits.groupsPerAgent) return false;
  if (mode === 'override' && name === undefined && ports.isWorker) return false;
  if (mode !== 'remove' && groups.length > 0 && !ensureAgent(element, mode, ports)) return false;
  if (mode === 'override') return override(element, order, ports);
  const isWhole = mode === 'remove' ? remove(element, order, ports) : add(element, order, ports);
  rememberGroups(sql, id, syncStatus);
  return isWhole;
}

/** An agent that is named may be new here; it has then never connected. */
function ensureAgent({ id, name }: Element, mode: Mode, { sql, now }: GroupsWritePorts): boolean {
  if (first(sql, 'SELECT 1 FROM agent WHERE id = ?', id) !== undefined) return true;
  if (mode !== 'override' || name === undefined) return false;
  sql.run(
    `INSERT INTO agent (id, name, ip, register_ip, date_add) VALUES (?, ?, '0.0.0.0', '0.0.0.0', ?)`,
    id,
    name,
    now(),
  );
  return true;
}

/** These groups in this order, and no other. */
function override({ id, groups }: Element, order: Order, ports: GroupsWritePorts): boolean {
  ports.sql.run('DELETE FROM belongs WHERE id_agent = ?', id);
  const given = assign(id, groups, 0, order, ports);
  writeGroups(ports.sql, id, given, order.syncStatus);
  return groups.every((name) => given.includes(name));
}

/** After those it has. */
function add({ id, groups }: Element, order: Order, ports: GroupsWritePorts): boolean {
  const { sql } = ports;
  const top = first(sql, 'SELECT max(priority) AS top FROM belongs WHERE id_agent = ?', id)?.top;
  const priority = top === null || top === undefined ? 0 : Number(top) + 1;
  const given = assign(id, groups, priority, order, ports);
  return groups.every((name) => given.includes(name));
}

/** The groups that exist, in the order in which the agent has them then. */
function assign(
  id: number,
  groups: readonly string[],
  firstPriority: number,
  order: Order,
  ports: GroupsWritePorts,
): readonly string[] {
  const given = new Set<string>();
  let priority = firstPriority;
  for (const name of groups) {
    const group = findGroup(name, order, ports);
    if (group === undefined) continue;
    ports.sql.run(
      'INSERT OR REPLACE INTO belongs (id_group, id_agent, priority) VALUES (?, ?, ?)',
      group,
      id,
      priority,
    );
    priority += 1;
    given.delete(name); // one named twice stands where it is named last
    given.add(name);
  }
  return [...given];
}

/** Whoever would end without a group gets `default` back. */
function remove({ id, groups }: Element, order: Order, ports: GroupsWritePorts): boolean {
  const { sql } = ports;
  let isWhole = first(sql, 'SELECT 1 FROM agent WHERE id = ?', id) !== undefined;
  for (const name of groups) {
    const group = findGroup(name, order, ports);
    if (group === undefined) isWhole = false;
    else sql.run('DELETE FROM belongs WHERE id_group = ? AND id_agent = ?', group, id);
  }
  if (!isWhole || agentGroups(sql, id).length > 0) return isWhole;
  return add({ id, groups: ['default'], name: undefined }, order, ports);
}

function findGroup(
  name: string,
  { groupIds }: Order,
  { sql, hasGroupFolder }: GroupsWritePorts,
): number | undefined {
  if (groupIds.has(name)) return groupIds.get(name);
  const known = groupIdOf(sql, name);
  if (known === undefined && hasGroupFolder(name)) {
    sql.run('INSERT INTO "group" (name) VALUES (?)', name);
  }
  const id = known ?? groupIdOf(sql, name);
  groupIds.set(name, id);
  return id;
}

function groupIdOf(sql: Sql, name: string): number | undefined {
  const id = first(sql, 'SELECT id FROM "group" WHERE name = ?', name)?.id;
  return id === undefined ? undefined : Number(id);
}

/** What other columns say of an agent's groups, after they changed. */
export function rememberGroups(sql: Sql, id: number, syncStatus: 'synced' | 'syncreq'): void {
  writeGroups(sql, id, agentGroups(sql, id), syncStatus);
}

function writeGroups(
  sql: Sql,
  id: number,
  groups: readonly string[],
  syncStatus: 'synced' | 'syncreq',
): void {
  sql.run(
    'UPDATE agent SET "group" = ?, group_hash = ?, group_sync_status = ? WHERE id = ?',
    groups.length === 0 ? null : groups.join(','),
    groupHashOf(groups),
    syncStatus,
    id,
  );
}

/** Where the columns and the memberships disagree, the memberships are right. */
export function recalculateGroupHashes({ sql, hash }: GroupsPorts): WdbAnswer {
  sql.transaction(() => {
    const rows = sql.all(
      `SELECT agent.id AS id, agent."group" AS csv,
         (SELECT group_concat(name, ',') FROM (SELECT name FROM belongs
            JOIN "group" g ON g.id = id_group WHERE id_agent = agent.id ORDER BY priority)) AS real
       FROM agent WHERE agent.id > 0`,
    );
    for (const { id, csv, real } of rows) {
      const groups = textOf(real) === '' ? [] : textOf(real).split(',');
      if (csv === real) continue;
      sql.run(
        'UPDATE agent SET "group" = ?, group_hash = ? WHERE id = ?',
        real ?? null,
        groupHashOf(groups),
        id ?? null,
      );
    }
  });
  hash.clear();
  return ok();
}
