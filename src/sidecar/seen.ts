/** What one cycle looked at, as plain values: the agent, its file, the managers. */
import type { Dialect } from '../agent-config/dialect.ts';
import type { Holding, Neighbour } from '../health/holder.ts';
import type { Health } from '../health/judge.ts';
import type { Manager, ManagerList } from '../list/model.ts';
import type { AgentFacts } from '../wazuh/agent-facts.ts';

/** One server entry of ossec.conf, as the agent loads it. */
export interface ServerSeen {
  readonly address: string;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
  readonly maxRetries: number;
  /** Seconds. */
  readonly retryInterval: number;
}

export type FileSeen =
  | {
      readonly kind: 'readable';
      readonly dialect: Dialect;
      /** Placeholders of a fresh image included; empty when no server is named. */
      readonly servers: readonly ServerSeen[];
      /** Seconds, as written. */
      readonly notifyTime?: number | undefined;
      readonly timeReconnect?: number | undefined;
      /** `sha256:` tag of the whole file. */
      readonly hash: string;
    }
  /** The agent itself could not load it, or it cannot be read. */
  | { readonly kind: 'refused'; readonly code: string; readonly why: string }
  | { readonly kind: 'missing'; readonly hasBackup: boolean };

export interface Seen {
  readonly agent: AgentFacts;
  readonly file: FileSeen;
  /** By manager id; a manager never probed is absent. */
  readonly health: ReadonlyMap<string, Health>;
  /** Since when the agent has had no connection, as far as this process saw; absent while it has one. */
  readonly lostSinceAtMs?: number;
  /** Since when it has had one without a loss, as far as this process saw; absent where nobody watched. */
  readonly foundAtMs?: number;
  /** For how long the agent has sent nothing although it should, as far as this process saw. */
  readonly stuckForMs?: number;
  /** Absent where no relay is configured. */
  readonly relay?: RelaySeen;
  /** By manager id: who stands behind its address. */
  readonly holders?: ReadonlyMap<string, HolderSeen>;
  /** The agent's connection itself, where the system shows it. */
  readonly ownConnection?: OwnConnection;
  /** An operator's pause; judged against the clock by `decide`. */
  readonly pause?: Pause;
}

/** Our own loopback relay. */
export type RelaySeen =
  | {
      readonly kind: 'open';
      readonly address: string;
      readonly port: number;
      /** TCP when absent. */
      readonly protocol?: 'tcp' | 'udp';
      /** Where it leads the agent now; absent while nobody is connected. */
      readonly managerId?: string;
      /** That very session; with `managerId`. */
      readonly session?: RelaySessionSeen;
      /** The agent waits in it for its admission until then. */
      readonly admitsAtMs?: number;
      /** Nobody answers just now: it keeps the agent until then at the latest, and leads it on before. */
      readonly keptUntilMs?: number;
      /** When it last turned the agent away, for want of a manager; absent once it led it on. */
      readonly refusedAtMs?: number;
    }
  /** The agent must not be pointed at it. */
  | { readonly kind: 'refused'; readonly code: string; readonly why: string };

export interface HolderSeen extends Holding {
  /** Of its address in this host's own table; absent behind a router, and where none is shown. */
  readonly neighbour?: Neighbour;
}

export interface OwnConnection {
  /** Wall clock since when it has been this very one, as far as this process saw. */
  readonly sinceAtMs: number;
  /** Times in a row that its oldest bytes were sent again. */
  readonly retransmits: number;
}

export interface RelaySessionSeen {
  readonly number: number;
  /** Where it was dialled. */
  readonly address: string;
  /** Wall clock. */
  readonly openedAtMs: number;
}

export interface Pause {
  readonly untilMs: number;
  readonly reason: string;
  /** When `resume` ended it: what was held back before that is asked again. */
  readonly endedAtMs?: number;
}

/** A proven list with this agent's own order of it. */
export interface RankedList {
  readonly list: ManagerList;
  /** `sha256:` tag of its payload. */
  readonly hash: string;
  /** When this host accepted it. */
  readonly acceptedAtMs: number;
  /** Every manager of the list, best first. */
  readonly ranking: readonly Manager[];
}
