/**
 * The native failover of a 4.x agent (agent-side.md 2.2, real-agent-lab.md 3): where it starts, how
 * long it stays with a dead server, where it goes next. It begins with the entry whose connect()
 * last succeeded, goes forward, wraps from the last to the first, and never goes back by itself.
 */
import { lookup } from 'node:dns/promises';
import { connect, isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LogLevel } from './agent-files.ts';
import type { AgentSettings, ServerEntry } from './agent-settings.ts';
import { encodeFrame } from './frames.ts';

export interface WalkTiming {
  readonly recvTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly retryUnitMs: number;
  readonly lookupRetryMs: number;
}

export interface WalkPorts {
  readonly log: (level: LogLevel, text: string) => void;
  readonly report: (event: Readonly<Record<string, unknown>>) => void;
  readonly close: () => void;
  /** TCP connect; false when it failed. */
  readonly connect: (host: string, port: number) => Promise<boolean>;
  /** Startup message and its answer within `withinMs`. */
  readonly greet: (withinMs: number) => Promise<boolean>;
}

export class ServerWalk {
  readonly #settings: AgentSettings;
  readonly #timing: WalkTiming;
  readonly #ports: WalkPorts;
  /** Index of the entry whose connect() last succeeded: before the handshake, as in the agent. */
  #current = 0;

  constructor(settings: AgentSettings, timing: WalkTiming, ports: WalkPorts) {
    this.#settings = settings;
    this.#timing = timing;
    this.#ports = ports;
  }

  /** Walks until a handshake succeeds. */
  async run(): Promise<ServerEntry> {
    const { servers } = this.#settings;
    let index = this.#current;
    for (;;) {
      const server = this.#at(index);
      if (await this.#tryServer(server, index)) return server;
      this.#ports.log(
        'WARNING',
        `(4101): Waiting for server reply (not started). Tried: '${server.address}'.`,
      );
      index = this.#next(index, servers.length);
    }
  }

  /** R attempts I apart, then one for a key on the enrollment port, then I again. */
  async #tryServer(server: ServerEntry, index: number): Promise<boolean> {
    const waitMs = server.retryIntervalS * this.#timing.retryUnitMs;
    for (let attempt = 1; attempt <= server.maxRetries; attempt += 1) {
      if (attempt > 1) await sleep(waitMs);
      if (await this.#handshake(server, index)) return true;
    }
    if (this.#settings.enrollment) await this.#askForKey(server);
    await sleep(waitMs);
    return false;
  }

  async #handshake(server: ServerEntry, index: number): Promise<boolean> {
    const where = shown(server);
    this.#ports.close();
    this.#ports.log('INFO', `Trying to connect to server (${where}).`);
    this.#ports.report({ event: 'trying', server: `${server.address}:${server.port}`, index });
    const host = await this.#resolve(server.address);
    if (host === undefined || !(await this.#ports.connect(host, server.port))) {
      const reason = "'Transport endpoint is not connected'"; // whatever the real reason was
      this.#ports.log('ERROR', `(1216): Unable to connect to '${where}': ${reason}.`);
      this.#fail(server, index, host === undefined ? 'unresolved' : 'connect');
      return false;
    }
    this.#current = index;
    if (!(await this.#ports.greet(this.#timing.recvTimeoutMs))) {
      this.#fail(server, index, 'handshake');
      return false;
    }
    this.#ports.log('INFO', `(4102): Connected to the server (${where}).`);
    this.#ports.report({ event: 'connected', server: `${server.address}:${server.port}`, index });
    return true;
  }

  #fail(server: ServerEntry, index: number, step: string): void {
    const name = `${server.address}:${server.port}`;
    this.#ports.report({ event: 'failed', server: name, index, step });
  }

  #next(index: number, count: number): number {
    if (index + 1 < count) {
      const next = this.#at(index + 1);
      this.#ports.log('INFO', `Trying next server ip in the line: '${next.address}'.`);
      return index + 1;
    }
    this.#ports.log('WARNING', 'Unable to connect to any server.');
    return 0;
  }

  /**
   * Same blocking connect, then a wait for the answer. The stand-in managers refuse every key, as
   * authd does for a young agent it knows, so only the time it takes matters.
   */
  async #askForKey(server: ServerEntry): Promise<void> {
    this.#ports.log('INFO', `Requesting a key from server: ${server.address}`);
    const host = await this.#resolve(server.address);
    if (host === undefined) return;
    await exchange(host, this.#settings.enrollmentPort, this.#timing);
  }

  /** First address of the name, looked up anew each time; four tries. */
  #resolve(address: string): Promise<string | undefined> {
    return resolveName(address, this.#timing.lookupRetryMs, this.#ports.log);
  }

  #at(index: number): ServerEntry {
    const server = this.#settings.servers[index];
    if (server === undefined) throw new RangeError(`no server entry ${index}`);
    return server;
  }
}

/** Only the first address counts. Costs four pauses when there is none. */
export async function resolveName(
  address: string,
  retryMs: number,
  log: WalkPorts['log'],
): Promise<string | undefined> {
  // A legacy `name/` entry looks up what follows the slash: nothing (agent-side.md 1.6).
  const name = address.includes('/') ? address.slice(address.indexOf('/') + 1) : address;
  if (isIP(name) !== 0) return name;
  for (let attempt = 1; attempt <= 4; attempt += 1) {
    try {
      if (name !== '') return (await lookup(name)).address;
    } catch (error) {
      if (!(error instanceof Error && 'syscall' in error)) throw error;
    }
    await sleep(retryMs);
  }
  log('ERROR', `Could not resolve hostname '${address}'.`);
  return undefined;
}

/** Connects, asks, waits for whatever comes; ends at the latest when the kernel or V gives up. */
function exchange(host: string, port: number, timing: WalkTiming): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const { connectTimeoutMs, recvTimeoutMs } = timing;
    let timer =
      connectTimeoutMs > 0 ? setTimeout(() => socket.destroy(), connectTimeoutMs) : undefined;
    socket.once('connect', () => {
      clearTimeout(timer);
      timer = setTimeout(() => socket.destroy(), recvTimeoutMs);
      socket.write(encodeFrame('{"standin":"enroll"}'));
    });
    socket.on('data', () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** `[127.0.0.2]:1514/tcp`, as log lines have it. */
function shown(server: ServerEntry): string {
  return `[${server.address}]:${server.port}/${server.protocol}`;
}
