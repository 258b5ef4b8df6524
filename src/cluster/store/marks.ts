/** Single numbers a node keeps, by name. */
import { first, type Sql } from './embedded/sql.ts';

export class Marks {
  readonly #sql: Sql;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  get(name: string): number | undefined {
    const value = first(this.#sql, 'SELECT value FROM marks WHERE name = ?', name)?.value;
    return value === undefined ? undefined : Number(value);
  }

  set(name: string, value: number): void {
    this.#sql.run('INSERT OR REPLACE INTO marks (name, value) VALUES (?, ?)', name, value);
  }
}
