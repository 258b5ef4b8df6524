/** Calls, questions for daemons and the local socket of one node, from real parts. */
import { AgentsFromDb, type QueryPort } from '../cluster/calls/agents-from-db.ts';
import { askPeer } from '../cluster/calls/ask-peers.ts';
import { buildNodeView, type WorkerLine } from '../cluster/calls/build-view.ts';
import { CallDesk } from '../cluster/calls/call-desk.ts';
import { DaemonDesk } from '../cluster/calls/daemon-desk.ts';
import type { DaemonName } from '../cluster/calls/daemon-request.ts';
import { MasterCalls } from '../cluster/calls/master-calls.ts';
import type { AgentSync, FileStates, NodeView } from '../cluster/calls/node-view.ts';
import { CallFailed, PendingCalls } from '../cluster/calls/pending-calls.ts';
import { RulesetReload } from '../cluster/calls/ruleset-reload.ts';
import { WorkerCalls } from '../cluster/calls/worker-calls.ts';
import { type LocalPeer, LocalServer } from '../cluster/local/local-server.ts';
import { masterLocal } from '../cluster/local/master-local.ts';
import { workerLocal } from '../cluster/local/worker-local.ts';
import type { Master } from '../cluster/master/master.ts';
import type { RemoteWorker } from '../cluster/master/remote-worker.ts';
import { workerLine } from '../cluster/master/worker-status.ts';
import { NodeLog } from '../cluster/tasks/node-log.ts';
import type { NodePorts, NodeSettings } from '../cluster/tasks/node-ports.ts';
import type { Service } from '../cluster/tasks/services.ts';
import { fault } from '../cluster/wire/fault.ts';
import type { Connection } from '../cluster/worker/connection.ts';
import type { Worker } from '../cluster/worker/worker.ts';
import { listenUnix, localSocketPath } from '../host/cluster-local-socket.ts';
import { daemonSockets } from '../host/daemon-socket.ts';
import { HomeFacts } from '../host/manager-facts.ts';
import { editionOf } from '../wazuh/manager-edition.ts';

export interface CallsOptions {
  readonly home: string;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  /** The node's database, in wazuh-db's own terms. */
  readonly db: QueryPort;
  readonly files: FileStates | undefined;
  /** Agents' data of a connected worker, as far as this master synchronises it. */
  agentSync(worker: string): AgentSync | undefined;
  /** Daemons of this host that workers may ask. */
  readonly daemons: readonly DaemonName[];
}

/** A part of a node that serves its peers, and its local socket, which runs on its own. */
export interface CallsPart<Peer> {
  readonly service: Service<Peer>;
  readonly local: LocalServer;
  readonly view: NodeView;
}

/** C daemons give up after ten minutes; programs of the API after 200 s. */
const daemonTimeoutMs = 90_000;

export function buildMasterCalls(
  settings: NodeSettings,
  ports: NodePorts,
  options: CallsOptions,
  master: () => Master,
): CallsPart<RemoteWorker> {
  const { clock, random } = ports;
  const pending = new PendingCalls(clock, random);
  const log = new NodeLog(ports.log, 'Cluster', 'D API');
  const workers = (): readonly WorkerLine[] =>
    master()
      .workers()
      .map((status) => workerLine({ ...status, agentSync: options.agentSync(status.name) }));
  const view = viewOf(settings, ports, options, workers);
  const callTimeoutMs = settings.cluster.communication.callTimeoutMs;
  const desk = new CallDesk({
    clock,
    view,
    callTimeoutMs,
    isDistributed: settings.cluster.distributedApi,
    async ask(node, body, timeoutMs, signal) {
      const worker = master().find(node);
      if (worker === undefined) throw new CallFailed(fault(3022, node));
      return askPeer(pending, worker, body, timeoutMs, signal);
    },
  });
  const daemons = new DaemonDesk({
    port: daemonSockets(clock, options.home),
    allowed: options.daemons,
    log: log.at('SendSync'),
    keysNoted: settings.fence && (() => settings.fence?.keysNoted() ?? Promise.resolve()),
  });
  const worker = (name: string): RemoteWorker | undefined => master().find(name);
  const calls = new MasterCalls({ view, desk, daemons, pending, log });
  const local = masterLocal({ view, desk, pending, callTimeoutMs, log, worker });
  return { service: calls.service, local: localServer(ports, options, local), view };
}

export function buildWorkerCalls(
  settings: NodeSettings,
  ports: NodePorts,
  options: CallsOptions,
  worker: () => Worker,
): CallsPart<Connection> {
  const { clock, random } = ports;
  const pending = new PendingCalls(clock, random);
  const log = new NodeLog(ports.log, 'Cluster', 'D API');
  const view = viewOf(settings, ports, options, undefined);
  const desk = new CallDesk({
    clock,
    view,
    callTimeoutMs: settings.cluster.communication.callTimeoutMs,
    isDistributed: settings.cluster.distributedApi,
    async ask(_node, body, timeoutMs, signal) {
      const master = worker().connection;
      if (master === undefined) throw new CallFailed(fault(3023));
      return askPeer(pending, master, body, timeoutMs, signal);
    },
  });
  const calls = new WorkerCalls({ desk, pending, log });
  const reload = new RulesetReload({
    port: daemonSockets(clock, options.home),
    log: new NodeLog(ports.log, `Worker ${settings.config.nodeName}`),
  });
  const service: Service<Connection> = { ...calls.service, inStep: () => void reload.checked() };
  const local = workerLocal({
    ...{ view, desk, pending, daemonTimeoutMs, log },
    master: () => worker().connection,
    reloadRuleset: () => {
      reload.want();
      worker().connection?.wantCheck();
    },
  });
  return { service, local: localServer(ports, options, local), view };
}

function viewOf(
  { config, version }: NodeSettings,
  { jobs, clock }: NodePorts,
  { home, db, files }: CallsOptions,
  workers: (() => readonly WorkerLine[]) | undefined,
): NodeView {
  const edition = editionOf(version);
  return buildNodeView({
    clock,
    config,
    version,
    agents: new AgentsFromDb(db),
    files,
    facts: new HomeFacts(home, edition, config.nodeType),
    jobs,
    tellsActiveAgents: edition.hasAgentNodes,
    workers,
  });
}

function localServer(
  { clock, random, log }: NodePorts,
  { home, owner }: CallsOptions,
  service: Service<LocalPeer>,
): LocalServer {
  const listen = (onSocket: Parameters<typeof listenUnix>[2]) =>
    listenUnix(clock, localSocketPath(home), onSocket, owner);
  return new LocalServer(service, { clock, random, listen }, new NodeLog(log, 'Local Server'));
}
