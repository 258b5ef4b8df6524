/** A cluster node from real parts: one Wazuh home, one role, one folder for its own memories. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { deadline, sleep } from '../clock.ts';
import { askedDatabase, type QueryPort } from '../cluster/calls/agents-from-db.ts';
import { type DaemonName, defaultDaemons } from '../cluster/calls/daemon-request.ts';
import type { AgentSync, FileStates } from '../cluster/calls/node-view.ts';
import type { ClusterConfig } from '../cluster/config.ts';
import type { ClusterJson } from '../cluster/files/cluster-json.ts';
import { defaultUnpackLimits } from '../cluster/files/member-count.ts';
import { LocalFault, readHealthAnswer } from '../cluster/local/local-client.ts';
import type { LocalServer } from '../cluster/local/local-server.ts';
import type { ClusterHealth } from '../cluster/local/node-health.ts';
import { type Listening, Master } from '../cluster/master/master.ts';
import type { RemoteWorker } from '../cluster/master/remote-worker.ts';
import { type ListDesk, listCourier } from '../cluster/tasks/list-courier.ts';
import { type ClusterLog, NodeLog } from '../cluster/tasks/node-log.ts';
import type {
  NodePorts,
  NodeSettings,
  PeerPolicy,
  RoleFence,
} from '../cluster/tasks/node-ports.ts';
import type { Service } from '../cluster/tasks/services.ts';
import type { Connection } from '../cluster/worker/connection.ts';
import { Worker } from '../cluster/worker/worker.ts';
import { PeerError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import type { DatabaseChoice } from '../host/agent-database.ts';
import { HeldBookFile, PeerBookFile } from '../host/cluster-books.ts';
import { dialCluster } from '../host/cluster-dialer.ts';
import { ClusterFiles } from '../host/cluster-files.ts';
import { listenCluster } from '../host/cluster-listener.ts';
import { writePidFile } from '../host/cluster-pid-file.ts';
import { openClusterSpool } from '../host/cluster-spool.ts';
import { ClusterTransfers, clearTransfers } from '../host/cluster-transfers.ts';
import { ClusterWatch } from '../host/cluster-watch.ts';
import { daemonSockets } from '../host/daemon-socket.ts';
import type { AddressSources } from '../host/own-addresses.ts';
import { systemClock, systemRandom } from '../host/system-clock.ts';
import type { ZoneAddress } from '../list/model.ts';
import type { Log } from '../log.ts';
import { editionOf } from '../wazuh/manager-edition.ts';
import { type AgentData, buildAgentData, watcherOf } from './build-agent-data.ts';
import { OwnVoice } from './build-cluster-addresses.ts';
import { buildMasterCalls, buildWorkerCalls, type CallsOptions } from './build-cluster-calls.ts';

export interface NodeOptions {
  readonly home: string;
  /** Our own memories: peers seen as ours, held deletions, hashes. */
  readonly stateFolder: string;
  readonly config: ClusterConfig;
  readonly version: string;
  readonly cluster: ClusterJson;
  readonly peers: PeerPolicy;
  /** Where the role of master moves between our own nodes. */
  readonly fence?: RoleFence;
  readonly maxConnectionsPerAddress: number;
  /** Whom received files belong to; undefined: whoever runs us. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly log: ClusterLog;
  readonly events: Log;
  /** Where agents' data is; unset: calls ask wazuh-db of this home, no agents' data is sent. */
  readonly database?: DatabaseChoice;
  /** What calls read agents from; unset: the database. */
  readonly agents?: QueryPort;
  readonly fileStates?: FileStates;
  /** Daemons of a master that its workers may ask. */
  readonly daemons?: readonly DaemonName[];
  /** What the publisher beside this node serves, for our other nodes, and what it takes of them. */
  readonly lists?: ListDesk;
  /** From where a worker dials; unset: as the host chooses. */
  readonly localAddress?: string;
  /** A worker that is told to stop tells its master, and goes on for so long. */
  readonly lameDuckMs?: number;
  /** Where agents reach the manager of this host: told to the master. */
  readonly advertise?: AddressSources;
  /** Where a bundled program has the thread for files. */
  readonly threadUrl?: URL;
}

