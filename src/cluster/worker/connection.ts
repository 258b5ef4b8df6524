/** One connection of a worker to its master: hello, negotiation, then everything that runs on it. */
import type { Socket } from 'node:net';
import { PeerError } from '../../errors.ts';
import { messageOf } from '../../guards.ts';
import type { FileName } from '../files/name.ts';
import { Link, type LinkEnd, type LinkHandler } from '../link.ts';
import type { KeptFile } from '../session/incoming-files.ts';
import { masterTokenOf } from '../session/offer.ts';
import type { Asked, PeerKind, Reply } from '../session/output.ts';
import type { Deletions } from '../tasks/deletions.ts';
import type { LocalIntegrity } from '../tasks/local-integrity.ts';
import type { NodeLog } from '../tasks/node-log.ts';
import {
  type NodePorts,
  type NodeSettings,
  ownFeatures,
  type TransferFolder,
} from '../tasks/node-ports.ts';
import { ReceivingTasks } from '../tasks/receiving.ts';
import { SendingTasks } from '../tasks/sending.ts';
import { type Service, Services, unhandledText } from '../tasks/services.ts';
import { expectOk } from '../upload.ts';
import { commands } from '../wire/command.ts';
import { type Fault, faultText } from '../wire/fault.ts';
import type { TaskFault } from '../wire/payload-transfer.ts';
import type { Seal } from '../wire/seal.ts';
import { sendExtraValid } from './extra-valid.ts';
import { IntegrityLoop } from './integrity-loop.ts';
import { keepAlive } from './keep-alive.ts';
import { UpdateReceiver } from './update-receiver.ts';

export interface ConnectionParts {
  readonly socket: Socket;
  /** The master's address as configured, under which it is remembered as ours. */
  readonly masterName: string;
  readonly settings: NodeSettings;
  readonly ports: NodePorts;
  readonly seal: Seal;
  readonly log: NodeLog;
  readonly local: LocalIntegrity;
  readonly deletions: Deletions;
  /** Of an upload that the connection before this one began. */
  readonly kept: KeptFile | undefined;
  readonly services: readonly Service<Connection>[];
}

/** Several changes in a row are confirmed by one check. */
const confirmMs = 1_500;

export class Connection {
  readonly link: Link;
  readonly log: NodeLog;
  readonly #parts: ConnectionParts;
  readonly #services: Services<Connection>;
  readonly transfers: TransferFolder;
  readonly #receiving: ReceivingTasks;
  readonly #sending = new SendingTasks();
  readonly #update: UpdateReceiver;
  readonly #ready = Promise.withResolvers<void>();
  readonly #stop = new AbortController();
  #loop: IntegrityLoop | undefined;
  #peer: PeerKind = 'stock';
  #features: ReadonlySet<string> = new Set();

