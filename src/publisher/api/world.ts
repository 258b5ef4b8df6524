/** What the API needs of the running publisher. */
import type { Clock } from '../../clock.ts';
import type { FileStates } from '../../cluster/calls/node-view.ts';
import type { LoggedEvent } from '../../diagnosis/event-line.ts';
import type { PilotfishError } from '../../errors.ts';
import type { Health } from '../../health/judge.ts';
import type { Log } from '../../log.ts';
import type { Board } from '../board/board.ts';
import type { LoadHistory } from '../board/load-history.ts';
import type { Complaint } from '../complaints.ts';
import type { ConnectionLedger } from '../connection-ledger.ts';
import type { ConfiguredContent } from '../content.ts';
import type { History } from '../history.ts';
import type { PublishDesk } from '../publish.ts';
import type { AgentEvent, AgentRow } from '../reports/agent-book.ts';
import type { Target } from '../reports/standing.ts';
import type { Origin } from './answers.ts';
import type { AuditEntry, AuditFacts } from './audit.ts';
import type { TokenRecord } from './token.ts';

/** Port: `host/audit-database.ts`. Throws HostError `store_failed`. */
export interface AuditDesk {
  append(facts: AuditFacts): AuditEntry;
  list(limit: number): readonly AuditEntry[];
}

export interface ApiWorld {
  /** Why this publisher does not do it; undefined: it does. Absent where it does everything. */
  refuses?(operation: {
    readonly audited?: unknown;
    readonly isOfAgents?: boolean;
  }): PilotfishError | undefined;
  /** Who signs. */
  origin(): Origin;
  readonly clock: Clock;
  readonly log: Log;
  readonly history: History;
  readonly audit: AuditDesk;
  /** As the file has them now. */
  tokens(): readonly TokenRecord[];
  /** Under the newest root. */
  desk(): PublishDesk;
  configured(): ConfiguredContent;
  /** What was published is served at once. */
  serveNewest(): void;
  rows(): Iterable<AgentRow>;
  /** How many rows. */
  agents(): number;
  row(agent: string): AgentRow | undefined;
  /** Agents by the manager that they report from. */
  loads(): ReadonlyMap<string, number>;
  /** What changed for one agent, newest first. Throws HostError `store_failed`. */
  events(agent: string, limit: number): readonly AgentEvent[];
  /** For all agents, since then. Throws HostError `store_failed`. */
  recent(sinceMs: number, limit: number): readonly AgentEvent[];
  /** Events of this program, oldest first. */
  journal(): Promise<readonly LoggedEvent[]>;
  readonly board: Board;
  readonly loadHistory: LoadHistory;
  /** Where connections that stay open are counted. */
  readonly waiters: Pick<ConnectionLedger, 'startWaiting' | 'endWaiting'>;
  /** Aborts when this publisher stops. */
  readonly stop: AbortSignal;
  /** Undefined: no master of ours runs in this process, or it has no store. */
  fileStates(): FileStates | undefined;
  target(): Target | undefined;
  healths(): ReadonlyMap<string, Health>;
  complaints(): readonly Complaint[];
}
