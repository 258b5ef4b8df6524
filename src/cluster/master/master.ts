/**
 * The master role: takes workers in after every check of their hello, keeps their files like its
 * own, watches that they live. Nothing of a worker is registered before the last check, and a
 * registered one is forgotten when its link ends, whatever state it was in.
 */
import type { Socket } from 'node:net';
import { sleep } from '../../clock.ts';
import { PeerError } from '../../errors.ts';
import type { ZoneAddress } from '../../list/model.ts';
import { AddressBudget } from '../address-budget.ts';
import type { ScanReport } from '../files/jobs.ts';
import { Link, type LinkHandler } from '../link.ts';
import { judgeHello } from '../session/hello.ts';
import type { Asked } from '../session/output.ts';
import { BundleShelf } from '../tasks/bundle-shelf.ts';
import { LocalIntegrity } from '../tasks/local-integrity.ts';
import { NodeLog } from '../tasks/node-log.ts';
import { type NodePorts, type NodeSettings, ownFeatures } from '../tasks/node-ports.ts';
import { changedText } from '../tasks/peer-changed.ts';
import { Quiet } from '../tasks/quiet.ts';
import type { SealedSpool } from '../tasks/sealed-pack.ts';
import { type Handlers, type Service, Services, unhandledText } from '../tasks/services.ts';
import { commands } from '../wire/command.ts';
import { type Fault, faultText } from '../wire/fault.ts';
import { createSeal, type Seal } from '../wire/seal.ts';
import { ConnectionCounts, type Seat } from './connection-counts.ts';
import type { MasterDesk } from './desk.ts';
import { masterExtraValid } from './extra-valid.ts';
import { masterIntegrity } from './integrity.ts';
import { LateStore } from './late-store.ts';
import { RemoteWorker } from './remote-worker.ts';
import type { WorkerStatus } from './worker-status.ts';

export interface ListenRequest {
  readonly host: string;
  readonly port: number;
  onSocket(socket: Socket): void;
}

export interface Listening {
  readonly host: string;
  readonly port: number;
  /** Takes no more sockets; open ones stay. */
  close(): Promise<void>;
}

export interface MasterPorts extends NodePorts {
  /** Throws `HostError` `listen_failed`. */
  listen(request: ListenRequest): Promise<Listening>;
  openSpool(): Promise<SealedSpool>;
}

export interface MasterSettings extends NodeSettings {
  /** Stock takes ten; more are needed behind NAT. */
  readonly maxConnectionsPerAddress: number;
  readonly maxConnections: number;
}

/** Agents' data is another part's; a node without it lets nobody send. */
const fallback: Handlers<RemoteWorker> = {
  maySendAgentInfo: () => ({ kind: 'ok', payload: 'False' }),
};

const nameTaken = 3028;

export class Master {
  readonly #settings: MasterSettings;
  readonly #ports: MasterPorts;
  readonly #log: NodeLog;
  readonly #strangerLog: NodeLog;
  readonly #seal: Seal;
  readonly #desk: MasterDesk;
  readonly #counts: ConnectionCounts;
  readonly #budget = new AddressBudget();
  readonly #quiet: Quiet;
  readonly #links = new Map<Link, RemoteWorker | undefined>();
  readonly #names = new Map<string, RemoteWorker>();
  readonly #services: Services<RemoteWorker>;
  #round = 0;
  #generation = -1;
  #changedAtMs: number;

