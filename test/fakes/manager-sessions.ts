/**
 * The sessions of the stand-in manager. The handshake is the stand-ins' own, named as such on the
 * wire: `{"standin":"startup","agent":"001"}` is answered `{"standin":"ack"}`, so is every
 * `keepalive`; `event` is counted; `shutdown` ends the session. `#ping` is answered as remoted does.
 */
import type { Socket } from 'node:net';
import {
  encodeFrame,
  FrameReader,
  messagePart,
  readMessage,
  type StandInMessage,
} from './frames.ts';

/**
 * `normal`; `hung-app` accepts and never reads again; `no-pong` serves agents but answers no ping;
 * `drain` keeps its agents, answers pings and turns new agents away; `closed` listens no more and
 * has reset its connections.
 */
export const managerModes = ['normal', 'hung-app', 'no-pong', 'drain', 'closed'] as const;
export type ManagerMode = (typeof managerModes)[number];

export type LostReason = 'shutdown' | 'closed' | 'reset' | 'bad_frame' | 'kicked';

interface Connection {
  readonly socket: Socket;
  readonly from: string;
  readonly reader: FrameReader;
  agent?: string;
  lastMessageAtMs: number;
}

/** What is known of one agent's events over all its sessions with this manager. */
interface EventCount {
  total: number;
  bytes: number;
  lastSeq: number;
  reportedTotal: number;
}

export interface SessionSettings {
  /** An agent id that was heard of this recently on another connection is refused (default 60 s). */
  readonly overtakeMs: number;
  /** Tell of every event as it is counted: a kill then hides none that was taken in. */
  readonly reportsEach: boolean;
  readonly report: (event: Readonly<Record<string, unknown>>) => void;
}

export class ManagerSessions {
  readonly #settings: SessionSettings;
  readonly #connections = new Set<Connection>();
  readonly #counts = new Map<string, EventCount>();
  mode: ManagerMode = 'normal';
  pings = 0;

  constructor(settings: SessionSettings) {
    this.#settings = settings;
  }

  get agents(): readonly string[] {
    return [...this.#connections].flatMap(({ agent }) => (agent === undefined ? [] : [agent]));
  }

  accept(socket: Socket): void {
    const from = `${socket.remoteAddress}:${socket.remotePort}`;
    const connection: Connection = { socket, from, reader: new FrameReader(), lastMessageAtMs: 0 };
    this.#connections.add(connection);
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#read(connection, chunk));
    socket.on('error', () => this.#lose(connection, 'reset'));
    socket.on('close', () => this.#lose(connection, 'closed'));
    if (this.mode === 'hung-app') socket.pause();
  }

  /** Switches what is answered; a hung manager reads nothing, so that its peers' sends back up. */
  setMode(mode: ManagerMode): void {
    this.mode = mode;
    for (const { socket } of this.#connections) {
      if (mode === 'hung-app') socket.pause();
      else socket.resume();
    }
    if (mode === 'closed') this.kick();
  }

  /** Resets every connection. */
  kick(): void {
    for (const connection of [...this.#connections]) {
      this.#lose(connection, 'kicked');
      connection.socket.resetAndDestroy();
    }
  }

  /** One event per agent whose count has grown since the last call. */
  reportCounts(): void {
    for (const [agent, count] of this.#counts) {
      if (count.total === count.reportedTotal) continue;
      count.reportedTotal = count.total;
      const { total, bytes, lastSeq } = count;
      this.#settings.report({ event: 'events', agent, total, bytes, lastSeq });
    }
  }

  #read(connection: Connection, chunk: Buffer): void {
    try {
      for (const payload of connection.reader.push(chunk)) this.#take(connection, payload);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#lose(connection, 'bad_frame');
      connection.socket.destroy();
    }
  }

  #take(connection: Connection, payload: Buffer): void {
    if (payload.subarray(0, 5).toString('latin1') === '#ping') {
      this.pings += 1;
      if (this.mode !== 'no-pong') connection.socket.write(encodeFrame('#pong'));
      return;
    }
    const message = readMessage(messagePart(payload));
    if (message === undefined) return;
    if (message.standin === 'startup') {
      this.#startUp(connection, message);
      return;
    }
    if (connection.agent === undefined) return;
    connection.lastMessageAtMs = Date.now();
    if (message.standin === 'keepalive') this.#ack(connection);
    if (message.standin === 'event') this.#count(connection.agent, message, payload.length);
    if (message.standin === 'shutdown') this.#lose(connection, 'shutdown');
  }

  #startUp(connection: Connection, { agent = '' }: StandInMessage): void {
    const reason = this.#refusal(connection, agent);
    if (reason !== undefined) {
      this.#settings.report({ event: 'agent_refused', agent, from: connection.from, reason });
      connection.socket.end(encodeFrame(JSON.stringify({ standin: 'err', reason })));
      return;
    }
    if (connection.agent === undefined) {
      this.#settings.report({ event: 'agent_connected', agent, from: connection.from });
    }
    connection.agent = agent;
    connection.lastMessageAtMs = Date.now();
    this.#ack(connection);
  }

  #refusal(connection: Connection, agent: string): string | undefined {
    if (agent === '') return 'no agent id';
    if (this.mode === 'drain') return 'draining: no new agents';
    const heardAfterMs = Date.now() - this.#settings.overtakeMs;
    const isInUse = [...this.#connections].some(
      (other) =>
        other !== connection && other.agent === agent && other.lastMessageAtMs > heardAfterMs,
    );
    return isInUse ? `Agent key already in use: agent ID '${agent}'` : undefined;
  }

  #ack(connection: Connection): void {
    connection.socket.write(encodeFrame('{"standin":"ack"}'));
  }

  #count(agent: string, message: StandInMessage, bytes: number): void {
    const count = this.#counts.get(agent) ?? { total: 0, bytes: 0, lastSeq: 0, reportedTotal: 0 };
    count.total += 1;
    count.bytes += bytes;
    count.lastSeq = Math.max(count.lastSeq, message.seq ?? 0);
    this.#counts.set(agent, count);
    if (this.#settings.reportsEach) this.reportCounts();
  }

  #lose(connection: Connection, reason: LostReason): void {
    if (!this.#connections.delete(connection)) return;
    if (connection.agent === undefined) return;
    this.reportCounts();
    this.#settings.report({
      event: 'agent_lost',
      agent: connection.agent,
      from: connection.from,
      reason,
    });
  }
}
