/** `get_health` as typed values (cluster-protocol.md 7.7), and back into stock's JSON. */
import type { JsonObject, JsonValue } from '../../guards.ts';
import { PayloadError } from '../wire/payload.ts';
import { type NodeLine, objectOf, parseNodeLine, textOf } from './node-list.ts';

/** `2024-11-21T10:00:05.123456Z`, or `n/a`: not yet. `momentMs` reads it. */
export type Moment = string;

export interface MomentSpan {
  readonly start: Moment;
  readonly end: Moment;
}

export interface ChunkSync extends MomentSpan {
  readonly chunks: number;
}

/** What a master knows of one worker's synchronisation. */
export interface WorkerHealth {
  readonly isIntegrityFree: boolean;
  readonly integrityCheck: MomentSpan;
  readonly integritySync: MomentSpan & {
    readonly missing: number;
    readonly shared: number;
    readonly extra: number;
  };
  readonly isAgentInfoFree: boolean;
  readonly agentInfo: ChunkSync;
  readonly agentGroups: ChunkSync;
  readonly allAgentGroups: ChunkSync;
  readonly lastKeepAlive: Moment;
}

export interface NodeHealth extends NodeLine {
  /** Undefined: not told, as 5.0 nodes do. */
  readonly activeAgents: number | undefined;
  /** Undefined for the master. */
  readonly sync: WorkerHealth | undefined;
}

export interface ClusterHealth {
  /** Workers that matched; the master does not count. */
  readonly connectedNodes: number;
  /** Workers in the order in which they connected, then the master. */
  readonly nodes: readonly NodeHealth[];
}

/** Milliseconds since the epoch; undefined: not yet, or not a date. */
export function momentMs(moment: Moment): number | undefined {
  const ms = Date.parse(moment);
  return Number.isNaN(ms) ? undefined : ms;
}

/** Throws `PayloadError`. */
export function parseHealth(value: JsonValue): ClusterHealth {
  const { n_connected_nodes: connected, nodes } = objectOf(value, 'health');
  return {
    connectedNodes: numberOf(connected, 'n_connected_nodes'),
    nodes: Object.values(objectOf(nodes, 'nodes')).map(parseNode),
  };
}

function parseNode(value: JsonValue): NodeHealth {
  const { info, status } = objectOf(value, 'a node');
  const agents = objectOf(info, 'info').n_active_agents;
  return {
    ...parseNodeLine(info ?? null),
    activeAgents: typeof agents === 'number' ? agents : undefined,
    sync: status === undefined ? undefined : parseSync(objectOf(status, 'status')),
  };
}

function parseSync(status: JsonObject): WorkerHealth {
  const sync = objectOf(status.last_sync_integrity, 'last_sync_integrity');
  const files = objectOf(sync.total_files, 'total_files');
  return {
    isIntegrityFree: status.sync_integrity_free === true,
    integrityCheck: masterSpan(objectOf(status.last_check_integrity, 'last_check_integrity')),
    integritySync: {
      ...masterSpan(sync),
      missing: numberOf(files.missing, 'missing'),
      shared: numberOf(files.shared, 'shared'),
      extra: numberOf(files.extra, 'extra'),
    },
    isAgentInfoFree: status.sync_agent_info_free === true,
    agentInfo: chunkSync(status, 'last_sync_agentinfo', '_master'),
    agentGroups: chunkSync(status, 'last_sync_agentgroup', ''),
    allAgentGroups: chunkSync(status, 'last_sync_full_agentgroup', ''),
    lastKeepAlive: textOf(status.last_keep_alive, 'last_keep_alive'),
  };
}

function masterSpan({ date_start_master, date_end_master }: JsonObject): MomentSpan {
  return {
    start: textOf(date_start_master, 'date_start_master'),
    end: textOf(date_end_master, 'date_end_master'),
  };
}

function chunkSync(status: JsonObject, name: string, suffix: '' | '_master'): ChunkSync {
  const object = objectOf(status[name], name);
  return {
    start: textOf(object[`date_start${suffix}`], 'date_start'),
    end: textOf(object[`date_end${suffix}`], 'date_end'),
    chunks: numberOf(object.n_synced_chunks, 'n_synced_chunks'),
  };
}

function numberOf(value: JsonValue | undefined, what: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw new PayloadError(`${what} is not a whole number`);
}

/** Stock's JSON, members in stock's order. */
export function healthJson(health: ClusterHealth): JsonObject {
  const nodes = health.nodes.map((node) => [node.name, nodeJson(node)] as const);
  return { n_connected_nodes: health.connectedNodes, nodes: Object.fromEntries(nodes) };
}

export function nodeJson({ sync, activeAgents, ...line }: NodeHealth): JsonObject {
  const { name, type, version, address } = line;
  const agents = activeAgents === undefined ? {} : { n_active_agents: activeAgents };
  const info = { name, type, version, ip: address, ...agents };
  return sync === undefined ? { info } : { info, status: syncJson(sync) };
}

function syncJson(sync: WorkerHealth): JsonObject {
  const { missing, extra, shared } = sync.integritySync;
  return {
    sync_integrity_free: sync.isIntegrityFree,
    last_check_integrity: masterSpanJson(sync.integrityCheck),
    last_sync_integrity: {
      ...masterSpanJson(sync.integritySync),
      total_extra_valid: 0,
      total_files: { missing, extra, shared },
    },
    sync_agent_info_free: sync.isAgentInfoFree,
    last_sync_agentinfo: {
      ...masterSpanJson(sync.agentInfo),
      n_synced_chunks: sync.agentInfo.chunks,
    },
    last_sync_agentgroup: chunkJson(sync.agentGroups),
    last_sync_full_agentgroup: chunkJson(sync.allAgentGroups),
    last_keep_alive: sync.lastKeepAlive,
  };
}

function masterSpanJson({ start, end }: MomentSpan): JsonObject {
  return { date_start_master: start, date_end_master: end };
}

function chunkJson({ start, end, chunks }: ChunkSync): JsonObject {
  return { date_start: start, date_end: end, n_synced_chunks: chunks };
}