/** Either role, ready to run. */
export interface ClusterNode {
  readonly role: Master | Worker;
  readonly local: LocalServer;
  readonly data: AgentData | undefined;
  /** All nodes; a worker asks its master. Throws `PeerError`. */
  health(signal: AbortSignal): Promise<ClusterHealth>;
  /** Workers that are connected now, by name: are they about to be stopped? Empty on a worker. */
  leaving(): ReadonlyMap<string, boolean>;
  /** Where agents reach managers, by node, as those nodes and this one say. Empty on a worker. */
  said(): ReadonlyMap<string, readonly ZoneAddress[]>;
  /** Until `signal` aborts, a worker for `lameDuckMs` longer; then everything is closed. */
  run(signal: AbortSignal, onListening?: (listening: Listening) => void): Promise<void>;
}

const clock = systemClock;
const random = systemRandom;

export function buildClusterNode(options: NodeOptions): ClusterNode {
  const { config } = options;
  const queueFolder = join(options.home, 'queue', 'cluster');
  const data = buildData(options);
  const watcher = data && watcherOf(data, new NodeLog(options.log, 'Master'));
  const ports = { ...buildPorts(options, queueFolder), watcher };
  const voice = options.advertise && new OwnVoice(options.advertise, options.events);
  const { role, local, health } =
    config.nodeType === 'master'
      ? buildMaster(options, ports, data)
      : buildWorker(options, ports, data);
  return {
    role,
    local,
    data,
    health,
    leaving: () => (role instanceof Master ? role.leaving() : new Map()),
    said: () => (role instanceof Master ? saidTo(role, voice, config.nodeName) : new Map()),
    async run(stop, onListening) {
      const { signal, cancel } = afterGoodbye(role, options, stop);
      mkdirSync(queueFolder, { recursive: true, mode: 0o770 });
      await local.open(); // first: a second node in one home must touch nothing of the first
      let removePidFile: (() => void) | undefined;
      const runRole = (until: AbortSignal): Promise<void> =>
        role instanceof Master ? role.run(until, onListening) : role.run(until);
      const runData = async (until: AbortSignal): Promise<void> => data?.run(until);
      try {
        clearTransfers(queueFolder);
        removePidFile = writePidFile(options.home, editionOf(options.version).clusterDaemon);
        await data?.open();
        const tell = (until: AbortSignal) =>
          voice?.run(role instanceof Worker ? role : undefined, until) ?? Promise.resolve();
        const more = [...(data ? [runData] : []), ...(voice ? [tell] : [])];
        await together(signal, [(until) => local.run(until), runRole, ...more]);
      } finally {
        cancel();
        removePidFile?.();
        await local.close();
        await ports.jobs.close();
      }
    },
  };
}

function saidTo(master: Master, voice: OwnVoice | undefined, name: string) {
  const own = voice?.addresses;
  return new Map([...master.said(), ...(own === undefined ? [] : [[name, own] as const])]);
}

const goodbyeMs = 5_000;

/** Aborts when `stop` does; of a worker, after its master was told and its agents had time to go. */
function afterGoodbye(
  role: Master | Worker,
  { lameDuckMs = 0, events }: NodeOptions,
  stop: AbortSignal,
): { readonly signal: AbortSignal; readonly cancel: () => void } {
  if (!(role instanceof Worker) || lameDuckMs === 0)
    return { signal: stop, cancel: () => undefined };
  const end = new AbortController();
  const goodbye = async (): Promise<void> => {
    const limit = deadline(clock, goodbyeMs);
    try {
      await role.leave(limit.signal);
      events.info('cluster.leaving', { forMs: lameDuckMs });
      await sleep(clock, lameDuckMs);
    } catch (thrown) {
      events.error('cluster.leaving_failed', { reason: messageOf(thrown) });
    } finally {
      limit.cancel();
      end.abort(stop.reason);
    }
  };
  const begin = (): void => void goodbye();
  if (stop.aborted) begin();
  else stop.addEventListener('abort', begin, { once: true });
  return { signal: end.signal, cancel: () => stop.removeEventListener('abort', begin) };
}

