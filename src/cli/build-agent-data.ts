/** Agents' data of a node from real parts: the store, the node's own memory, its part of the links. */
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import type { ClusterConfig } from '../cluster/config.ts';
import type { ClusterJson } from '../cluster/files/cluster-json.ts';
import { MasterAgentData } from '../cluster/master/agent-data.ts';
import { AgentInfoJournal } from '../cluster/store/agent-info-journal.ts';
import { AgentStore } from '../cluster/store/agent-store.ts';
import { GroupDebts } from '../cluster/store/group-debts.ts';
import { stateMigrations } from '../cluster/store/state-schema.ts';
import { SyncBook } from '../cluster/store/sync-book.ts';
import type { WazuhDb } from '../cluster/store/wazuh-db.ts';
import { type ClusterLog, NodeLog } from '../cluster/tasks/node-log.ts';
import type { SyncWatcher } from '../cluster/tasks/sync-watcher.ts';
import { WorkerAgentData } from '../cluster/worker/agent-data.ts';
import { messageOf } from '../guards.ts';
import { AgentDatabase, type DatabaseChoice } from '../host/agent-database.ts';
import { SqliteFile } from '../host/sqlite-file.ts';
import type { Log } from '../log.ts';

export interface AgentDataOptions {
  readonly home: string;
  readonly stateFolder: string;
  readonly config: ClusterConfig;
  readonly cluster: ClusterJson;
  readonly choice: DatabaseChoice;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly clock: Clock;
  readonly log: ClusterLog;
  readonly events: Log;
}

/** What a node does with agents' data; one of the two roles is there. */
export interface AgentData {
  readonly db: WazuhDb;
  readonly master: MasterAgentData | undefined;
  readonly worker: WorkerAgentData | undefined;
  /** Sync status of files on every node; undefined on a worker. */
  readonly book: SyncBook | undefined;
  /** Before any link. Never rejects: without a database the other parts of a node still run. */
  open(): Promise<void>;
  /** What belongs to no link, until `signal` aborts; then everything is closed. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

const stateName = 'cluster-state.db';
const mostStateBytes = 2 * 1024 * 1024 * 1024;

/** Throws HostError `store_failed` when the node's own memory cannot be opened. */
export function buildAgentData(options: AgentDataOptions): AgentData {
  const { stateFolder, config, cluster, clock, log, events } = options;
  const isWorker = config.nodeType === 'worker';
  const database = new AgentDatabase({ ...options, isWorker });
  const state = new SqliteFile({
    path: join(stateFolder, stateName),
    migrations: stateMigrations,
    maxBytes: mostStateBytes,
    renewed: (aside, reason) => {
      const what = `This node's own memory is damaged and begins anew; the old one is ${aside}`;
      new NodeLog(log, 'Cluster').error(`${what}: ${reason}`);
    },
  });
  const store = new AgentStore(database, clock);
  const { intervals } = cluster;
  const node = config.nodeName;
  const masterLog = new NodeLog(log, 'Master');
  const master = isWorker
    ? undefined
    : new MasterAgentData({
        store,
        debts: new GroupDebts(state),
        clock,
        log: masterLog,
        intervals,
      });
  const worker = isWorker
    ? new WorkerAgentData({ node, store, journal: new AgentInfoJournal(state), clock, intervals })
    : undefined;
  return {
    ...{ db: database, master, worker },
    book: isWorker ? undefined : new SyncBook(state, clock),
    async open() {
      try {
        const kind = await database.open();
        events.info('cluster.database', { kind });
      } catch (error) {
        new NodeLog(log, 'Cluster').error(`Agents' data: ${messageOf(error)}`);
      }
    },
    async run(signal) {
      await (master?.run(signal) ?? aborted(signal));
      worker?.close();
      await database.close();
      state.close();
    },
  };
}

/** What cannot be noted costs a line in the log, never a check. */
export function watcherOf({ book }: AgentData, log: NodeLog): SyncWatcher | undefined {
  if (book === undefined) return undefined;
  const quietly = (note: () => void): void => {
    try {
      note();
    } catch (error) {
      log.error(`The sync status of files cannot be kept: ${messageOf(error)}`);
    }
  };
  return {
    scanned: (report) => quietly(() => book.scanned(report)),
    checked: (node, check) => quietly(() => book.checked(node, check)),
    failed: (node, reason) => quietly(() => book.failed(node, reason)),
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
