/** Where a call runs (cluster-protocol.md 4.9.2) and which nodes solve it (4.9.5). Pure. */
import type { JsonObject, JsonValue } from '../../guards.ts';
import { agentId } from './agent-rows.ts';
import type { CallRequest } from './call-request.ts';
import type { AgentRow } from './node-view.ts';
import { textsOf } from './verb.ts';

export type Route = 'here' | 'fan_out' | 'to_master';

export function routeOf(
  { requestType, isFromCluster }: Pick<CallRequest, 'requestType' | 'isFromCluster'>,
  own: { readonly type: 'master' | 'worker'; readonly isDistributed: boolean },
): Route {
  if (!own.isDistributed || requestType === 'local_any') return 'here';
  if (requestType === 'local_master' && own.type === 'master') return 'here';
  if (requestType === 'distributed_master' && isFromCluster) return 'here';
  return own.type === 'master' ? 'fan_out' : 'to_master';
}

/** One node's share of a call; `agents`: undefined leaves the arguments as they are. */
export interface Share {
  readonly node: string;
  readonly agents: readonly string[] | undefined;
}

export interface SolverInput {
  readonly kwargs: JsonObject;
  readonly isBroadcast: boolean;
  readonly self: string;
  readonly nodes: readonly string[];
  /** Read only when the call is about agents or about every node that has some. */
  agents(): Promise<readonly AgentRow[]>;
}

/** The nodes that have what the call needs; none: every node. */
export async function solversOf(input: SolverInput): Promise<readonly Share[]> {
  const { kwargs, isBroadcast } = input;
  const named = textsOf(kwargs.node_list ?? kwargs.node_id, 'node_list');
  if (kwargs.agent_id !== undefined || kwargs.agent_list !== undefined) {
    return byOwner(await input.agents(), input, named);
  }
  if (named !== undefined) return unique(named).map((node) => ({ node, agents: undefined }));
  if (isBroadcast) return input.nodes.map((node) => ({ node, agents: undefined }));
  const owners = (await input.agents()).map((row) => ownerOf(row, input.self));
  return unique(owners).map((node) => ({ node, agents: undefined }));
}

/** Agents by the node they report to; those nobody knows belong to this node. */
function byOwner(
  rows: readonly AgentRow[],
  { kwargs, self }: SolverInput,
  named: readonly string[] | undefined,
): readonly Share[] {
  const asked = askedAgents(kwargs);
  const owners = new Map(rows.map((row) => [agentId(row.id), ownerOf(row, self)]));
  const shares = new Map<string, string[]>();
  for (const node of named ?? []) shares.set(node, []);
  for (const id of asked ?? owners.keys()) {
    const node = owners.get(id) ?? self;
    if (named !== undefined && !named.includes(node)) continue;
    shares.set(node, [...(shares.get(node) ?? []), id]);
  }
  return [...shares].map(([node, agents]) => ({ node, agents }));
}

function askedAgents({
  agent_id: one,
  agent_list: many,
}: JsonObject): readonly string[] | undefined {
  const value: JsonValue | undefined = many ?? one;
  return textsOf(value, 'agent_list');
}

function ownerOf({ columns }: AgentRow, self: string): string {
  const node = String(columns.node_name ?? '');
  return node === '' || node === 'unknown' ? self : node;
}

function unique(names: readonly string[]): readonly string[] {
  return [...new Set(names)];
}

/** The arguments of one node's share: its agents, and no selector of nodes any more. */
export function shareKwargs(kwargs: JsonObject, { agents }: Share): JsonObject {
  const { node_id: _, node_list: __, ...rest } = kwargs;
  if (agents === undefined) return rest;
  return 'agent_id' in rest ? { ...rest, agent_id: agents } : { ...rest, agent_list: agents };
}
