/** A cluster node from real parts: one Wazuh home, one role, one folder for its own memories. */
import { join } from 'node:path';
import type { ClusterConfig } from '../cluster/config.ts';
import type { ClusterJson } from '../cluster/files/cluster-json.ts';
import { defaultUnpackLimits } from '../cluster/files/unpack.ts';
import { type Listening, Master } from '../cluster/master/master.ts';
import type { RemoteWorker } from '../cluster/master/remote-worker.ts';
import type { ClusterLog } from '../cluster/tasks/node-log.ts';
import type { NodePorts, NodeSettings, PeerPolicy } from '../cluster/tasks/node-ports.ts';
import type { Service } from '../cluster/tasks/services.ts';
import type { Connection } from '../cluster/worker/connection.ts';
import { Worker } from '../cluster/worker/worker.ts';
import { HeldBookFile, PeerBookFile } from '../host/cluster-books.ts';
import { dialCluster } from '../host/cluster-dialer.ts';
import { ClusterFiles } from '../host/cluster-files.ts';
import { listenCluster } from '../host/cluster-listener.ts';
import { openClusterSpool } from '../host/cluster-spool.ts';
import { ClusterTransfers, clearTransfers } from '../host/cluster-transfers.ts';
import { ClusterWatch } from '../host/cluster-watch.ts';
import { systemClock, systemRandom } from '../host/system-clock.ts';
import type { Log } from '../log.ts';

export interface NodeOptions {
  readonly home: string;
  /** Our own memories: peers seen as ours, held deletions, hashes. */
  readonly stateFolder: string;
  readonly config: ClusterConfig;
  readonly version: string;
  readonly cluster: ClusterJson;
  readonly peers: PeerPolicy;
  readonly maxConnectionsPerAddress: number;
  /** Whom received files belong to; undefined: whoever runs us. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly log: ClusterLog;
  readonly events: Log;
  /** Where a bundled program has the thread for files. */
  readonly threadUrl?: URL;
}

/** Either role, ready to run. */
export interface ClusterNode {
  readonly role: Master | Worker;
  /** Until `signal` aborts; then everything is closed. */
  run(signal: AbortSignal, onListening?: (listening: Listening) => void): Promise<void>;
}

const clock = systemClock;
const random = systemRandom;

export function buildClusterNode(options: NodeOptions): ClusterNode {
  const { config } = options;
  const queueFolder = join(options.home, 'queue', 'cluster');
  const ports = buildPorts(options, queueFolder);
  const role =
    config.nodeType === 'master' ? buildMaster(options, ports) : buildWorker(options, ports);
  return {
    role,
    async run(signal, onListening) {
      clearTransfers(queueFolder);
      try {
        if (role instanceof Master) await role.run(signal, onListening);
        else await role.run(signal);
      } finally {
        await ports.jobs.close();
      }
    },
  };
}

function buildMaster(options: NodeOptions, ports: NodePorts): Master {
  const { maxConnectionsPerAddress } = options;
  const settings = { ...settingsOf(options), maxConnectionsPerAddress, maxConnections: 4_096 };
  const spoolFolder = join(options.home, 'queue', 'cluster', '.sealed');
  const openSpool = () => openClusterSpool(spoolFolder, random);
  return new Master(settings, { ...ports, listen: listenCluster, openSpool }, masterParts());
}

function buildWorker(options: NodeOptions, ports: NodePorts): Worker {
  return new Worker(settingsOf(options), { ...ports, dial: dialCluster(clock) }, workerParts());
}

/** What a master serves beside integrity; see `tasks/services.ts`. */
function masterParts(): readonly Service<RemoteWorker>[] {
  return [];
}

/** What a worker serves beside integrity. */
function workerParts(): readonly Service<Connection>[] {
  return [];
}

function settingsOf({ config, version, cluster, peers }: NodeOptions): NodeSettings {
  return { config, version, cluster, peers };
}

function buildPorts(options: NodeOptions, queueFolder: string): NodePorts {
  const { home, stateFolder, cluster, owner, log, events } = options;
  const { catalogue, communication } = cluster;
  const unpackLimits = {
    ...defaultUnpackLimits,
    memberBytes: communication.maxZipBytes,
    totalBytes: communication.maxZipBytes,
  };
  const settings = {
    home,
    catalogue,
    owner,
    unpackLimits,
    compressLevel: communication.compressLevel,
    hashCachePath: join(stateFolder, 'cluster-hashes.json'),
  };
  const jobs = new ClusterFiles(settings, options.threadUrl);
  return {
    clock,
    random,
    log,
    events,
    jobs,
    watch: new ClusterWatch(home, catalogue),
    peerBook: new PeerBookFile(stateFolder, events),
    heldBook: new HeldBookFile(stateFolder, events),
    openTransfers: (name) => new ClusterTransfers(queueFolder, name, random),
  };
}