  constructor(parts: ConnectionParts) {
    const { socket, settings, ports, seal } = parts;
    const { clock, random } = ports;
    this.#parts = parts;
    this.log = parts.log;
    this.#services = new Services([this.#integrity(), ...parts.services]);
    const masterToken = settings.fence?.token ?? 0;
    const isKnown = masterToken > 0 || ports.peerBook.isOurs(parts.masterName);
    const mustBeOurs = settings.peers === 'ours' || isKnown;
    const node = settings.config.nodeName;
    const told = masterToken > 0 ? { masterToken } : {};
    const offer = { node, features: ownFeatures, mustBeOurs, ...told };
    this.transfers = ports.openTransfers(node);
    this.link = new Link(
      socket,
      { role: 'worker', seal, offer, kept: parts.kept },
      { clock, random, store: this.transfers, handler: this.#handler() },
    );
    this.#ready.promise.catch(() => undefined); // a link that ends first says so itself
    const timeoutMs = settings.cluster.communication.receivingFileTimeoutMs;
    const cancel = (taskId: string, reason: Fault): void => this.#cancelPeer(taskId, reason);
    this.#receiving = new ReceivingTasks({ clock, random, timeoutMs, cancel });
    this.#update = this.#buildUpdate();
    void this.link.ended.then(() => this.#ended());
  }

  get peer(): PeerKind {
    return this.#peer;
  }

  /** What both ends can do beyond the stock protocol; empty until that is told. */
  get features(): ReadonlySet<string> {
    return this.#features;
  }

  /** The master, as configured. */
  get name(): string {
    return this.#parts.masterName;
  }

  /** Show our files to the master soon, whatever the clock says. */
  wantCheck(): void {
    this.#loop?.want();
  }

  /** Files are being put in place, or were a moment ago: a scan follows. */
  get willScan(): boolean {
    return !this.#update.isFree || this.#loop?.isSettling === true;
  }

  /** The local scan finished. */
  scanned(generation: number): void {
    this.#loop?.scanned(generation);
  }

  /** Say hello and be ready. Throws `PeerError` when refused, or when the link ends first. */
  async greet(signal: AbortSignal): Promise<void> {
    const { config, version } = this.#parts.settings;
    const hello = {
      node: config.nodeName,
      cluster: config.name,
      type: config.nodeType,
      version,
    };
    const answer = await this.link.request('hello', hello, { signal });
    if (answer.kind === 'fault') {
      throw new PeerError('peer_refused', `${faultText(answer.fault)}.`);
    }
    expectOk(answer, 'hello');
    await this.#ready.promise;
  }

  /** Everything that runs while connected. Resolves, never rejects, when the link has ended. */
  async serve(signal: AbortSignal): Promise<LinkEnd> {
    const either = AbortSignal.any([signal, this.#stop.signal]);
    this.#loop = this.#buildLoop();
    await this.#services.run(this, either);
    const end = await this.link.close();
    this.#services.left(this);
    await this.#update.settled();
    return end;
  }

  #handler(): LinkHandler {
    return {
      asked: (asked) => this.#asked(asked),
      failed: (error, asked) => {
        this.log.error(unhandledText(asked, error));
      },
      recognised: (peer, features) => {
        this.#peer = peer;
        this.#features = features;
        this.#parts.settings.fence?.saw(masterTokenOf(features) ?? 0);
        if (peer === 'ours') this.#parts.ports.peerBook.remember(this.#parts.masterName);
      },
      ready: () => this.#ready.resolve(),
      cancelled: (taskId, reason) => this.#cancelled(taskId, reason),
    };
  }

  #asked(asked: Asked): void {
    this.log.debug(`Command received: 'b'${commands[asked.command].wire}''`);
    this.#services.serve(asked, this);
  }

  /** The part of a worker that keeps its files like the master's. */
  #integrity(): Service<Connection> {
    const { ports, settings, log } = this.#parts;
    const { keep_alive, max_failed_keepalive_attempts } = settings.cluster.intervals.worker;
    const rules = { everyMs: keep_alive * 1000, maxFailures: max_failed_keepalive_attempts };
    return {
      handlers: {
        integrityUnchanged: () => {
          if (this.#loop?.told() === true) this.#services.inStep(this);
          return { kind: 'ok', payload: 'Thanks' };
        },
        updateStart: () => {
          this.#loop?.updating();
          return this.#update.start();
        },
        updateSent: ({ value }) => this.#receiving.sent(value, this.link),
        updateFailed: ({ value }) => this.#updateFailed(value),
      },
      tasks: [
        {
          name: 'keep-alive',
          run: (_peer, signal) =>
            keepAlive(this.link, ports.clock, log.at('Keep Alive'), rules, signal),
        },
        { name: 'integrity', run: async (_peer, signal) => this.#loop?.run(signal) },
      ],
    };
  }

  #updateFailed(value: TaskFault): Reply {
    if (!this.#receiving.failed(value)) {
      this.log.error(`Error in synchronization process: ${faultText(value.fault)}`);
      this.#loop?.failed();
    }
    return { kind: 'ok', payload: 'Error received' };
  }

  #buildUpdate(): UpdateReceiver {
    const { ports, log, local, deletions } = this.#parts;
    return new UpdateReceiver({
      link: this.link,
      ports,
      transfers: this.transfers,
      receiving: this.#receiving,
      deletions,
      log: log.at('Integrity sync'),
      report: () => local.report,
      send: (names) => this.#sendExtraValid(names),
      applied: (isClean) => this.#applied(isClean),
    });
  }

  #sendExtraValid(names: readonly FileName[]): Promise<void> {
    const { ports, log } = this.#parts;
    const { clock, jobs } = ports;
    const { link } = this;
    const sending = this.#sending;
    const uploadPath = (): string => this.#uploadPath();
    const parts = { link, clock, jobs, sending, log: log.at('Integrity sync'), uploadPath };
    return sendExtraValid(parts, names);
  }

  #buildLoop(): IntegrityLoop {
    const { ports, settings, log, local } = this.#parts;
    const everyMs = settings.cluster.intervals.worker.sync_integrity * 1000;
    return new IntegrityLoop({
      link: this.link,
      clock: ports.clock,
      jobs: ports.jobs,
      local,
      sending: this.#sending,
      update: this.#update,
      log: log.at('Integrity check'),
      rules: { everyMs, auditMs: Math.max(everyMs, 300_000), retryMs: Math.min(everyMs, 500) },
      isNudged: this.#features.has('nudge'),
      showsDigest: this.#features.has('digest'),
      same: () => this.#services.inStep(this),
      uploadPath: () => this.#uploadPath(),
    });
  }

  /** Nothing new comes from our own master by itself, so look again; soon only if all went well. */
  #applied(isClean: boolean): void {
    if (isClean) this.#services.inStep(this);
    if (!this.#features.has('nudge')) return;
    const everyMs = this.#parts.settings.cluster.intervals.worker.sync_integrity * 1000;
    this.#loop?.settle(isClean ? Math.min(everyMs, confirmMs) : everyMs);
  }

  /** Stock's form: `/queue/cluster/NODE/NODE-SECONDS-HEX.zip`. */
  #uploadPath(): string {
    const { clock, random } = this.#parts.ports;
    const node = this.#parts.settings.config.nodeName;
    const hex = Buffer.from(random.bytes(16)).toString('hex');
    return `/queue/cluster/${node}/${node}-${(clock.nowMs() / 1000).toFixed(6)}-${hex}.zip`;
  }

  #cancelled(taskId: string | undefined, reason: Fault): void {
    const isKnown = this.#sending.cancelled(taskId, reason);
    const what = isKnown
      ? 'The task was canceled due to the following error on the remote node'
      : 'The task was requested to be canceled but no task_id was received';
    this.#parts.log.error(`${what}: ${faultText(reason)}`);
  }

  #cancelPeer(taskId: string, reason: Fault): void {
    if (!this.link.isOpen) return;
    this.link.request('cancelTask', { taskId, fault: reason }).catch(() => undefined);
  }

  #ended(): void {
    this.#ready.reject(new PeerError('link_closed', 'the master closed the connection'));
    this.#stop.abort(new PeerError('link_closed', 'the link ended'));
    this.#receiving.end();
    const cleared = this.#update.settled().then(() => this.transfers.end());
    cleared.catch((error: unknown) => {
      this.log.error(`What the master uploaded could not be removed: ${messageOf(error)}`);
    });
  }
}
