/**
 * The store of agents of this host, chosen once at the start: the real wazuh-db where there is one
 * (or where somebody answers in its place), else ours, which then serves wazuh-db's sockets itself.
 */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { EmbeddedDb } from '../cluster/store/embedded/embedded-db.ts';
import { agentMigrations } from '../cluster/store/embedded/schema.ts';
import {
  type WazuhDb,
  type WdbAnswer,
  WdbError,
  type WdbRequest,
  type WdbResponse,
} from '../cluster/store/wazuh-db.ts';
import { wazuhDbPaths } from '../wazuh/wazuh-db.ts';
import { SqliteFile } from './sqlite-file.ts';
import { isAnswered, listenWazuhDb, type ServedDb } from './wazuh-db-listener.ts';
import { WazuhDbSockets } from './wazuh-db-sockets.ts';

export type DatabaseChoice = 'auto' | 'wazuh-db' | 'embedded';

export interface AgentDatabaseOptions {
  readonly choice: DatabaseChoice;
  readonly home: string;
  readonly stateFolder: string;
  readonly isWorker: boolean;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly clock: Clock;
}

const embeddedName = 'cluster-agents.db';
const mostBytes = 4 * 1024 * 1024 * 1024;

export class AgentDatabase implements WazuhDb {
  readonly #options: AgentDatabaseOptions;
  #db: WazuhDb | undefined;
  #sockets: WazuhDbSockets | undefined;
  #file: SqliteFile | undefined;
  #served: ServedDb | undefined;

  constructor(options: AgentDatabaseOptions) {
    this.#options = options;
  }

  /** Which one it is. Throws HostError `store_failed` or `listen_failed`. */
  async open(): Promise<'wazuh-db' | 'embedded'> {
    const kind = await chosen(this.#options);
    if (kind === 'wazuh-db') {
      this.#sockets = new WazuhDbSockets(this.#options.home);
      this.#db = this.#sockets;
    } else {
      await this.#openEmbedded();
    }
    return kind;
  }

  async query(command: string, signal: AbortSignal): Promise<WdbAnswer> {
    return this.#opened().query(command, signal);
  }

  async http(request: WdbRequest, signal: AbortSignal): Promise<WdbResponse> {
    return this.#opened().http(request, signal);
  }

  async close(): Promise<void> {
    this.#db = undefined;
    this.#sockets?.close();
    await this.#served?.close();
    this.#file?.close();
    this.#file = undefined;
  }

  async #openEmbedded(): Promise<void> {
    const { home, stateFolder, isWorker, clock, owner } = this.#options;
    this.#file = new SqliteFile({
      path: join(stateFolder, embeddedName),
      migrations: agentMigrations,
      maxBytes: mostBytes,
      foreignTables: ['agent', 'labels', 'group', 'belongs', 'info'],
    });
    const db = new EmbeddedDb({
      sql: this.#file,
      isWorker,
      now: () => Math.floor(clock.nowMs() / 1000),
      hasGroupFolder: (name) => isFolder(join(home, 'etc', 'shared', name)),
      pause: () => new Promise((resolve) => setImmediate(resolve)),
    });
    this.#served = await listenWazuhDb(db, { home, owner });
    this.#db = db;
  }

  #opened(): WazuhDb {
    if (this.#db === undefined) throw new WdbError(2005, 'the database is not open');
    return this.#db;
  }
}

async function chosen({ choice, home }: AgentDatabaseOptions): Promise<'wazuh-db' | 'embedded'> {
  if (choice !== 'auto') return choice;
  const isInstalled = wazuhDbPaths.programs.some((program) => existsSync(join(home, program)));
  return isInstalled || (await isAnswered(join(home, wazuhDbPaths.text))) ? 'wazuh-db' : 'embedded';
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
