/**
 * `c-internal.sock`: what programs of this host ask of their node (cluster-protocol.md 2.2). Takes
 * sockets, bounds how many there are and how long one may say nothing, and hands every command to
 * the role's table. It outlives the link to the master: a worker that is alone still answers.
 */
import type { Socket } from 'node:net';
import { type Clock, type Random, sleep } from '../../clock.ts';
import { PeerError } from '../../errors.ts';
import { Link, type LinkHandler } from '../link.ts';
import type { StoreStep } from '../session/output.ts';
import type { NodeLog } from '../tasks/node-log.ts';
import { type ServedPeer, type Service, Services, unhandledText } from '../tasks/services.ts';
import { defaultLimits, type SessionLimits } from '../wire/limits.ts';

/** A program of this host. */
export interface LocalPeer extends ServedPeer {
  /** Aborts when it hangs up. */
  readonly signal: AbortSignal;
}

export interface LocalServerPorts {
  readonly clock: Clock;
  readonly random: Random;
  /** Calls `onSocket` for each program. Throws `HostError` `listen_failed`. */
  listen(onSocket: (socket: Socket) => void): Promise<{ readonly path: string; close(): void }>;
}

export interface LocalServerSettings {
  /** Stock drops a program that sends no keep-alive for this long. */
  readonly idleMs: number;
  readonly checkEveryMs: number;
  readonly maxPrograms: number;
}

export const defaultLocalSettings: LocalServerSettings = {
  idleMs: 120_000,
  checkEveryMs: 15_000,
  maxPrograms: 256,
};

const mebibyte = 1024 * 1024;

/** Programs send questions; nothing of theirs goes to disk. */
const limits: SessionLimits = {
  ...defaultLimits,
  messageBytes: 16 * mebibyte,
  stringBytes: mebibyte,
  stringMemoryBytes: mebibyte,
  stringsMemoryBytes: 4 * mebibyte,
  strings: 4,
  files: 0,
  openAsks: 64,
};

interface Program {
  readonly peer: LocalPeer;
  readonly stop: AbortController;
  aliveMs: number;
}

export class LocalServer {
  readonly #ports: LocalServerPorts;
  readonly #settings: LocalServerSettings;
  readonly #log: NodeLog;
  readonly #services: Services<LocalPeer>;
  readonly #programs = new Map<Link, Program>();
  #listening: { close(): void } | undefined;
  #unsaid = 0;

  /** `log` under the tag `Local Server`. */
  constructor(
    service: Service<LocalPeer>,
    ports: LocalServerPorts,
    log: NodeLog,
    settings: LocalServerSettings = defaultLocalSettings,
  ) {
    this.#ports = ports;
    this.#settings = settings;
    this.#log = log;
    this.#services = new Services([service]);
  }

  get programs(): number {
    return this.#programs.size;
  }

  /** Throws `HostError` when the socket cannot be had: then another node runs in this home. */
  async open(): Promise<void> {
    const listening = await this.#ports.listen((socket) => this.#accept(socket));
    this.#listening = listening;
    this.#log.info(`Serving on ${listening.path}`);
  }

  /** After `open`, until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        const { checkEveryMs } = this.#settings;
        await sleep(this.#ports.clock, checkEveryMs, signal).catch(() => undefined);
        this.#dropIdle();
      }
    } finally {
      await this.close();
    }
  }

  /** Takes no more programs, and hangs up on those it has. A second call does nothing. */
  async close(): Promise<void> {
    this.#listening?.close();
    this.#listening = undefined;
    await Promise.all([...this.#programs.keys()].map((link) => link.close()));
  }

  #accept(socket: Socket): void {
    const { maxPrograms } = this.#settings;
    if (this.#programs.size >= maxPrograms) {
      socket.destroy();
      if (this.#unsaid++ === 0) {
        this.#log.warning(`More than ${maxPrograms} programs at once, rejecting.`);
      }
      return;
    }
    this.#unsaid = 0;
    this.#open(socket);
  }

  #open(socket: Socket): void {
    const { clock, random } = this.#ports;
    const stop = new AbortController();
    const link: Link = new Link(
      socket,
      { role: 'localServer', limits },
      { clock, random, store: noStore, handler: this.#handler() },
    );
    const peer = { link, log: this.#log, signal: stop.signal };
    this.#programs.set(link, { peer, stop, aliveMs: clock.monotonicMs() });
    this.#log.debug('Connection received in local server.');
    void link.ended.then(() => {
      this.#programs.delete(link);
      stop.abort(new PeerError('link_closed', 'the program hung up'));
      this.#services.left(peer);
    });
  }

  #handler(): LinkHandler {
    return {
      asked: (asked, link) => {
        const program = this.#programs.get(link);
        if (program === undefined) return;
        program.aliveMs = this.#ports.clock.monotonicMs();
        this.#services.serve(asked, program.peer);
      },
      failed: (error, asked) => this.#log.error(unhandledText(asked, error)),
      alive: (link) => {
        const program = this.#programs.get(link);
        if (program !== undefined) program.aliveMs = this.#ports.clock.monotonicMs();
      },
    };
  }

  #dropIdle(): void {
    const nowMs = this.#ports.clock.monotonicMs();
    for (const [link, { aliveMs }] of this.#programs) {
      if (nowMs - aliveMs <= this.#settings.idleMs) continue;
      void link.close(new PeerError('peer_silent', 'no keep-alive'));
    }
  }
}

const noStore = {
  perform: (step: StoreStep): Promise<void> =>
    step.action === 'drop'
      ? Promise.resolve()
      : Promise.reject(new PeerError('wire_limit', 'programs upload nothing here')),
};
