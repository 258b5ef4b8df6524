/** The view of a node, from its configuration, its role's status and what its host brings. */

import { type Clock, deadline } from '../../clock.ts';
import type { JsonObject, JsonValue } from '../../guards.ts';
import type { ClusterConfig } from '../config.ts';
import type { FileJobs } from '../files/jobs.ts';
import type { ClusterHealth, NodeHealth } from '../local/node-health.ts';
import type { NodeLine } from '../local/node-list.ts';
import { fault } from '../wire/fault.ts';
import { CallFault } from './call-fault.ts';
import type { AgentDirectory, FileStates, ManagerFacts, NodeView } from './node-view.ts';

/** A connected worker: all of its health but the number of its agents. */
export type WorkerLine = Omit<NodeHealth, 'activeAgents'>;

export interface ViewParts {
  readonly clock: Clock;
  readonly config: ClusterConfig;
  readonly version: string;
  readonly agents: AgentDirectory;
  readonly files: FileStates | undefined;
  readonly facts: ManagerFacts;
  readonly jobs: Pick<FileJobs, 'hashes'>;
  /** 5.0 tells no number of agents. */
  readonly tellsActiveAgents: boolean;
  /** Connected workers in the order in which they came; undefined on a worker. */
  readonly workers: (() => readonly WorkerLine[]) | undefined;
}

/** Whoever asks for health waits twenty seconds at most, and for more than this number. */
const activeAgentsMs = 5_000;
const rulesetItems = ['etc/rules/', 'etc/decoders/', 'etc/lists/'];

export function buildNodeView(parts: ViewParts): NodeView {
  const { config, version, facts, workers } = parts;
  const { nodeName, nodeType, name } = config;
  const self = { name: nodeName, type: nodeType, cluster: name, version } as const;
  const own: NodeLine = { name: nodeName, type: nodeType, version, address: config.nodes[0] ?? '' };
  const connected = (): readonly WorkerLine[] => {
    if (workers === undefined) throw new CallFault(fault(1000, 'the master knows the nodes'));
    return workers();
  };
  return {
    ...{ self, agents: parts.agents, files: parts.files },
    nodes: () => [own, ...connected().map(lineOf)],
    health: (names, signal) => healthOf(own, connected(), names, parts, signal),
    config: () => configJson(config),
    rulesetHashes: () => parts.jobs.hashes(rulesetItems),
    daemons: () => facts.daemons(),
    groupSums: (group, algorithm) => facts.groupSums(group, algorithm),
    mergedSum: (groups) => facts.mergedSum(groups),
    basics: async () => ({ ...(await facts.basics()), version: `v${version}`, type: 'server' }),
  };
}

function lineOf({ name, type, version, address }: NodeLine): NodeLine {
  return { name, type, version, address };
}

async function healthOf(
  own: NodeLine,
  workers: readonly WorkerLine[],
  names: readonly string[] | null,
  { agents, tellsActiveAgents, clock }: ViewParts,
  signal: AbortSignal,
): Promise<ClusterHealth> {
  const isWanted = ({ name }: NodeLine): boolean => names === null || names.includes(name);
  const active = tellsActiveAgents ? await activeOf(agents, clock, signal) : undefined;
  const count = (name: string): number | undefined =>
    active === undefined ? undefined : (active.get(name) ?? 0);
  const wanted = workers.filter(isWanted);
  const nodes: NodeHealth[] = wanted.map((one) => ({ ...one, activeAgents: count(one.name) }));
  if (isWanted(own)) nodes.push({ ...own, activeAgents: count(own.name), sync: undefined });
  return { connectedNodes: wanted.length, nodes };
}

/** A database that does not answer hides nothing but the number of agents. */
async function activeOf(
  agents: AgentDirectory,
  clock: Clock,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const limit = deadline(clock, activeAgentsMs, signal);
  try {
    return await agents.activeByNode(limit.signal);
  } catch (error) {
    if (signal.aborted) throw error;
    return new Map();
  } finally {
    limit.cancel();
  }
}

/** Members in the order in which stock has read them; extras last. */
function configJson(config: ClusterConfig): JsonObject {
  const { name, nodeName, nodeType, key, port, bindAddress, nodes, hidden, disabled } = config;
  const known = {
    name,
    node_name: nodeName,
    node_type: nodeType,
    key,
    port,
    bind_addr: bindAddress,
    nodes,
    hidden,
    disabled,
  };
  return { ...known, ...(config.extras as Readonly<Record<string, JsonValue>>) };
}