  constructor(
    settings: MasterSettings,
    ports: MasterPorts,
    services: readonly Service<RemoteWorker>[] = [],
  ) {
    this.#settings = settings;
    this.#ports = ports;
    this.#log = new NodeLog(ports.log, 'Master');
    this.#strangerLog = new NodeLog(ports.log, 'Worker');
    this.#seal = createSeal(settings.config.key);
    this.#counts = new ConnectionCounts(settings);
    this.#quiet = new Quiet(ports.clock);
    this.#changedAtMs = ports.clock.nowMs();
    this.#desk = this.#buildDesk();
    const own = [masterIntegrity, masterExtraValid(this.#desk)];
    this.#services = new Services([...own, ...services], fallback);
  }

  /** Workers that are connected, by name: are they about to be stopped? */
  leaving(): ReadonlyMap<string, boolean> {
    return new Map([...this.#names].map(([name, worker]) => [name, worker.isLeaving]));
  }

  /** Workers that told, by name: where agents reach their managers. */
  said(): ReadonlyMap<string, readonly ZoneAddress[]> {
    return new Map(
      [...this.#names].flatMap(([name, { said }]) => (said === undefined ? [] : [[name, said]])),
    );
  }

  /** Registered workers in the order in which they came. */
  workers(): readonly WorkerStatus[] {
    return [...this.#names.values()].map((worker) => worker.status());
  }

  find(name: string): RemoteWorker | undefined {
    return this.#names.get(name);
  }

  /** How many bundles were packed since the start. */
  get bundlesMade(): number {
    return this.#desk.shelf.made;
  }

  /** Serve until `signal` aborts. Throws `HostError` when the address cannot be had. */
  async run(signal: AbortSignal, onListening?: (listening: Listening) => void): Promise<void> {
    const { bindAddress, port } = this.#settings.config;
    const onSocket = (socket: Socket): void => this.#accept(socket);
    const listening = await this.#ports.listen({ host: bindAddress, port, onSocket });
    const shut = (): void => void this.#shut(listening);
    if (this.#settings.fence !== undefined) signal.addEventListener('abort', shut, { once: true });
    this.#log.info(`Serving on ('${listening.host}', ${listening.port})`);
    onListening?.(listening);
    try {
      await Promise.all([
        this.#desk.local.run(signal),
        this.#countRounds(signal),
        this.#watchKeepAlives(signal),
      ]);
    } finally {
      signal.removeEventListener('abort', shut);
      await this.#stop(listening);
    }
  }

  #buildDesk(): MasterDesk {
    const { clock, random, jobs, watch, openSpool } = this.#ports;
    const everyMs = this.#settings.cluster.intervals.master.recalculate_integrity * 1000;
    const local = new LocalIntegrity({
      clock,
      jobs,
      watch,
      log: this.#log.at('Local integrity'),
      everyMs,
      auditMs: everyMs * 8,
      settleMs: 100,
      onScan: (report) => this.#scanned(report),
    });
    return {
      settings: this.#settings,
      ports: this.#ports,
      local,
      shelf: new BundleShelf({ clock, random, jobs, openSpool }),
      round: () => this.#round,
      changedAtMs: () => this.#changedAtMs,
    };
  }

  #accept(socket: Socket): void {
    const address = socket.remoteAddress ?? '';
    const seat = { address, end: () => void socket.destroy() };
    if (!this.#counts.enter(seat)) {
      socket.destroy();
      const unsaid = this.#quiet.ask(`full ${address}`);
      if (unsaid === undefined) return;
      const count = this.#counts.of(address);
      this.#strangerLog.warning(
        `Too many connections from ${address} (${count}), rejecting.${more(unsaid)}`,
      );
      return;
    }
    const unsaid = this.#quiet.ask(`open ${address}`);
    const from = `('${address}', ${socket.remotePort ?? 0})`;
    if (unsaid !== undefined) this.#strangerLog.info(`Connection from ${from}${more(unsaid)}`);
    this.#open(socket, seat);
  }

  #open(socket: Socket, seat: Seat): void {
    const { clock, random } = this.#ports;
    const store = new LateStore();
    const node = this.#settings.config.nodeName;
    const { fence } = this.#settings;
    const told = fence === undefined ? {} : { masterToken: fence.token };
    const offer = { node, features: ownFeatures, mustBeOurs: false, ...told };
    const link = new Link(
      socket,
      { role: 'master', seal: this.#seal, offer },
      { clock, random, store, handler: this.#handler(store, seat), budget: this.#budget },
    );
    this.#links.set(link, undefined);
    void link.ended.then(({ error }) => {
      this.#counts.leave(seat);
      this.#ended(link, error);
    });
  }

  #handler(store: LateStore, seat: Seat): LinkHandler {
    const worker = (link: Link): RemoteWorker | undefined => this.#links.get(link);
    return {
      asked: (asked, link) => this.#asked(asked, link, store),
      failed: (error, asked) => {
        this.#log.error(unhandledText(asked, error));
      },
      alive: (link) => worker(link)?.alive(),
      leaving: (link) => worker(link)?.leave(),
      said: (bytes, link) => worker(link)?.says(bytes),
      outranked: (token) => this.#settings.fence?.saw(token),
      recognised: (peer, features, link) => worker(link)?.recognised(peer, features),
      cancelled: (taskId, reason, link) => worker(link)?.cancelled(taskId, reason),
      ready: (link) => {
        const one = worker(link);
        if (one === undefined) return;
        this.#counts.known(seat);
        void this.#services.run(one, one.signal);
      },
    };
  }

  #asked(asked: Asked, link: Link, store: LateStore): void {
    if (this.#isFenced(link)) return;
    const worker = this.#links.get(link);
    if (asked.command === 'hello') {
      this.#hello(asked, link, store);
    } else if (worker !== undefined) {
      worker.log.debug(`Command received: b'${commands[asked.command].wire}'`);
      this.#services.serve(asked, worker);
    }
  }

  /** The role went elsewhere, or its lease may have ended: nothing is answered any more. */
  #isFenced(link: Link): boolean {
    const { fence } = this.#settings;
    if (fence === undefined || fence.holds()) return false;
    void link.close(new PeerError('master_outdated', 'this node is not the master any more'));
    return true;
  }

  #hello(asked: Extract<Asked, { command: 'hello' }>, link: Link, store: LateStore): void {
    const { config, version } = this.#settings;
    const refusal = judgeHello(asked.value, {
      node: config.nodeName,
      cluster: config.name,
      version,
      connected: new Set(this.#names.keys()),
    });
    if (refusal === undefined) {
      this.#admit(asked, link, store);
      return;
    }
    this.#refuse(asked.counter, link, refusal);
    if (refusal.code === nameTaken) this.#names.get(asked.value.node)?.mustAnswer();
  }

  #admit(asked: Extract<Asked, { command: 'hello' }>, link: Link, store: LateStore): void {
    const { peers } = this.#settings;
    const { node } = asked.value;
    const transfers = this.#ports.openTransfers(node);
    store.use(transfers);
    const worker = new RemoteWorker(asked.value, link, transfers, this.#desk);
    this.#links.set(link, worker);
    this.#names.set(node, worker);
    const mustBeOurs = peers === 'ours' || this.#ports.peerBook.isOurs(node);
    link.admit(asked.counter, { mustBeOurs });
    this.#ports.events.info('cluster.worker_joined', { worker: node, address: link.peerAddress });
  }

  #refuse(counter: number, link: Link, refusal: Fault): void {
    link.refuse(counter, refusal);
    const unsaid = this.#quiet.ask(`hello ${link.peerAddress}`);
    if (unsaid === undefined) return;
    const text = faultText(refusal);
    this.#strangerLog.error(`Internal error processing request 'b'hello'': ${text}${more(unsaid)}`);
  }

  #ended(link: Link, error: Error | undefined): void {
    const worker = this.#links.get(link);
    this.#links.delete(link);
    if (worker === undefined) this.#strangerEnded(link, error);
    else this.#workerEnded(worker, error);
  }

  #workerEnded(worker: RemoteWorker, error: Error | undefined): void {
    if (this.#names.get(worker.name) === worker) this.#names.delete(worker.name);
    worker.end();
    this.#services.left(worker);
    if (error === undefined) worker.log.debug(`Disconnected ${worker.name}.`);
    else worker.log.error(`Error during connection with '${worker.name}': ${error.message}.`);
    const changed = changedText(worker.name, error, this.#ports.peerBook);
    if (changed !== undefined) worker.log.error(changed);
    worker.log.info('Cancelling pending tasks.');
    this.#ports.events.info('cluster.worker_left', {
      worker: worker.name,
      reason: error?.message ?? null,
    });
  }

