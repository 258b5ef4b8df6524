/** Embedded stores for tests, on real files, with a clock that stands still. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { EmbeddedDb } from '../../../src/cluster/store/embedded/embedded-db.ts';
import { agentMigrations } from '../../../src/cluster/store/embedded/schema.ts';
import { stateMigrations } from '../../../src/cluster/store/state-schema.ts';
import { SqliteFile } from '../../../src/host/sqlite-file.ts';

export const nowS = 1_800_000_000;

function openFile(
  t: Pick<TestContext, 'after'>,
  migrations: readonly string[],
  maxBytes = 2 ** 28,
): SqliteFile {
  const folder = mkdtempSync(join(tmpdir(), 'pf-store-'));
  const file = new SqliteFile({
    path: join(folder, 'a.db'),
    migrations,
    maxBytes,
    foreignTables: ['agent', 'labels', 'group', 'belongs', 'info'],
  });
  t.after(() => {
    file.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 9 });
  });
  return file;
}

export function openState(t: Pick<TestContext, 'after'>): SqliteFile {
  return openFile(t, stateMigrations);
}

/** A store and short ways to ask it. */
export class TestStore {
  readonly db: EmbeddedDb;
  readonly sql: SqliteFile;

  constructor(t: Pick<TestContext, 'after'>, isWorker = false, groups: readonly string[] = []) {
    this.sql = openFile(t, agentMigrations);
    this.db = new EmbeddedDb({
      sql: this.sql,
      isWorker,
      now: () => nowS,
      hasGroupFolder: (name) => groups.includes(name),
      pause: () => Promise.resolve(),
    });
  }

  /** Status and payload as one text, as they travel. */
  async ask(command: string): Promise<string> {
    const { status, payload } = await this.db.query(command, new AbortController().signal);
    return payload === '' ? status : `${status} ${payload}`;
  }

  async get(path: string): Promise<string> {
    return this.#http({ method: 'GET', path });
  }

  async post(path: string, body: string): Promise<string> {
    return this.#http({ method: 'POST', path, body: Buffer.from(body) });
  }

  async #http(request: Parameters<EmbeddedDb['http']>[0]): Promise<string> {
    const { status, body } = await this.db.http(request, new AbortController().signal);
    return `${status} ${body.toString()}`;
  }

  addAgent(id: number, columns: Readonly<Record<string, string | number>> = {}): void {
    const all = { id, name: `agent${String(id).padStart(5, '0')}`, date_add: 1, ...columns };
    const names = Object.keys(all).map((name) => `"${name}"`);
    const marks = names.map(() => '?').join(', ');
    this.sql.run(`INSERT INTO agent (${names}) VALUES (${marks})`, ...Object.values(all));
  }
}
