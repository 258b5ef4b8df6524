/**
 * The worker role: dials the master, stays with it, dials again with growing, random pauses
 * (stock: always ten seconds, all workers at once). What this node knows of its own files and of
 * held deletions outlives each connection.
 */
import type { Socket } from 'node:net';
import { type Cancel, fullJitterMs, sleep } from '../../clock.ts';
import { messageOf, systemCodeOf } from '../../guards.ts';
import type { LinkEnd } from '../link.ts';
import type { KeptFile } from '../session/incoming-files.ts';
import type { PeerKind } from '../session/output.ts';
import { Deletions } from '../tasks/deletions.ts';
import { LocalIntegrity } from '../tasks/local-integrity.ts';
import { NodeLog } from '../tasks/node-log.ts';
import type { NodePorts, NodeSettings } from '../tasks/node-ports.ts';
import { changedText } from '../tasks/peer-changed.ts';
import type { Service } from '../tasks/services.ts';
import { expectOk } from '../upload.ts';
import { leavingWord } from '../wire/command.ts';
import { defaultLimits } from '../wire/limits.ts';
import { createSeal, type Seal } from '../wire/seal.ts';
import { Connection } from './connection.ts';

export interface WorkerPorts extends NodePorts {
  /** Rejects with a system error, or when `signal` aborts. */
  dial(host: string, port: number, signal: AbortSignal): Promise<Socket>;
}

export interface WorkerStatusView {
  readonly isConnected: boolean;
  readonly master: string;
  readonly peer: PeerKind | undefined;
  readonly connectedAtMs: number | undefined;
  readonly attempts: number;
  readonly heldDeletions: number;
  readonly heldReason: string | undefined;
}

const first = { baseMs: 500, leastMs: 200 } as const;
/** A connection that lasted this long makes the pauses short again. */
const goodMs = 30_000;

export class Worker {
  readonly #settings: NodeSettings;
  readonly #ports: WorkerPorts;
  readonly #log: NodeLog;
  readonly #seal: Seal;
  readonly #local: LocalIntegrity;
  readonly #deletions: Deletions;
  readonly #services: readonly Service<Connection>[];
  #connection: Connection | undefined;
  #connectedAtMs: number | undefined;
  #attempts = 0;
  #kept: KeptFile | undefined;
  #stopKeeping: Cancel | undefined;
  #dropKept: () => Promise<void> = async () => undefined;

  constructor(
    settings: NodeSettings,
    ports: WorkerPorts,
    services: readonly Service<Connection>[] = [],
  ) {
    this.#settings = settings;
    this.#ports = ports;
    this.#services = services;
    this.#log = new NodeLog(ports.log, `Worker ${settings.config.nodeName}`);
    this.#seal = createSeal(settings.config.key);
    const { catalogue } = settings.cluster;
    this.#deletions = new Deletions({ book: ports.heldBook, peer: 'master', catalogue });
    this.#local = this.#buildLocal();
  }

  /** The ready connection, if there is one. */
  get connection(): Connection | undefined {
    return this.#connectedAtMs === undefined ? undefined : this.#connection;
  }

  status(): WorkerStatusView {
    const connection = this.connection;
    return {
      isConnected: connection !== undefined,
      master: this.#masterHost,
      peer: connection?.peer,
      connectedAtMs: this.#connectedAtMs,
      attempts: this.#attempts,
      heldDeletions: this.#deletions.heldFiles,
      heldReason: this.#deletions.reason,
    };
  }

  /** Tell the master that this node is about to be stopped; a stock one has no use for it. */
  async leave(signal: AbortSignal): Promise<void> {
    const { connection } = this;
    if (connection?.peer !== 'ours') return;
    expectOk(await connection.link.request('keepAlive', leavingWord, { signal }), 'leaving');
  }

  /** A keep-alive with more to it; only for a master of ours. */
  async tell(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    const { connection } = this;
    if (connection?.peer !== 'ours') return;
    expectOk(await connection.link.request('keepAlive', Buffer.from(bytes), { signal }), 'telling');
  }

