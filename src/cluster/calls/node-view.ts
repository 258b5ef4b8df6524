/** What calls read: a node's own state and the agents it knows, as ports with values. */
import type { JsonObject } from '../../guards.ts';
import type { ChunkSync, ClusterHealth } from '../local/node-health.ts';
import type { NodeLine } from '../local/node-list.ts';

export interface AgentRow {
  /** 0 is the manager itself. */
  readonly id: number;
  readonly name: string;
  /** Columns of the `agent` table as wazuh-db gives them; absent: NULL. */
  readonly columns: Readonly<Record<string, string | number>>;
}

/** Agents as this node's database has them. */
export interface AgentDirectory {
  /** Every agent in the order of ids. Rejects with an error of the database. */
  agents(signal: AbortSignal): Promise<readonly AgentRow[]>;
  /** How many agents, the manager left out, are active on each node. */
  activeByNode(signal: AbortSignal): Promise<ReadonlyMap<string, number>>;
  /** Group names with how many agents are in them. */
  groups(signal: AbortSignal): Promise<ReadonlyMap<string, number>>;
}

export interface NodeSelf {
  readonly name: string;
  readonly type: 'master' | 'worker';
  readonly cluster: string;
  readonly version: string;
}

/** Whether a manager's daemons run: `running`, `stopped`, `failed`, `starting`, `restarting`. */
export type DaemonStates = Readonly<Record<string, string>>;

/** Sums of a group's files, as hex; absent: no such file. */
export interface GroupSums {
  readonly merged?: string;
  readonly config?: string;
}

/** What a manager's home tells; `host/` reads it. */
export interface ManagerFacts {
  daemons(): Promise<DaemonStates>;
  /** `algorithm` is one of a few; others reject. */
  groupSums(group: string, algorithm: string): Promise<GroupSums>;
  /** MD5 of the merged file that agents of these groups should hold; undefined: there is none. */
  mergedSum(groups: readonly string[]): Promise<string | undefined>;
  /** Facts of `get_basic_info`, version and role left out. */
  basics(): Promise<JsonObject>;
}

/** Agent data of one worker as its master synchronises it; absent members: not yet. */
export interface AgentSync {
  readonly isAgentInfoFree: boolean;
  readonly agentInfo: ChunkSync;
  readonly agentGroups: ChunkSync;
  readonly allAgentGroups: ChunkSync;
}

/** One file on one node that is not as it should be, or was not. */
export interface FileState {
  readonly node: string;
  readonly file: string;
  readonly state: 'synchronized' | 'pending' | 'failed' | 'invalid';
  readonly sinceMs: number;
  readonly reason: string | undefined;
}

/** The sync status of every file on every node. */
export interface FileStates {
  /** In the order of node and file, at most `limit` after `offset`. */
  page(query: {
    readonly nodes: readonly string[] | null;
    readonly states: readonly string[] | null;
    readonly offset: number;
    readonly limit: number;
  }): Promise<{ readonly rows: readonly FileState[]; readonly total: number }>;
}

export interface NodeView extends ManagerFacts {
  readonly self: NodeSelf;
  readonly agents: AgentDirectory;
  readonly files: FileStates | undefined;
  /** The master first. Throws on a worker: its master answers such questions. */
  nodes(): readonly NodeLine[];
  /** null: every node; unknown names are left out. */
  health(names: readonly string[] | null, signal: AbortSignal): Promise<ClusterHealth>;
  /** Effective configuration as `get_config` tells it, the key included. */
  config(): JsonObject;
  /** Path to hash of decoders, rules and lists. */
  rulesetHashes(): Promise<Readonly<Record<string, string>>>;
}