/** All of them; the first that fails ends the others. */
async function together(
  signal: AbortSignal,
  runs: readonly ((until: AbortSignal) => Promise<void>)[],
): Promise<void> {
  const stop = new AbortController();
  const until = AbortSignal.any([signal, stop.signal]);
  const running = runs.map((run) => run(until).finally(() => stop.abort(signal.reason)));
  await Promise.allSettled(running);
  await Promise.all(running);
}

function buildData(options: NodeOptions): AgentData | undefined {
  const { database: choice } = options;
  return choice === undefined ? undefined : buildAgentData({ ...options, choice, clock });
}

function buildMaster(
  options: NodeOptions,
  ports: NodePorts,
  data: AgentData | undefined,
): RoleParts<Master> {
  const { maxConnectionsPerAddress } = options;
  const settings = { ...settingsOf(options), maxConnectionsPerAddress, maxConnections: 4_096 };
  const spoolFolder = join(options.home, 'queue', 'cluster', '.sealed');
  const openSpool = () => openClusterSpool(spoolFolder, random);
  const calls = buildMasterCalls(settings, ports, callsOptions(options, data), () => role);
  const parts = [...masterParts(data), calls.service, ...courierParts(options)];
  const role: Master = new Master(settings, { ...ports, listen: listenCluster, openSpool }, parts);
  return { role, local: calls.local, health: (signal) => calls.view.health(null, signal) };
}

function buildWorker(
  options: NodeOptions,
  ports: NodePorts,
  data: AgentData | undefined,
): RoleParts<Worker> {
  const settings = settingsOf(options);
  const calls = buildWorkerCalls(settings, ports, callsOptions(options, data), () => role);
  const parts = [...workerParts(data), calls.service, ...courierParts(options)];
  const role: Worker = new Worker(
    settings,
    { ...ports, dial: dialCluster(clock, options.localAddress) },
    parts,
  );
  return { role, local: calls.local, health: (signal) => askMaster(role, signal) };
}

/** Throws `PeerError`, also while there is no connection. */
async function askMaster(worker: Worker, signal: AbortSignal): Promise<ClusterHealth> {
  const link = worker.connection?.link;
  if (link === undefined) throw new PeerError('link_closed', 'not connected to the master');
  const answer = await link.request('readHealth', null, { signal });
  if (answer.kind === 'ok') return readHealthAnswer(Buffer.from(answer.payload));
  throw new LocalFault(answer.fault);
}

interface RoleParts<Role> extends Pick<ClusterNode, 'health'> {
  readonly role: Role;
  readonly local: LocalServer;
}

function callsOptions(options: NodeOptions, data: AgentData | undefined): CallsOptions {
  const { home, owner, daemons = defaultDaemons } = options;
  const files = options.fileStates ?? data?.book;
  const db = options.agents ?? data?.db ?? askedDatabase(daemonSockets(clock, home));
  const agentSync = (name: string): AgentSync | undefined => data?.master?.syncOf(name);
  return { home, owner, db, files, daemons, agentSync };
}

/** What a master serves beside integrity; see `tasks/services.ts`. */
function masterParts(data: AgentData | undefined): readonly Service<RemoteWorker>[] {
  return data?.master === undefined ? [] : [data.master.service()];
}

/** What a worker serves beside integrity. */
function workerParts(data: AgentData | undefined): readonly Service<Connection>[] {
  return data?.worker === undefined ? [] : [data.worker.service()];
}

/** The list between our own nodes, whoever is the master. */
function courierParts({ lists }: NodeOptions): readonly Service<RemoteWorker | Connection>[] {
  return lists === undefined ? [] : [listCourier(lists, clock)];
}

function settingsOf(options: NodeOptions): NodeSettings {
  const { config, version, cluster, peers, fence } = options;
  return { config, version, cluster, peers, ...(fence === undefined ? {} : { fence }) };
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
    clusterKey: options.config.key,
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
