/**
 * History in SQLite: write-ahead log, every commit synced (a version that was announced is never
 * lost), one short transaction for an append. The file is checked when it is opened.
 */
import { closeSync, constants, existsSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { HostError, PeerError, PilotfishError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import {
  maxHistory,
  type PublishedList,
  type Reason,
  type RolloutMark,
  type SeatedHistory,
} from '../publisher/history.ts';
import type { RolloutRecord } from '../publisher/rollout/record.ts';

const busyTimeoutMs = 5_000;

/** One step each, never edited once released; `user_version` counts those done. */
const migrations: readonly string[] = [
  `CREATE TABLE lists (
     version INTEGER PRIMARY KEY,
     epoch INTEGER NOT NULL, term INTEGER NOT NULL, root_version INTEGER NOT NULL,
     issued_at_ms INTEGER NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
     hash TEXT NOT NULL, prev TEXT, source TEXT NOT NULL, content TEXT NOT NULL,
     envelope BLOB NOT NULL
   ) STRICT`,
  `ALTER TABLE lists ADD COLUMN rollout TEXT;
   CREATE TABLE rollout_marks (
     id TEXT PRIMARY KEY, kind TEXT NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL,
     at_ms INTEGER NOT NULL
   ) STRICT`,
  'CREATE TABLE seat (id INTEGER PRIMARY KEY, token INTEGER NOT NULL, name TEXT NOT NULL) STRICT',
];

interface Row {
  readonly version: number;
  readonly epoch: number;
  readonly term: number;
  readonly root_version: number;
  readonly issued_at_ms: number;
  readonly reason: Reason;
  readonly detail: string;
  readonly hash: string;
  readonly prev: string | null;
  readonly source: string;
  readonly content: string;
  readonly rollout: string | null;
  readonly envelope: Uint8Array;
}

/** Throws HostError `store_failed`, also when the file is damaged or of a newer program. */
export function openHistory(path: string): SeatedHistory {
  const database = guarded(path, () => openDatabase(path));
  const select = (rest: string) => database.prepare(`SELECT * FROM lists ${rest}`);
  const newest = select('ORDER BY version DESC LIMIT 1');
  const byVersion = select('WHERE version = ?');
  const latest = select('ORDER BY version DESC LIMIT ?');
  return {
    newest: () => guarded(path, () => fromRow(newest.get())),
    find: (version) => guarded(path, () => fromRow(byVersion.get(version))),
    list: (limit) => guarded(path, () => latest.all(limit).flatMap((row) => fromRow(row) ?? [])),
    append: (entry, expectedVersion, token) =>
      guarded(path, () => appendEntry(database, entry, expectedVersion, token)),
    takeSeat: (name) => guarded(path, () => takeSeat(database, name)),
    seat: () => guarded(path, () => seatOf(database)),
    adopt: (entry) => guarded(path, () => adoptEntry(database, entry)),
    noteSource: (version, source) =>
      guarded(path, () => {
        database
          .prepare('UPDATE lists SET source = ? WHERE version = ? AND source <> ?')
          .run(source, version, source);
      }),
    mark: ({ id, kind, who, why, atMs }) =>
      guarded(path, () => {
        database
          .prepare(
            `INSERT INTO rollout_marks VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE
             SET kind = excluded.kind, who = excluded.who, why = excluded.why, at_ms = excluded.at_ms
             WHERE kind <> 'aborted'`,
          )
          .run(id, kind, who, why, atMs);
      }),
    markOf: (id) => guarded(path, () => markOf(database, id)),
    changeMark: () =>
      guarded(path, () => Number(database.prepare('PRAGMA data_version').get()?.data_version)),
    close: () => database.close(),
  };
}

function markOf(database: DatabaseSync, id: string): RolloutMark | undefined {
  const row = database.prepare('SELECT * FROM rollout_marks WHERE id = ?').get(id);
  if (row === undefined) return undefined;
  const { kind, who, why, at_ms } = row;
  return { id, kind, who, why, atMs: at_ms } as RolloutMark;
}

function openDatabase(path: string): DatabaseSync {
  if (!existsSync(path)) closeSync(openSync(path, constants.O_CREAT | constants.O_RDWR, 0o600));
  const database = new DatabaseSync(path, { timeout: busyTimeoutMs, defensive: true });
  try {
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
    database.exec('PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;');
    const verdict = database.prepare('PRAGMA quick_check(1)').get()?.quick_check;
    if (verdict !== 'ok') throw new Error(`the file is damaged: ${String(verdict)}`);
    migrate(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function migrate(database: DatabaseSync): void {
  inTransaction(database, () => {
    const done = Number(database.prepare('PRAGMA user_version').get()?.user_version);
    if (done > migrations.length) throw new Error('it was written by a newer program');
    for (const step of migrations.slice(done)) database.exec(step);
    database.exec(`PRAGMA user_version = ${migrations.length}`);
    return true;
  });
}

function appendEntry(
  database: DatabaseSync,
  entry: PublishedList,
  expectedVersion: number | undefined,
  token: number | undefined,
): boolean {
  return inTransaction(database, () => {
    checkSeat(database, token);
    const last = database.prepare('SELECT max(version) AS version FROM lists').get()?.version;
    if ((last ?? undefined) !== expectedVersion) return false;
    insertEntry(database, entry);
    return true;
  });
}

/** The fence: in the same transaction as what it guards. */
function checkSeat(database: DatabaseSync, token: number | undefined): void {
  const seat = seatOf(database);
  if (token === undefined || seat?.token === token) return;
  const seen = `token ${token} is not that of the seat any more`;
  throw new PeerError('not_leader', `${seen}: ${seat?.name} has it with ${seat?.token}`);
}

function takeSeat(database: DatabaseSync, name: string): number {
  inTransaction(database, () => {
    database
      .prepare(
        `INSERT INTO seat VALUES (1, 1, ?)
           ON CONFLICT (id) DO UPDATE SET token = token + 1, name = excluded.name`,
      )
      .run(name);
    return true;
  });
  return seatOf(database)?.token ?? 0;
}

function seatOf(
  database: DatabaseSync,
): { readonly token: number; readonly name: string } | undefined {
  const row = database.prepare('SELECT token, name FROM seat').get();
  return row === undefined ? undefined : { token: Number(row.token), name: String(row.name) };
}

function adoptEntry(database: DatabaseSync, entry: PublishedList): void {
  inTransaction(database, () => {
    database.prepare('DELETE FROM lists WHERE version >= ?').run(entry.version);
    insertEntry(database, entry);
    return true;
  });
}

function insertEntry(database: DatabaseSync, entry: PublishedList): void {
  database
    .prepare(
      `INSERT INTO lists (version, epoch, term, root_version, issued_at_ms, reason, detail, hash,
         prev, source, content, rollout, envelope)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      entry.version,
      entry.epoch,
      entry.term,
      entry.rootVersion,
      entry.issuedAtMs,
      entry.reason,
      entry.detail,
      entry.hash,
      entry.prev ?? null,
      entry.source,
      JSON.stringify(entry.content),
      entry.rollout === undefined ? null : JSON.stringify(entry.rollout),
      entry.envelope,
    );
  database.prepare('DELETE FROM lists WHERE version <= ?').run(entry.version - maxHistory);
}

/** `work` returns whether to keep what it did. */
function inTransaction(database: DatabaseSync, work: () => boolean): boolean {
  database.exec('BEGIN IMMEDIATE');
  try {
    const isKept = work();
    database.exec(isKept ? 'COMMIT' : 'ROLLBACK');
    return isKept;
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

function fromRow(row: unknown): PublishedList | undefined {
  if (row === undefined) return undefined;
  const { root_version, issued_at_ms, prev, content, rollout, ...same } = row as Row;
  return {
    ...same,
    rootVersion: root_version,
    issuedAtMs: issued_at_ms,
    ...(prev === null ? {} : { prev }),
    content: JSON.parse(content) as PublishedList['content'],
    ...(rollout === null ? {} : { rollout: JSON.parse(rollout) as RolloutRecord }),
  };
}

/** SQLite's own words, with the file, as a failure that the operator can act on. */
function guarded<Value>(path: string, work: () => Value): Value {
  try {
    return work();
  } catch (error) {
    if (error instanceof PilotfishError) throw error;
    throw new HostError('store_failed', `${path}: ${messageOf(error)}`, { cause: error });
  }
}