  /** Connect, again and again, until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#local.run(signal), this.#stayConnected(signal)]);
    await this.#endKeeping();
  }

  get #masterHost(): string {
    return this.#settings.config.nodes[0] ?? '';
  }

  #buildLocal(): LocalIntegrity {
    const { clock, jobs, watch } = this.#ports;
    const everyMs = this.#settings.cluster.intervals.worker.sync_integrity * 1000;
    return new LocalIntegrity({
      clock,
      jobs,
      watch,
      log: this.#log.at('Local integrity'),
      isQuiet: true,
      everyMs: Math.max(everyMs, 60_000),
      auditMs: Math.max(everyMs, 300_000),
      settleMs: 200,
      isAwaited: () => this.#connection?.willScan === true,
      onScan: ({ generation }) => this.#connection?.scanned(generation),
    });
  }

  async #stayConnected(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      const pauseMs = this.#pauseMs(failures);
      const lastedMs = await this.#connectOnce(pauseMs, signal);
      if (signal.aborted) return;
      failures = lastedMs >= goodMs ? 0 : failures + 1;
      await sleep(this.#ports.clock, pauseMs, signal).catch(() => undefined);
    }
  }

  /** Full jitter over a growing limit that ends at stock's fixed pause. */
  #pauseMs(failures: number): number {
    const capMs = this.#settings.cluster.intervals.worker.connection_retry * 1000;
    const limits = { baseMs: first.baseMs, capMs };
    return Math.min(capMs, first.leastMs + fullJitterMs(this.#ports.random, failures, limits));
  }

  /** Milliseconds for which the node was connected. Never rejects. */
  async #connectOnce(pauseMs: number, signal: AbortSignal): Promise<number> {
    this.#attempts += 1;
    const socket = await this.#dial(pauseMs, signal);
    if (socket === undefined) return 0;
    const connection = this.#tryOpen(socket);
    if (connection === undefined) return 0;
    this.#connection = connection;
    const stop = (): void => void connection.link.close();
    signal.addEventListener('abort', stop, { once: true });
    try {
      return await this.#stay(connection, signal);
    } finally {
      signal.removeEventListener('abort', stop);
      this.#connection = undefined;
      this.#connectedAtMs = undefined;
      await connection.link.close();
      await this.#keep(connection);
    }
  }

  /** What a broken link cut is there for the next one, for a while. */
  async #keep({ link, transfers }: Connection): Promise<void> {
    this.#stopKeeping?.();
    this.#stopKeeping = undefined;
    this.#kept = link.kept;
    this.#dropKept = () => transfers.dropKept().catch(() => undefined);
    if (this.#kept === undefined) return this.#dropKept();
    const drop = () => void this.#dropKept();
    this.#stopKeeping = this.#ports.clock.after(defaultLimits.transferIdleMs, drop);
  }

  async #endKeeping(): Promise<void> {
    this.#stopKeeping?.();
    await this.#dropKept();
  }

  async #stay(connection: Connection, signal: AbortSignal): Promise<number> {
    const { clock, events } = this.#ports;
    try {
      await connection.greet(signal);
    } catch (error) {
      if (signal.aborted) return 0;
      if (connection.link.isOpen)
        this.#log.error(`Could not connect to master: ${messageOf(error)}`);
      else this.#sayEnd(await connection.link.close());
      return 0;
    }
    const startedMs = clock.monotonicMs();
    this.#connectedAtMs = clock.nowMs();
    this.#log.info('Successfully connected to master.');
    events.info('cluster.connected', { master: this.#masterHost, peer: connection.peer });
    const end = await connection.serve(signal);
    if (!signal.aborted) this.#sayEnd(end);
    events.info('cluster.disconnected', { reason: end.error?.message ?? null });
    return clock.monotonicMs() - startedMs;
  }

  async #dial(pauseMs: number, signal: AbortSignal): Promise<Socket | undefined> {
    const { port } = this.#settings.config;
    try {
      return await this.#ports.dial(this.#masterHost, port, signal);
    } catch (error) {
      if (signal.aborted) return undefined;
      const isRefused = systemCodeOf(error) === 'ECONNREFUSED';
      const what = isRefused ? '' : `: ${messageOf(error)}`;
      const pauseS = Math.ceil(pauseMs / 1000);
      this.#log.error(`Could not connect to master${what}. Trying again in ${pauseS} seconds.`);
      return undefined;
    }
  }

  /** Undefined: no folder for uploads, on a full disk for instance. */
  #tryOpen(socket: Socket): Connection | undefined {
    try {
      return this.#open(socket);
    } catch (error) {
      socket.on('error', () => undefined).destroy();
      this.#log.error(`Could not connect to master: ${messageOf(error)}`);
      return undefined;
    }
  }

  #open(socket: Socket): Connection {
    return new Connection({
      socket,
      masterName: this.#masterHost,
      settings: this.#settings,
      ports: this.#ports,
      seal: this.#seal,
      log: this.#log,
      local: this.#local,
      deletions: this.#deletions,
      kept: this.#kept,
      services: this.#services,
    });
  }

  #sayEnd({ by, error }: LinkEnd): void {
    if (error === undefined) {
      if (by === 'peer') this.#log.info('The master closed the connection');
      return;
    }
    const isReset = systemCodeOf(error) === 'ECONNRESET' || systemCodeOf(error) === 'EPIPE';
    const what = isReset
      ? `Connection closed by the peer: ${error.message}. Reconnecting...`
      : `Connection closed due to an unhandled error: ${error.message}`;
    if (isReset) this.#log.warning(what);
    else this.#log.error(what);
    const changed = changedText(this.#masterHost, error, this.#ports.peerBook);
    if (changed !== undefined) this.#log.error(changed);
  }
}
