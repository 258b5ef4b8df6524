/** Verbs about groups: which there are, and whether agents hold their group's files. */
import type { JsonObject } from '../../guards.ts';
import type { FailedItems } from '../wire/result-json.ts';
import { agentId } from './agent-rows.ts';
import type { AgentRow } from './node-view.ts';
import { DeniedError } from './rbac.ts';
import { selectRows } from './select-rows.ts';
import { failedItems, itemsResult, textsOf, type Verb, type VerbContext } from './verb.ts';
import { readableAgents } from './verbs-agents.ts';

const fields = ['name', 'mergedSum', 'configSum', 'count'];

const groups: Verb = async (context) => {
  const { kwargs, view, signal } = context;
  const all = await view.agents.groups(signal);
  const { names, failed } = chooseGroups(context, [...all.keys()]);
  const algorithm = typeof kwargs.hash_algorithm === 'string' ? kwargs.hash_algorithm : 'md5';
  const rows: JsonObject[] = [];
  for (const name of names) {
    const { merged, config } = await view.groupSums(name, algorithm);
    rows.push({
      name,
      count: all.get(name) ?? 0,
      ...(merged === undefined ? {} : { mergedSum: merged }),
      ...(config === undefined ? {} : { configSum: config }),
    });
  }
  const { items, totalItems } = selectRows(rows, groupQuery(context));
  return itemsResult({
    items,
    totalItems,
    failed,
    all: 'All selected groups information was returned',
    some: 'Some groups information was not returned',
    none: 'No group information was returned',
  });
};

/** This verb spells its arguments otherwise than the others. */
function groupQuery({ kwargs }: VerbContext) {
  const sortBy = textsOf(kwargs.sort_by, 'sort_by');
  const { search_text: text } = kwargs;
  return {
    fields,
    required: ['name'],
    offset: kwargs.offset ?? 0,
    limit: kwargs.limit ?? null,
    sort:
      sortBy === undefined
        ? null
        : { fields: sortBy, order: kwargs.sort_ascending === false ? 'desc' : 'asc' },
    search:
      typeof text === 'string'
        ? { value: text, negation: kwargs.complementary_search === true }
        : null,
    select: kwargs.select ?? null,
    distinct: kwargs.distinct === true,
    q: kwargs.q ?? '',
  };
}

function chooseGroups(
  { kwargs, permissions }: VerbContext,
  all: readonly string[],
): { readonly names: readonly string[]; readonly failed: readonly FailedItems[] } {
  const ids = textsOf(kwargs.group_list, 'group_list') ?? all;
  const allowed = permissions.allowed({ action: 'group:read', resource: 'group:id', ids });
  if (allowed.size === 0 && ids.length > 0) throw new DeniedError('Resource type: group:id', ids);
  const unknown = [...allowed].filter((id) => !all.includes(id));
  const names = all.filter((name) => allowed.has(name)).sort();
  return { names, failed: failedItems(1710, unknown) };
}

const groupSync: Verb = async (context) => {
  const { rows, failed } = await readableAgents(context);
  const own = rows.some(({ id }) => id === 0) ? failedItems(1703, ['000']) : [];
  const sums = new Map<string, string | undefined>();
  const items: JsonObject[] = [];
  for (const row of rows.filter(({ id }) => id !== 0)) {
    items.push({ id: agentId(row.id), synced: await holdsGroup(row, sums, context) });
  }
  return itemsResult({
    items,
    failed: [...failed, ...own],
    all: 'Sync info was returned for all selected agents',
    some: 'Sync info was not returned for some selected agents',
    none: 'No sync info was returned',
  });
};

/** Agents of one set of groups share one look at the disk. */
async function holdsGroup(
  { columns }: AgentRow,
  sums: Map<string, string | undefined>,
  { view }: VerbContext,
): Promise<boolean> {
  const group = String(columns.group ?? '');
  if (group === '' || columns.merged_sum === undefined) return false;
  if (!sums.has(group)) sums.set(group, await view.mergedSum(group.split(',')));
  return sums.get(group) === columns.merged_sum;
}

export const groupVerbs: Readonly<Record<string, Verb>> = {
  'wazuh.agent.get_agent_groups': groups,
  'wazuh.agent.get_agents_sync_group': groupSync,
};
