/** Agents of the database as the rows that Wazuh's API shows. Pure. */
import { isJsonObject, type JsonObject, type JsonValue } from '../../guards.ts';
import { fault } from '../wire/fault.ts';
import { CallFault } from './call-fault.ts';
import type { AgentRow } from './node-view.ts';

/** Member of a row, column of the table. */
const columns: Readonly<Record<string, string>> = {
  'os.arch': 'os_arch',
  'os.build': 'os_build',
  'os.codename': 'os_codename',
  'os.major': 'os_major',
  'os.minor': 'os_minor',
  'os.name': 'os_name',
  'os.platform': 'os_platform',
  'os.type': 'os_type',
  'os.uname': 'os_uname',
  'os.version': 'os_version',
  name: 'name',
  status: 'connection_status',
  version: 'version',
  manager: 'manager_host',
  dateAdd: 'date_add',
  group: 'group',
  mergedSum: 'merged_sum',
  configSum: 'config_sum',
  node_name: 'node_name',
  lastKeepAlive: 'last_keepalive',
  registerIP: 'register_ip',
  disconnection_time: 'disconnection_time',
  group_config_status: 'group_config_status',
  status_code: 'status_code',
};

export const agentFields = ['id', 'ip', ...Object.keys(columns)];
/** What `q` may name. */
export const queryFields: readonly string[] = agentFields;

/** How to read a member from what the database told, before it is shown; undefined: NULL. */
export function agentColumn(member: string): (agent: AgentRow) => string | number | undefined {
  if (member === 'id') return ({ id }) => id;
  if (member === 'name') return ({ name }) => name;
  if (member === 'ip') return ({ columns: { ip, register_ip: registered } }) => ip ?? registered;
  const column = columns[member] ?? '';
  return ({ columns: values }) => values[column];
}

const dates: ReadonlySet<string> = new Set(['dateAdd', 'lastKeepAlive', 'disconnection_time']);

export function agentId(id: number): string {
  return String(id).padStart(3, '0');
}

/** One flat row; members without a value are absent, as stock leaves them out. */
export function agentJson({ id, name, columns: values }: AgentRow): JsonObject {
  const row: Record<string, JsonValue> = { id: agentId(id), name };
  const ip = values.ip ?? values.register_ip;
  if (ip !== undefined) row.ip = ip;
  for (const [member, column] of Object.entries(columns)) {
    const value = values[column];
    if (value === undefined || member === 'name') continue;
    const shown = memberJson(member, value);
    if (shown !== undefined) row[member] = shown;
  }
  return row;
}

function memberJson(member: string, value: string | number): JsonValue | undefined {
  if (member === 'group') return String(value).split(',');
  if (!dates.has(member) || typeof value === 'string') return value;
  if (member === 'disconnection_time' && value === 0) return undefined;
  return { __wazuh_datetime__: isoSeconds(value) };
}

/** As Python prints an aware date without fraction. */
function isoSeconds(unixSeconds: number): string {
  const ms = Math.min(Math.max(0, unixSeconds), 253_402_300_799) * 1000;
  return new Date(ms).toISOString().replace(/\.000Z$/, '+00:00');
}

/** Which rows match `filters`: equal to one of the values; `all` and null match any. */
export function filterAgents(
  rows: readonly JsonObject[],
  filters: JsonValue | undefined,
  nowMs: number,
): readonly JsonObject[] {
  if (filters === undefined || filters === null) return rows;
  if (!isJsonObject(filters)) throw new CallFault(fault(1000, 'filters is not an object'));
  let left = rows;
  for (const [name, value] of Object.entries(filters)) {
    if (value === null || value === 'all') continue;
    if (name === 'older_than') left = left.filter((row) => isOlder(row, value, nowMs));
    else if (!agentFields.includes(name)) throw new CallFault(fault(1408, name.slice(0, 64)));
    else left = left.filter(oneOf(name, value));
  }
  return left;
}

function oneOf(name: string, wanted: JsonValue): (row: JsonObject) => boolean {
  const list = Array.isArray(wanted) ? wanted : [wanted];
  const texts = new Set(list.flatMap((one) => String(one).split(',')));
  if (texts.has('all')) return () => true;
  return ({ [name]: value }) => {
    if (Array.isArray(value)) return value.some((one) => texts.has(String(one)));
    return texts.has(value === undefined ? 'null' : String(value));
  };
}

const unitS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, '': 1 };

/** Last heard of, or for agents that never connected added, longer ago than `7d`. */
function isOlder(row: JsonObject, value: JsonValue, nowMs: number): boolean {
  const [, digits, unit = ''] = /^(\d{1,9})([smhd]?)$/.exec(String(value)) ?? [];
  if (digits === undefined) throw new CallFault(fault(1408, 'older_than'));
  const ageMs = Number(digits) * (unitS[unit] ?? 1) * 1000;
  if (ageMs === 0) return true;
  const seen = row.status === 'never_connected' ? row.dateAdd : row.lastKeepAlive;
  const at = isJsonObject(seen) ? Date.parse(String(seen.__wazuh_datetime__)) : Number.NaN;
  return row.id !== '000' && at < nowMs - ageMs;
}
