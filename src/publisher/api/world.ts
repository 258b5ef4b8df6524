/** What the API needs of the running publisher. */
import type { Clock } from '../../clock.ts';
import type { Health } from '../../health/judge.ts';
import type { Log } from '../../log.ts';
import type { Complaint } from '../complaints.ts';
import type { ConfiguredContent } from '../content.ts';
import type { History } from '../history.ts';
import type { PublishDesk } from '../publish.ts';
import type { AgentRow } from '../reports/agent-book.ts';
import type { Target } from '../reports/standing.ts';
import type { AuditEntry, AuditFacts } from './audit.ts';
import type { TokenRecord } from './token.ts';

/** Port: `host/audit-database.ts`. Throws HostError `store_failed`. */
export interface AuditDesk {
  append(facts: AuditFacts): AuditEntry;
  list(limit: number): readonly AuditEntry[];
}

export interface ApiWorld {
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
  target(): Target | undefined;
  healths(): ReadonlyMap<string, Health>;
  complaints(): readonly Complaint[];
}
