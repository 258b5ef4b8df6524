/**
 * Which workers may lack changes of groups, and since when. Written before changes are marked as
 * sent, so a master that is killed owes them still; paid when the worker says that it has them.
 */
import { first, type Sql } from './embedded/sql.ts';

const forgottenAfterMs = 90 * 24 * 3_600_000;

export class GroupDebts {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** The worker is here. One never seen before is owed everything. */
  joined(node: string, nowMs: number): void {
    this.#sql.run(
      `INSERT INTO group_nodes (node, owed_since_ms, seen_at_ms) VALUES (?1, ?2, ?2)
         ON CONFLICT (node) DO UPDATE SET seen_at_ms = ?2`,
      node,
      nowMs,
    );
    this.#sql.run('DELETE FROM group_nodes WHERE seen_at_ms < ?', nowMs - forgottenAfterMs);
  }

  /** Every worker known is owed a change. */
  oweAll(nowMs: number): void {
    this.#sql.run('UPDATE group_nodes SET owed_since_ms = ? WHERE owed_since_ms IS NULL', nowMs);
  }

  owe(node: string, nowMs: number): void {
    this.#sql.run(
      'UPDATE group_nodes SET owed_since_ms = ? WHERE node = ? AND owed_since_ms IS NULL',
      nowMs,
      node,
    );
  }

  paid(node: string): void {
    this.#sql.run('UPDATE group_nodes SET owed_since_ms = NULL WHERE node = ?', node);
  }

  /** Wall-clock milliseconds; undefined: nothing is owed. */
  owedSinceMs(node: string): number | undefined {
    const row = first(this.#sql, 'SELECT owed_since_ms FROM group_nodes WHERE node = ?', node);
    return typeof row?.owed_since_ms === 'number' ? row.owed_since_ms : undefined;
  }
}
