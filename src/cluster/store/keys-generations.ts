/**
 * Generations of client.keys: a counter that grows with every content the master ever had, kept
 * on disk. A node that has generation N lacks no key that was given out before N.
 */
import { first, type Sql } from './embedded/sql.ts';

const mostGenerations = 1_000;
const mostScans = 256;

export class KeysGenerations {
  readonly #sql: Sql;
  /** Of this process's scans: which generation each of them saw. */
  readonly #byScan = new Map<number, number>();

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** 0: no keys were ever seen. */
  get newest(): number {
    return Number(first(this.#sql, newestRow)?.generation ?? 0);
  }

  /** A scan saw client.keys with this hash. */
  scanned(scan: number, hash: string, nowMs: number): void {
    const last = first(this.#sql, newestRow);
    const generation = Number(last?.generation ?? 0) + (last?.hash === hash ? 0 : 1);
    if (last?.hash !== hash) {
      this.#sql.run('INSERT INTO keys_history VALUES (?, ?, ?)', generation, hash, nowMs);
      const oldest = generation - mostGenerations;
      this.#sql.run('DELETE FROM keys_history WHERE generation <= ?', oldest);
    }
    this.#byScan.set(scan, generation);
    const [eldest] = this.#byScan.keys();
    if (this.#byScan.size > mostScans && eldest !== undefined) this.#byScan.delete(eldest);
  }

  /** What a scan of this process saw. */
  ofScan(scan: number): number | undefined {
    return this.#byScan.get(scan);
  }

  /** Since when a node with this generation lacks keys; undefined: it lacks none. */
  lackingSinceMs(generation: number): number | undefined {
    const next = first(
      this.#sql,
      'SELECT at_ms FROM keys_history WHERE generation > ? ORDER BY generation LIMIT 1',
      generation,
    );
    return next === undefined ? undefined : Number(next.at_ms);
  }
}

const newestRow = 'SELECT generation, hash FROM keys_history ORDER BY generation DESC LIMIT 1';
