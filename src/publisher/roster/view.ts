/** What the publisher sees of one manager from its different places, as values. */

/** One place's opinion; `unknown` where it cannot see. */
export type Opinion = 'up' | 'down' | 'unknown';

export type NodeRole = 'master' | 'worker';

/**
 * How far the keys and groups of a node are known to be in step with its master. Who is catching up
 * is not let in yet, but no reason to leave either; who is behind is both.
 */
export type InStep =
  | { readonly kind: 'in_step' }
  | { readonly kind: 'catching_up'; readonly why: string }
  | { readonly kind: 'behind'; readonly why: string }
  | { readonly kind: 'unknown' };

/** How far a node is behind, as our own master keeps it in its store; 0: not at all. */
export interface NodeLags {
  readonly keysMs: number;
  readonly groupsMs: number;
  readonly filesMs: number;
  readonly files: number;
  /** Generation of client.keys that it has, and the newest one. */
  readonly keysGeneration: number;
  readonly newestKeysGeneration: number;
}

/** Wazuh's own files, where the publisher sits beside the node. */
export interface LocalState {
  /** Daemons that should run and do not. */
  readonly missingDaemons: readonly string[];
  /** Highest share of a queue in use, 0 to 1. */
  readonly queueUsage: number;
  /** Share of the disk that is free, 0 to 1. */
  readonly diskFree: number;
}

/** Another publisher's opinion; `unknown` while it may only be late. */
export interface PeerView {
  readonly publisher: string;
  /** Absent: it is a place of its own. */
  readonly site?: string;
  readonly opinion: Opinion;
}

export interface ManagerViews {
  readonly id: string;
  /** The publisher's own protocol probe. */
  readonly probe: Opinion;
  /** Where this publisher is; absent: a place of its own. */
  readonly site?: string;
  /** Is its node in the cluster? */
  readonly cluster: Opinion;
  /** What its node is in the cluster; absent where the cluster does not tell. */
  readonly role?: NodeRole;
  readonly inStep: InStep;
  /** The majority of the voters of each site; sites without enough voters are left out. */
  readonly sites: readonly { readonly site: string; readonly opinion: Opinion }[];
  /** What publishers that stand by see; absent where there are none. */
  readonly peers?: readonly PeerView[];
  /** How many agents its node says it has; nothing but a complaint ever comes of it. */
  readonly claimedAgents?: number;
  readonly local?: LocalState;
  readonly lags?: NodeLags;
}
