/** The audit log in SQLite: appended by several processes, each entry on disk when it returns. */
import { closeSync, constants, existsSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { HostError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import {
  type AuditEntry,
  type AuditFacts,
  type ChainVerdict,
  nextEntry,
  verifyChain,
} from '../publisher/api/audit.ts';

const busyTimeoutMs = 5_000;
const maxFieldChars = 256;
/** Older ones go with each new one; the chain is then verified from the oldest that is kept. */
const maxEntries = 100_000;

export interface AuditLog {
  append(facts: AuditFacts): AuditEntry;
  /** The newest `limit`, newest first. */
  list(limit: number): readonly AuditEntry[];
  verify(): ChainVerdict;
  close(): void;
}

/** Throws HostError `store_failed`, every method too. */
export function openAudit(path: string): AuditLog {
  const database = guarded(path, () => openDatabase(path));
  const newest = database.prepare('SELECT * FROM entries ORDER BY seq DESC LIMIT ?');
  const insert = database.prepare('INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)');
  const keepHead = database.prepare('INSERT OR REPLACE INTO head VALUES (1, ?, ?)');
  const trim = database.prepare('DELETE FROM entries WHERE seq <= ?');
  const append = (facts: AuditFacts): AuditEntry => {
    const before = newest.all(1).map(entryOf)[0];
    const entry = nextEntry(before, bounded(facts));
    const { seq, prev, hash, atMs, who, role, from, action, outcome } = entry;
    insert.run(seq, prev, hash, atMs, who, role, from, action, outcome);
    keepHead.run(seq, hash);
    trim.run(seq - maxEntries);
    return entry;
  };
  return {
    append: (facts) => guarded(path, () => inTransaction(database, () => append(facts))),
    list: (limit) => guarded(path, () => newest.all(limit).map(entryOf)),
    verify: () =>
      guarded(path, () => {
        const entries = database.prepare('SELECT * FROM entries ORDER BY seq').all().map(entryOf);
        const head = database.prepare('SELECT seq, hash FROM head').get();
        return verifyChain(
          entries,
          head === undefined ? undefined : { seq: Number(head.seq), hash: String(head.hash) },
        );
      }),
    close: () => database.close(),
  };
}

function bounded(facts: AuditFacts): AuditFacts {
  const cut = (text: string): string => text.slice(0, maxFieldChars);
  const { who, role, from, action, outcome } = facts;
  return {
    atMs: facts.atMs,
    ...{ who: cut(who), role: cut(role), from: cut(from) },
    ...{ action: cut(action), outcome: cut(outcome) },
  };
}

function openDatabase(path: string): DatabaseSync {
  if (!existsSync(path)) closeSync(openSync(path, constants.O_CREAT | constants.O_RDWR, 0o600));
  const database = new DatabaseSync(path, { timeout: busyTimeoutMs, defensive: true });
  database.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF',
  );
  database.exec(
    `CREATE TABLE IF NOT EXISTS entries (
       seq INTEGER PRIMARY KEY, prev TEXT NOT NULL, hash TEXT NOT NULL, at_ms INTEGER NOT NULL,
       who TEXT NOT NULL, role TEXT NOT NULL, origin TEXT NOT NULL, action TEXT NOT NULL,
       outcome TEXT NOT NULL
     ) STRICT;
     CREATE TABLE IF NOT EXISTS head (
       one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash TEXT NOT NULL
     ) STRICT`,
  );
  return database;
}

function inTransaction<Value>(database: DatabaseSync, work: () => Value): Value {
  database.exec('BEGIN IMMEDIATE');
  try {
    const value = work();
    database.exec('COMMIT');
    return value;
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

function entryOf(row: Record<string, unknown>): AuditEntry {
  const { seq, prev, hash, at_ms, who, role, origin, action, outcome } = row;
  const entry = { seq, prev, hash, atMs: at_ms, who, role, from: origin, action, outcome };
  return entry as AuditEntry;
}

function guarded<Value>(path: string, work: () => Value): Value {
  try {
    return work();
  } catch (error) {
    throw new HostError('store_failed', `${path}: ${messageOf(error)}`, { cause: error });
  }
}
