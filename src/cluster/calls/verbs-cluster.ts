/** Verbs about the cluster, its nodes and their sync status. */
import type { JsonObject, JsonValue } from '../../guards.ts';
import { nodeJson } from '../local/node-health.ts';
import { queryNodes } from './node-query.ts';
import { DeniedError } from './rbac.ts';
import { selectRows } from './select-rows.ts';
import {
  deniedItems,
  failedItems,
  itemsResult,
  textsOf,
  type Verb,
  type VerbContext,
} from './verb.ts';

interface Chosen {
  readonly names: readonly string[];
  readonly failed: ReturnType<typeof failedItems>;
}

/** Asked-for nodes: those that exist and may be read, the rest as failed items. */
function chooseNodes({ kwargs, permissions, view, isBroadcast }: VerbContext): Chosen {
  const all = view.nodes().map(({ name }) => name);
  const asked = textsOf(kwargs.filter_node, 'filter_node');
  const ids = asked ?? all;
  const allowed = permissions.allowed({ action: 'cluster:read', resource: 'node:id', ids });
  const denied = ids.filter((id) => !allowed.has(id));
  if (allowed.size === 0 && ids.length > 0) throw new DeniedError('Resource type: node:id', denied);
  const unknown = [...allowed].filter((id) => !all.includes(id));
  const isSaid = asked !== undefined && !isBroadcast;
  return {
    names: ids.filter((id) => allowed.has(id) && all.includes(id)),
    failed: [...failedItems(1730, unknown), ...(isSaid ? deniedItems('node:id', denied) : [])],
  };
}

/** Verbs about this node alone: the right to read it, or 4000. */
function demandSelf({ permissions, view }: VerbContext, action: string): void {
  const ids = [view.self.name];
  if (permissions.allowed({ action, resource: 'node:id', ids }).size > 0) return;
  throw new DeniedError('Resource type: node:id', ids);
}

const nodesInfo: Verb = async (context) => {
  const { names, failed } = chooseNodes(context);
  const { filter_node: _, ...rest } = context.kwargs;
  const { lc: __, q, offset, limit, ...query } = rest;
  const asked = { ...query, filter_node: names, limit: null };
  const found = queryNodes(context.view.nodes(), asked).items as readonly JsonObject[];
  // As stock: `q` is judged after everything but the page.
  const { items, totalItems } = selectRows(found, { q, offset, limit, fields: [], required: [] });
  return itemsResult({
    items,
    totalItems,
    failed,
    all: 'All selected nodes information was returned',
    some: 'Some nodes information was not returned',
    none: 'No information was returned',
  });
};

const healthNodes: Verb = async (context) => {
  const { names, failed } = chooseNodes(context);
  const { nodes } = await context.view.health(names, context.signal);
  const sorted = [...nodes].sort((a, b) => (a.name < b.name ? -1 : 1));
  return itemsResult({
    items: sorted.map(nodeJson),
    failed,
    all: 'All selected nodes healthcheck information was returned',
    some: 'Some nodes healthcheck information was not returned',
    none: 'No healthcheck information was returned',
  });
};

const oneNode = {
  all: 'All selected information was returned',
  none: 'No information was returned',
} as const;

const nodeWrapper: Verb = async (context) => {
  demandSelf(context, 'cluster:read');
  const { name, type, cluster } = context.view.self;
  return itemsResult({ items: [{ type, cluster, node: name }], ...oneNode });
};

/** The key never leaves this host: a permission that a peer claims widens nothing. */
const readConfig: Verb = async (context) => {
  demandSelf(context, 'cluster:read');
  return itemsResult({ items: [{ ...context.view.config(), key: '*****' }], ...oneNode });
};

/** Whoever hears this answer has been answered by a running cluster. */
const statusJson: Verb = async ({ permissions }) => {
  permissions.demand('cluster:status');
  return { kind: 'document', document: { data: { enabled: 'yes', running: 'yes' } } };
};

const rulesetIntegrity: Verb = async ({ view }) => ({
  kind: 'document',
  document: await view.rulesetHashes(),
});

const rulesetSync: Verb = async (context) => {
  demandSelf(context, 'cluster:read');
  const { kwargs, view } = context;
  const own = await view.rulesetHashes();
  const synced = isSameMap(kwargs.master_md5, own);
  return itemsResult({
    items: [{ name: view.self.name, synced }],
    all: 'Nodes ruleset synchronization status was successfully read',
    some: 'Could not read ruleset synchronization status in some nodes',
    none: 'Could not read ruleset synchronization status',
    casting: ['str'],
  });
};

function isSameMap(value: JsonValue | undefined, own: Readonly<Record<string, string>>): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const other = value as JsonObject;
  const names = Object.keys(own);
  return (
    names.length === Object.keys(other).length && names.every((name) => other[name] === own[name])
  );
}

const daemonStates: Verb = async (context) => {
  demandSelf(context, 'cluster:read');
  return itemsResult({
    items: [await context.view.daemons()],
    all: 'Processes status was successfully read in specified node',
    some: 'Could not read basic information in some nodes',
    none: 'Could not read processes status in specified node',
  });
};

const basicInfo: Verb = async (context) => {
  demandSelf(context, 'cluster:read');
  return itemsResult({
    items: [await context.view.basics()],
    all: 'Basic information was successfully read in specified node',
    some: 'Could not read basic information in some nodes',
    none: 'Could not read basic information in specified node',
  });
};

export const clusterVerbs: Readonly<Record<string, Verb>> = {
  'wazuh.cluster.get_nodes_info': nodesInfo,
  'wazuh.cluster.get_health_nodes': healthNodes,
  'wazuh.cluster.get_node_wrapper': nodeWrapper,
  'wazuh.cluster.read_config_wrapper': readConfig,
  'wazuh.cluster.get_status_json': statusJson,
  'wazuh.cluster.get_ruleset_sync_status': rulesetSync,
  'wazuh.core.cluster.control.get_node_ruleset_integrity': rulesetIntegrity,
  'wazuh.manager.get_status': daemonStates,
  'wazuh.manager.get_basic_info': basicInfo,
};
