/**
 * One SQLite file with our rules: write-ahead log, every commit on disk before it returns, the
 * file checked and migrated when it is opened, its size bounded. Foreign statements run on a
 * connection of their own that allows data and nothing else, in bounds of size and of work.
 */
import {
  closeSync,
  existsSync,
  constants as fsConstants,
  mkdirSync,
  openSync,
  renameSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { constants, DatabaseSync, type StatementSync } from 'node:sqlite';
import { type PlanLine, planCost } from '../cluster/store/embedded/query-cost.ts';
import type { Sql, SqlRow, SqlValue } from '../cluster/store/embedded/sql.ts';
import { HostError } from '../errors.ts';
import { messageOf } from '../guards.ts';

export interface SqliteOptions {
  readonly path: string;
  /** One step each, never edited once released; `user_version` counts those done. */
  readonly migrations: readonly string[];
  readonly maxBytes: number;
  /**
   * For what can be made anew: a damaged file is set aside and a new one begun. Told where the old
   * one is and what is wrong with it.
   */
  readonly renewed?: (aside: string, reason: string) => void;
  /** Tables that foreign statements may read and change; none: no foreign statements. */
  readonly foreignTables?: readonly string[];
}

const busyTimeoutMs = 5_000;
const pageBytes = 4_096;
const walBytes = 64 * 1024 * 1024;
/** Some seconds of work. */
const mostForeignRows = 100_000_000;
/** Of statements of others: values, nesting and programs that no honest one needs are errors. */
const foreignLimits = {
  length: 4 * 1024 * 1024,
  sqlLength: 128 * 1024,
  exprDepth: 256,
  compoundSelect: 16,
  likePatternLength: 4_096,
  attach: 0,
} as const;

export class SqliteFile implements Sql {
  readonly #options: SqliteOptions;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #foreign: DatabaseSync | undefined;

  /** Throws HostError `store_failed`: not to be opened, damaged, or of a newer program. */
  constructor(options: SqliteOptions) {
    this.#options = options;
    try {
      mkdirSync(dirname(options.path), { recursive: true, mode: 0o700 });
      this.#database = openOrRenew(options);
    } catch (error) {
      throw new HostError('store_failed', `${options.path}: ${messageOf(error)}`, { cause: error });
    }
  }

  all(statement: string, ...values: readonly SqlValue[]): readonly SqlRow[] {
    return this.#prepared(statement).all(...values) as unknown as readonly SqlRow[];
  }

  run(statement: string, ...values: readonly SqlValue[]): number {
    return Number(this.#prepared(statement).run(...values).changes);
  }

  transaction<Value>(work: () => Value): Value {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const value = work();
      this.#database.exec('COMMIT');
      return value;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  foreign(statement: string, limitBytes: number): readonly SqlRow[] {
    const rows: SqlRow[] = [];
    let bytes = 0;
    this.#foreign ??= openForeign(this.#options);
    this.#demandCheap(this.#foreign, statement);
    for (const row of this.#foreign.prepare(statement).iterate()) {
      rows.push(row as SqlRow);
      bytes += JSON.stringify(row, (_, value) => value ?? undefined).length;
      if (bytes > limitBytes) break;
    }
    return rows;
  }

  /** A single table may always be read; joins only as far as they end soon. */
  #demandCheap(database: DatabaseSync, statement: string): void {
    const plan = database.prepare(`EXPLAIN QUERY PLAN ${statement}`).all() as unknown as PlanLine[];
    if (plan.length < 2) return;
    const counts = (this.#options.foreignTables ?? []).map((table) =>
      Number(this.all(`SELECT count(*) AS n FROM "${table}"`)[0]?.n),
    );
    if (planCost(plan, Math.max(1, ...counts)) <= mostForeignRows) return;
    throw new RangeError('the statement would look at too many rows');
  }

  close(): void {
    this.#statements.clear();
    this.#foreign?.close();
    this.#database.close();
  }

  #prepared(statement: string): StatementSync {
    const known = this.#statements.get(statement);
    if (known !== undefined) return known;
    const prepared = this.#database.prepare(statement);
    this.#statements.set(statement, prepared);
    return prepared;
  }
}

function openOrRenew(options: SqliteOptions): DatabaseSync {
  const { path, renewed } = options;
  try {
    return openChecked(options);
  } catch (error) {
    if (renewed === undefined || !isDamage(error)) throw error;
    const aside = `${path}.damaged`;
    for (const part of ['-wal', '-shm', '']) {
      if (existsSync(`${path}${part}`)) renameSync(`${path}${part}`, `${aside}${part}`);
    }
    renewed(aside, messageOf(error));
    return openChecked(options);
  }
}

class DamageError extends Error {}

/** SQLITE_CORRUPT and SQLITE_NOTADB, whatever more they say. */
function isDamage(error: unknown): boolean {
  if (error instanceof DamageError) return true;
  const { errcode } = error as { readonly errcode?: unknown };
  return typeof errcode === 'number' && [11, 26].includes(errcode % 256);
}

function openChecked({ path, migrations, maxBytes }: SqliteOptions): DatabaseSync {
  if (!existsSync(path)) closeSync(openSync(path, fsConstants.O_CREAT | fsConstants.O_RDWR, 0o600));
  const database = new DatabaseSync(path, { timeout: busyTimeoutMs, defensive: true });
  try {
    database.exec(`PRAGMA page_size = ${pageBytes}; PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;
      PRAGMA cell_size_check = ON; PRAGMA journal_size_limit = ${walBytes};
      PRAGMA max_page_count = ${Math.ceil(maxBytes / pageBytes)}`);
    const verdict = database.prepare('PRAGMA quick_check(1)').get()?.quick_check;
    if (verdict !== 'ok') throw new DamageError(`the file is damaged: ${String(verdict)}`);
    migrate(database, migrations);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function migrate(database: DatabaseSync, migrations: readonly string[]): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    const done = Number(database.prepare('PRAGMA user_version').get()?.user_version);
    if (done > migrations.length) throw new Error('it was written by a newer program');
    for (const step of migrations.slice(done)) database.exec(step);
    database.exec(`PRAGMA user_version = ${migrations.length}`);
    database.exec('COMMIT');
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

const reading: readonly number[] = [constants.SQLITE_SELECT, constants.SQLITE_READ];
const changing: readonly number[] = [
  constants.SQLITE_INSERT,
  constants.SQLITE_UPDATE,
  constants.SQLITE_DELETE,
];

function openForeign({ path, foreignTables = [] }: SqliteOptions): DatabaseSync {
  const options = { timeout: busyTimeoutMs, defensive: true, limits: foreignLimits };
  const database = new DatabaseSync(path, options);
  database.exec('PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF');
  database.setAuthorizer((action, first, second) => {
    if (reading.includes(action)) return constants.SQLITE_OK;
    if (action === constants.SQLITE_FUNCTION) {
      return second === 'load_extension' ? constants.SQLITE_DENY : constants.SQLITE_OK;
    }
    const isAllowed = changing.includes(action) && foreignTables.includes(first ?? '');
    return isAllowed ? constants.SQLITE_OK : constants.SQLITE_DENY;
  });
  return database;
}
