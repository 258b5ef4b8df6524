/** Everything the sidecar touches, as ports; `cli/build-sidecar.ts` fills them with the real ones. */
import type { ApplyRequest } from '../applier/request.ts';
import type { ApplyResult } from '../applier/result.ts';
import type { Cancel, Clock } from '../clock.ts';
import type { HostError } from '../errors.ts';
import type { Health } from '../health/judge.ts';
import type { Manager } from '../list/model.ts';
import type { Log } from '../log.ts';
import type { AgentFacts, AgentPeer } from '../wazuh/agent-facts.ts';
import type { LocalPolicy } from './decide-view.ts';
import type { Memory } from './memory.ts';
import type { FileSeen, HolderSeen, Pause, RelaySeen } from './seen.ts';
import type { News } from './source.ts';
import type { Trust } from './trust.ts';

/** Who this agent is, for placement. */
export interface Place {
  /** From `client.keys`, so that it is the same for the agent's life; else the host name. */
  readonly agentId: string;
  readonly zone?: string;
  /** For its strata in rollouts. */
  readonly os?: string;
  readonly agentVersion?: string;
}

export interface MemoryStore {
  /** Throws ConfigError `not_joined`, HostError `state_unreadable`. */
  read(): Promise<Memory>;
  /** Durable when it resolves; writing what is already there costs nothing. */
  write(memory: Memory): Promise<void>;
  /**
   * What no trust hangs on: in mind at once, on disk as soon as that takes it. The fault when it did
   * not, and did the last time.
   */
  keep(memory: Memory): Promise<HostError | undefined>;
}

/** Where news of the list come from: asked now (`once`), or fetched meanwhile (`run`). */
export interface ListSource {
  /** In the order in which they came; empty when nothing new is known. Never waits for `run`. */
  news(memory: Memory, trust: Trust): Promise<readonly News[]>;
}

export interface AgentView {
  readFacts(): Promise<AgentFacts>;
  readFile(agentVersion: string | undefined): Promise<FileSeen>;
  readPause(): Promise<Pause | undefined>;
  /** How often the oldest bytes of its connection were sent again; undefined where it is not shown. */
  readRetransmits?(facts: AgentFacts): number | undefined;
}

export interface HealthView {
  /** Probes every manager once more; what each adds up to, by id. */
  probe(managers: readonly Manager[]): Promise<ReadonlyMap<string, Health>>;
  /** What is known without asking, and who tells of changes: only where probing goes on by itself. */
  snapshot?(): ReadonlyMap<string, Health>;
  /** This one matters from now on, until the next cycle says otherwise. */
  attend?(managerId: string): void;
  onChange?(listener: (managerId: string, health: Health) => void): Cancel;
}

/** The relay as decisions see it and act on it. */
export interface RelayView {
  /** `peers`: of the agent, of whose end the kernel may know which session it is. */
  seen(peers: readonly AgentPeer[]): RelaySeen;
  /** `planned`: nothing may be lost by it. */
  switchAway(managerId: string, why: 'failed' | 'planned'): void;
  /** Only this one; its manager may be dialled again, at another address. */
  endSession(session: number, why: 'failed' | 'planned'): void;
}

/** Which node stands behind a manager's address, as far as it can be told. */
export interface HolderView {
  /** By manager id. */
  seen(): ReadonlyMap<string, HolderSeen>;
}

export interface Applier {
  /** `signal` gives up waiting for the agent to connect; never between two writes. */
  apply(request: ApplyRequest, signal?: AbortSignal): Promise<ApplyResult>;
  /** Put back what a kill or somebody else removed. */
  restoreNewest(): Promise<ApplyResult>;
}

export interface World {
  readonly clock: Clock;
  readonly log: Log;
  readonly place: Place;
  readonly policy: LocalPolicy;
  readonly memory: MemoryStore;
  readonly trust: { read(memory: Memory, nowMs: number): Promise<Trust> };
  readonly source: ListSource;
  readonly agent: AgentView;
  readonly health: HealthView;
  readonly applier: Applier;
  readonly loss: LossWatch;
  /** Absent where no relay is configured. */
  readonly relay?: RelayView;
  /** Absent where nobody watches beside the cycles (`once`, `plan`). */
  readonly holders?: HolderView;
}

/** Remembers between cycles what the agent's files do not say: since when. */
export interface LossWatch {
  /** Wall clock since when the agent has had no connection; as it is set now, should it be set meanwhile. */
  sinceAtMs(facts: AgentFacts, nowMs: number, monotonicMs: number): number | undefined;
  /** Wall clock when it was first seen to have one, or again after a loss; undefined before that. */
  foundAtMs(): number | undefined;
  /** For how long its counter of sent messages has stood still; by the monotonic clock. */
  stuckForMs(facts: AgentFacts, monotonicMs: number): number | undefined;
  /** Wall clock since when the agent's connection has been this very one. */
  sameSinceAtMs(facts: AgentFacts, nowMs: number): number | undefined;
}
