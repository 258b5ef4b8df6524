/** Reports in SQLite: one row an agent, a capped history of changes. Losing the last second is fine. */
import { closeSync, constants, existsSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import * as z from 'zod';
import { HostError, ListError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import { parseAgentReport, renderAgentReport } from '../list/agent-report.ts';
import { type LoadSample, maxSamples } from '../publisher/board/load-history.ts';
import type { AgentEvent, AgentRow } from '../publisher/reports/agent-book.ts';
import type { ReportStore } from '../publisher/reports/report-keeper.ts';

const busyTimeoutMs = 1_000;
export const maxStoredEvents = 500_000;

const migrations: readonly string[] = [
  `CREATE TABLE agents (
     agent TEXT PRIMARY KEY, received_at_ms INTEGER NOT NULL, report BLOB NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE events (
     id INTEGER PRIMARY KEY, agent TEXT NOT NULL, at_ms INTEGER NOT NULL,
     kind TEXT NOT NULL, text TEXT NOT NULL
   ) STRICT;
   CREATE INDEX events_of_agent ON events (agent, id)`,
  `CREATE TABLE loads (
     id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, agents TEXT NOT NULL
   ) STRICT`,
];

/** Throws HostError `store_failed`, also when the file is damaged or of a newer program. */
export function openReports(path: string): ReportStore {
  const database = guarded(path, () => openDatabase(path));
  const upsert = database.prepare(
    `INSERT INTO agents VALUES (?, ?, ?) ON CONFLICT (agent)
     DO UPDATE SET received_at_ms = excluded.received_at_ms, report = excluded.report`,
  );
  const insert = database.prepare(
    'INSERT INTO events (agent, at_ms, kind, text) VALUES (?, ?, ?, ?)',
  );
  const all = database.prepare('SELECT received_at_ms, report FROM agents');
  const number = database.prepare('SELECT count(*) AS number FROM agents');
  const ofAgent = database.prepare(
    'SELECT agent, at_ms, kind, text FROM events WHERE agent = ? ORDER BY id DESC LIMIT ?',
  );
  const newest = database.prepare(
    'SELECT agent, at_ms, kind, text FROM events WHERE at_ms >= ? ORDER BY id DESC LIMIT ?',
  );
  const remove = database.prepare('DELETE FROM agents WHERE agent = ?');
  const samples = database.prepare('SELECT at_ms, agents FROM loads ORDER BY id');
  const addSample = database.prepare('INSERT INTO loads (at_ms, agents) VALUES (?, ?)');
  const trimSamples = database.prepare(
    'DELETE FROM loads WHERE id <= (SELECT max(id) FROM loads) - ?',
  );
  return {
    rows: () => guarded(path, () => all.all().flatMap(rowOf)),
    count: () => guarded(path, () => Number(number.get()?.number)),
    events: (agent, limit) => guarded(path, () => ofAgent.all(agent, limit).map(eventOf)),
    recent: (sinceMs, limit) => guarded(path, () => newest.all(sinceMs, limit).map(eventOf)),
    loads: () => guarded(path, () => samples.all().flatMap(sampleOf)),
    addLoads: ({ atMs, loads }) =>
      guarded(path, () =>
        inTransaction(database, () => {
          addSample.run(atMs, JSON.stringify([...loads]));
          trimSamples.run(maxSamples);
        }),
      ),
    save: ({ rows, events }) =>
      guarded(path, () =>
        inTransaction(database, () => {
          for (const { report, receivedAtMs } of rows) {
            upsert.run(report.agent, receivedAtMs, renderAgentReport(report));
          }
          for (const { agent, atMs, kind, text } of events) insert.run(agent, atMs, kind, text);
        }),
      ),
    trim: (beforeMs, gone) =>
      guarded(path, () =>
        inTransaction(database, () => {
          for (const agent of gone) remove.run(agent);
          database.prepare('DELETE FROM agents WHERE received_at_ms < ?').run(beforeMs);
          database
            .prepare('DELETE FROM events WHERE at_ms < ? OR id <= (SELECT max(id) FROM events) - ?')
            .run(beforeMs, maxStoredEvents);
        }),
      ),
    close: () => database.close(),
  };
}

function openDatabase(path: string): DatabaseSync {
  if (!existsSync(path)) closeSync(openSync(path, constants.O_CREAT | constants.O_RDWR, 0o600));
  const database = new DatabaseSync(path, { timeout: busyTimeoutMs, defensive: true });
  try {
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;');
    database.exec('PRAGMA trusted_schema = OFF; PRAGMA journal_size_limit = 16777216;');
    const done = Number(database.prepare('PRAGMA user_version').get()?.user_version);
    if (done > migrations.length) throw new Error('it was written by a newer program');
    inTransaction(database, () => {
      for (const step of migrations.slice(done)) database.exec(step);
      database.exec(`PRAGMA user_version = ${migrations.length}`);
    });
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function inTransaction(database: DatabaseSync, work: () => void): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    work();
    database.exec('COMMIT');
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

/** A row that an older program wrote otherwise is left out: the agent reports again in minutes. */
function rowOf(row: Record<string, unknown>): readonly AgentRow[] {
  try {
    const report = parseAgentReport(row.report as Uint8Array);
    return [{ report, receivedAtMs: Number(row.received_at_ms) }];
  } catch (error) {
    if (error instanceof ListError) return [];
    throw error;
  }
}

function eventOf(row: Record<string, unknown>): AgentEvent {
  const { agent, at_ms, kind, text } = row;
  return { agent, atMs: at_ms, kind, text } as AgentEvent;
}

const loadsShape = z.array(z.tuple([z.string(), z.int().nonnegative()]));

/** A sample that an older program wrote otherwise is left out of the plot. */
function sampleOf({ at_ms, agents }: Record<string, unknown>): readonly LoadSample[] {
  try {
    const read = loadsShape.safeParse(JSON.parse(String(agents)));
    return read.success ? [{ atMs: Number(at_ms), loads: new Map(read.data) }] : [];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

function guarded<Value>(path: string, work: () => Value): Value {
  try {
    return work();
  } catch (error) {
    throw new HostError('store_failed', `${path}: ${messageOf(error)}`, { cause: error });
  }
}