  #strangerEnded(link: Link, error: Error | undefined): void {
    const unsaid = this.#quiet.ask(`handshake ${link.peerAddress}`);
    if (unsaid === undefined) return;
    const why = error === undefined ? '.' : `: ${error.message}.`;
    this.#strangerLog.error(
      `Error during handshake with incoming connection${why} (${link.peerAddress})${more(unsaid)}`,
    );
  }

  #scanned(report: ScanReport): void {
    const { generation } = report;
    this.#ports.watcher?.scanned(report);
    const isNew = generation !== this.#generation;
    if (isNew) {
      this.#generation = generation;
      this.#changedAtMs = this.#ports.clock.nowMs();
    }
    for (const worker of this.#names.values()) if (isNew) worker.integrity.nudge();
  }

  /** The clock of permissions; held deletions are looked at again in every round. */
  async #countRounds(signal: AbortSignal): Promise<void> {
    const everyMs = this.#settings.cluster.intervals.master.recalculate_integrity * 1000;
    await untilAborted(signal, async () => {
      await sleep(this.#ports.clock, everyMs, signal);
      this.#round += 1;
      const waiting = [...this.#names.values()].filter(
        (worker) => worker.integrity.hasHeldDeletions,
      );
      if (waiting.length === 0) return;
      await this.#desk.local.refresh();
      for (const worker of waiting) worker.integrity.nudge();
    });
  }

  async #watchKeepAlives(signal: AbortSignal): Promise<void> {
    const { check_worker_lastkeepalive, max_allowed_time_without_keepalive } =
      this.#settings.cluster.intervals.master;
    const log = this.#log.at('Keep alive');
    await untilAborted(signal, async () => {
      log.debug('Calculating.');
      for (const worker of this.#names.values()) {
        if (worker.silentMs <= max_allowed_time_without_keepalive * 1000) continue;
        log.error(
          `No keep alives have been received from ${worker.name} in the last minute. Disconnecting`,
        );
        void worker.link.close(new PeerError('peer_silent', 'no keep-alive'));
      }
      log.debug('Calculated.');
      await sleep(this.#ports.clock, check_worker_lastkeepalive * 1000, signal);
    });
  }

  async #shut(listening: Listening): Promise<void> {
    await listening.close();
    await Promise.all([...this.#links.keys()].map((link) => link.close()));
  }

  async #stop(listening: Listening): Promise<void> {
    await this.#shut(listening);
    await this.#desk.shelf.close();
  }
}

async function untilAborted(signal: AbortSignal, turn: () => Promise<void>): Promise<void> {
  try {
    while (!signal.aborted) await turn();
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function more(unsaid: number): string {
  return unsaid === 0 ? '' : ` (and ${unsaid} more like this)`;
}
