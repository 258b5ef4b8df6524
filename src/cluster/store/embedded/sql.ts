/** What the embedded store needs of SQLite; `host/` brings the real one. Synchronous and short. */

export type SqlValue = string | number | null;

export type SqlRow = Readonly<Record<string, SqlValue>>;

export interface Sql {
  /** All rows; statements are prepared once. Throws what SQLite says. */
  all(statement: string, ...values: readonly SqlValue[]): readonly SqlRow[];
  /** Number of changed rows. */
  run(statement: string, ...values: readonly SqlValue[]): number;
  /** All or nothing: rolled back when `work` throws. Not nested. */
  transaction<Value>(work: () => Value): Value;
  /**
   * One statement of somebody else, data only: no schema, no pragma, no other file. Rows stop
   * when their JSON would exceed `limitBytes`. Throws what SQLite says, and `RangeError` for a
   * join that would not end soon.
   */
  foreign(statement: string, limitBytes: number): readonly SqlRow[];
}

/** The first row, if there is one. */
export function first(
  sql: Sql,
  statement: string,
  ...values: readonly SqlValue[]
): SqlRow | undefined {
  return sql.all(statement, ...values)[0];
}

/** A text column; empty for null. */
export function textOf(value: SqlValue | undefined): string {
  return value === null || value === undefined ? '' : String(value);
}
