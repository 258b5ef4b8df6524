/**
 * What can be known of the agent on this host, as one value. It says what is, never what to do:
 * judgements live in `applier/confirm.ts` and in the sidecar. Source: agent-side.md 3 and
 * real-agent-lab.md 2. `status` and the acks lag up to 5 s (state file), `waiting` and `peers` do not.
 */

/** `pending` = never connected since start; `unknown` = no state file, or one that cannot be read. */
export type AgentStatus = 'pending' | 'connected' | 'disconnected' | 'unknown';

export interface AgentPeer {
  /** Literal IPv4, or IPv6 in canonical lower-case form; IPv4-mapped addresses are plain IPv4. */
  readonly address: string;
  readonly port: number;
  /** Of the agent's own end; absent where the system does not say. */
  readonly localPort?: number;
}

export interface AgentFacts {
  readonly installed: boolean;
  /** `4.14.8`, without a leading `v`. */
  readonly version?: string;
  readonly running: boolean;
  /** Processes of agentd (Windows: of the one agent process), ascending. */
  readonly pids: readonly number[];
  readonly status: AgentStatus;
  /** `.wait` exists: the agent is (re)connecting right now. */
  readonly waiting: boolean;
  /** Modification time of the state file. */
  readonly stateWrittenAtMs?: number;
  readonly lastAckAtMs?: number;
  readonly lastKeepaliveAtMs?: number;
  readonly msgSent?: number;
  readonly msgBuffer?: number;
  /** Established TCP connections of agentd. */
  readonly peers: readonly AgentPeer[];
  /** The lock that says a package or WPK upgrade is under way, or undefined. */
  readonly upgrade: string | undefined;
}

/** Port: reads the facts of the agent on this host. `host/agent-files.ts` implements it. */
export interface AgentWorld {
  readFacts(): Promise<AgentFacts>;
}
