/** Verbs about agents: what the database knows of them, narrowed by the caller's permissions. */
import type { JsonObject, JsonValue } from '../../guards.ts';
import { fault } from '../wire/fault.ts';
import type { FailedItems } from '../wire/result-json.ts';
import { agentFields, agentId, agentJson, filterAgents } from './agent-rows.ts';
import { CallFault } from './call-fault.ts';
import type { AgentRow } from './node-view.ts';
import { agentQuery } from './query-agents.ts';
import { DeniedError } from './rbac.ts';
import { nested, selectRows } from './select-rows.ts';
import {
  deniedItems,
  failedItems,
  itemsResult,
  textsOf,
  type Verb,
  type VerbContext,
} from './verb.ts';

interface ReadableAgents {
  readonly rows: readonly AgentRow[];
  readonly failed: readonly FailedItems[];
}

/** The agents that are asked for, exist and may be read. */
export async function readableAgents(context: VerbContext): Promise<ReadableAgents> {
  const { kwargs, permissions, view, signal, isBroadcast } = context;
  const all = await view.agents.agents(signal);
  const byId = new Map(all.map((row) => [agentId(row.id), row]));
  const asked = textsOf(kwargs.agent_list, 'agent_list');
  const ids = asked ?? [...byId.keys()];
  const groupsOf = (id: string): readonly string[] =>
    String(byId.get(id)?.columns.group ?? '').split(',');
  const allowed = permissions.allowed({
    action: 'agent:read',
    resource: 'agent:id',
    ids,
    groupsOf,
  });
  const denied = ids.filter((id) => !allowed.has(id));
  if (allowed.size === 0 && ids.length > 0) {
    throw new DeniedError('Resource type: agent:id', denied);
  }
  const kept = new Set(ids.filter((id) => allowed.has(id)));
  const missing = [...kept].filter((id) => !byId.has(id));
  const isSaid = asked !== undefined && !isBroadcast;
  return {
    rows: all.filter(({ id }) => kept.has(agentId(id))),
    failed: [...failedItems(1701, missing), ...(isSaid ? deniedItems('agent:id', denied) : [])],
  };
}

const messages = {
  all: 'All selected agents information was returned',
  some: 'Some agents information was not returned',
  none: 'No agent information was returned',
} as const;

/** What `cluster_control -a` asks; a plain document, unlike what the API asks. */
const overview: Verb = async (context) => {
  const { rows } = await readableAgents({ ...context, kwargs: {} });
  const { items, totalItems } = chosen(rows, context);
  const { count, get_data: wantsData } = context.kwargs;
  const shown = wantsData === false ? [] : items;
  return {
    kind: 'document',
    document: { items: shown, totalItems: count === false ? 0 : totalItems },
  };
};

const agents: Verb = async (context) => {
  const { rows, failed } = await readableAgents(context);
  const { items, totalItems } = chosen(rows, context);
  return itemsResult({ items, totalItems, failed, ...messages });
};

/** Filtered, ordered, cut, picked, nested. */
function chosen(rows: readonly AgentRow[], { kwargs, nowMs }: VerbContext) {
  const { q, ...rest } = kwargs;
  const found = rows.filter(agentQuery(q, nowMs));
  const flat = filterAgents(found.map(agentJson), kwargs.filters, nowMs);
  const query = { ...rest, fields: agentFields, required: ['id'] };
  const { items, totalItems } = selectRows(flat, query);
  return { items: items.map(nested), totalItems };
}

const inGroup: Verb = async (context) => {
  const { kwargs, permissions, view, signal } = context;
  const [group = '', ...more] = textsOf(kwargs.group_list, 'group_list') ?? [];
  if (more.length > 0) throw new CallFault(fault(1000, 'one group at a time'));
  const ids = [group];
  if (permissions.allowed({ action: 'group:read', resource: 'group:id', ids }).size === 0) {
    throw new DeniedError('Resource type: group:id', ids); // whether or not there is such a group
  }
  if (!(await view.agents.groups(signal)).has(group)) throw new CallFault(fault(1710));
  const { group_list: _, ...rest } = kwargs;
  const { rows, failed } = await readableAgents({ ...context, kwargs: rest });
  const members = rows.filter(({ columns }) =>
    String(columns.group ?? '')
      .split(',')
      .includes(group),
  );
  const { items, totalItems } = chosen(members, context);
  return itemsResult({ items, totalItems, failed, ...messages });
};

const outdated: Verb = async (context) => {
  const { rows, failed } = await readableAgents(context);
  const own = `Wazuh v${context.view.self.version}`;
  const old = rows.filter(({ id, columns }) => id !== 0 && (columns.version ?? own) !== own);
  const { items, totalItems } = chosen(old, context);
  return itemsResult({ items, totalItems, failed, ...messages });
};

const distinct: Verb = async (context) => {
  const { rows, failed } = await readableAgents(context);
  const fields = textsOf(context.kwargs.fields, 'fields') ?? [];
  const wrong = fields.filter((name) => !agentFields.includes(name));
  if (wrong.length > 0) throw new CallFault(fault(1724, wrong.join(', ').slice(0, 256)));
  const counts = new Map<string, { row: JsonObject; count: number }>();
  const { offset, limit, sort, search, q } = context.kwargs;
  for (const row of rows.filter(agentQuery(q, context.nowMs)).map(agentJson)) {
    const part = Object.fromEntries(fields.map((name) => [name, row[name] ?? 'N/A'] as const));
    const key = JSON.stringify(part);
    counts.set(key, { row: part, count: (counts.get(key)?.count ?? 0) + 1 });
  }
  const grouped = [...counts.values()].map(({ row, count }) => ({ ...row, count }));
  const query = { offset, limit, sort, search, fields: [...fields, 'count'], required: [] };
  const { items, totalItems } = selectRows(grouped, query);
  return itemsResult({ items: items.map(nested), totalItems, failed, ...messages });
};

const summaryStatus: Verb = async (context) => {
  const { rows } = await readableAgents(context);
  const known = rows.filter(({ id }) => id !== 0);
  const states = countBy(known, 'connection_status');
  const sync = countBy(known, 'group_config_status');
  const total = known.length;
  const connection = {
    active: states.get('active') ?? 0,
    disconnected: states.get('disconnected') ?? 0,
    never_connected: states.get('never_connected') ?? 0,
    pending: states.get('pending') ?? 0,
    total,
  };
  const synced = sync.get('synced') ?? 0;
  const configuration = { synced, not_synced: sync.get('not synced') ?? 0, total };
  return { kind: 'document', document: { data: { connection, configuration } } };
};

const summary: Verb = async (context) => {
  const { rows } = await readableAgents(context);
  const known = rows.filter(({ id }) => id !== 0);
  const states = countBy(known, 'connection_status');
  const status = Object.fromEntries(
    ['active', 'disconnected', 'never_connected', 'pending'].map(
      (name) => [name, states.get(name) ?? 0] as const,
    ),
  );
  const groups = new Map<string, number>();
  for (const { columns } of known) {
    for (const name of String(columns.group ?? '').split(',')) {
      if (name !== '') groups.set(name, (groups.get(name) ?? 0) + 1);
    }
  }
  const data: JsonObject = {
    status,
    os: Object.fromEntries(countBy(known, 'os_platform')),
    groups: Object.fromEntries(groups),
  };
  return { kind: 'document', document: { data } };
};

function countBy(rows: readonly AgentRow[], column: string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { columns } of rows) {
    const value = columns[column];
    if (value !== undefined) counts.set(String(value), (counts.get(String(value)) ?? 0) + 1);
  }
  return counts;
}

const summaryOs: Verb = async (context) => {
  const { rows } = await readableAgents(context);
  const platforms = countBy(
    rows.filter(({ id }) => id !== 0),
    'os_platform',
  );
  const items: readonly JsonValue[] = [...platforms.keys()].sort();
  return itemsResult({
    items,
    all: 'Showing the operative system of all specified agents',
    some: 'Could not get the operative system of some agents',
    none: 'Could not get the operative system of the agents',
  });
};

export const agentVerbs: Readonly<Record<string, Verb>> = {
  'wazuh.core.agent.Agent.get_agents_overview': overview,
  'wazuh.agent.get_agents': agents,
  'wazuh.agent.get_agents_in_group': inGroup,
  'wazuh.agent.get_outdated_agents': outdated,
  'wazuh.agent.get_distinct_agents': distinct,
  'wazuh.agent.get_agents_summary_status': summaryStatus,
  'wazuh.agent.get_agents_summary': summary,
  'wazuh.agent.get_agents_summary_os': summaryOs,
};
