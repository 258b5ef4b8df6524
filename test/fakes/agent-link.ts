/**
 * The stand-in agent's connection to its manager, with the trait that wedges real agents
 * (real-agent-lab.md 3b): `send` holds the one send mutex until the socket has taken the bytes, and
 * a full socket takes them when the peer reads again or the kernel gives up. Nothing else ends it.
 */
import { readFileSync } from 'node:fs';
import { connect, isIPv6, type Socket } from 'node:net';
import { FrameReader, readMessage, type StandInMessage } from './frames.ts';

export interface LinkSettings {
  /** 0: when the kernel gives up. */
  readonly connectTimeoutMs: number;
  /** Unacknowledged bytes after which `send` blocks when packets get lost; 0: the kernel's own limit. */
  readonly sendBufferBytes: number;
  /** The same while the peer's kernel answers: makes up for a hung peer's bigger buffer. */
  readonly hungBufferBytes: number;
  readonly wedges: boolean;
}

export interface LinkEvents {
  readonly onMessage: (message: StandInMessage) => void;
  readonly onClose: () => void;
}

const lookMs = 20;

export class AgentLink {
  readonly #settings: LinkSettings;
  readonly #events: LinkEvents;
  readonly #mutex = new Mutex();
  #socket: Socket | undefined;
  /** Never below what the kernel holds unacknowledged: sent since the last look is added. */
  #unackedAtMost = 0;

  constructor(settings: LinkSettings, events: LinkEvents) {
    this.#settings = settings;
    this.#events = events;
  }

  get isOpen(): boolean {
    return this.#socket !== undefined;
  }

  /** A blocking connect() as the agent does it: nobody else gets a say until it ends. */
  connect(host: string, port: number): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect({ host, port, noDelay: true });
      const { connectTimeoutMs } = this.#settings;
      const timer =
        connectTimeoutMs > 0 ? setTimeout(() => socket.destroy(), connectTimeoutMs) : undefined;
      socket.on('error', () => socket.destroy());
      socket.once('close', () => {
        clearTimeout(timer);
        this.#closed(socket);
        resolve(false);
      });
      socket.once('connect', () => {
        clearTimeout(timer);
        this.#opened(socket);
        resolve(true);
      });
    });
  }

  /** False when there is no connection or it broke. Waits for as long as the socket is full. */
  send(bytes: Buffer): Promise<boolean> {
    if (this.#settings.wedges) return this.#mutex.run(() => this.#send(bytes));
    const socket = this.#socket;
    if (socket === undefined || socket.writableLength > 1_000_000) return Promise.resolve(false);
    socket.write(bytes);
    return Promise.resolve(true);
  }

  close(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.destroy();
  }

  #opened(socket: Socket): void {
    const reader = new FrameReader();
    this.#socket = socket;
    this.#unackedAtMost = 0;
    socket.on('data', (chunk: Buffer) => {
      for (const payload of reader.push(chunk)) {
        const message = readMessage(payload);
        if (message !== undefined && this.#socket === socket) this.#events.onMessage(message);
      }
    });
    socket.once('end', () => this.#closed(socket));
  }

  #closed(socket: Socket): void {
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    socket.destroy();
    this.#events.onClose();
  }

  async #send(bytes: Buffer): Promise<boolean> {
    const socket = this.#socket;
    if (socket === undefined) return false;
    while (this.#isFull(socket, bytes.length)) {
      await new Promise((resolve) => setTimeout(resolve, lookMs));
      if (this.#socket !== socket) return false;
    }
    this.#unackedAtMost += bytes.length;
    return await new Promise((resolve) => {
      // Called once the kernel has taken every byte, or with the error that ended the socket.
      socket.write(bytes, (error) => resolve(error === undefined || error === null));
    });
  }

  #isFull(socket: Socket, bytes: number): boolean {
    const { sendBufferBytes } = this.#settings;
    if (sendBufferBytes === 0 || this.#unackedAtMost + bytes <= sendBufferBytes) return false;
    const queue = sendQueue(socket);
    this.#unackedAtMost = queue?.bytes ?? 0;
    const limit = queue?.isLost ? sendBufferBytes : this.#settings.hungBufferBytes;
    return this.#unackedAtMost > 0 && this.#unackedAtMost + bytes > limit;
  }
}

interface SendQueue {
  /** Written and not yet acknowledged (tx_queue). */
  readonly bytes: number;
  /** It is being sent again: the peer's host does not answer. A hung program's host does. */
  readonly isLost: boolean;
}

/** The kernel's view of `socket` in /proc/net/tcp; undefined where there is none. */
function sendQueue({
  localAddress = '',
  localPort = 0,
  remotePort = 0,
}: Socket): SendQueue | undefined {
  const hex = (port: number): string => port.toString(16).toUpperCase().padStart(4, '0');
  const ports = `:${hex(localPort)} \\w+:${hex(remotePort)}`;
  const pattern = new RegExp(`${ports} \\w\\w (\\w+):\\w+ \\w+:\\w+ (\\w+)`);
  try {
    const table = readFileSync(isIPv6(localAddress) ? '/proc/net/tcp6' : '/proc/net/tcp', 'latin1');
    const [, bytes, again = '0'] = pattern.exec(table) ?? [];
    if (bytes === undefined) return undefined;
    return { bytes: Number.parseInt(bytes, 16), isLost: Number.parseInt(again, 16) > 0 };
  } catch {
    return undefined; // not Linux: the kernel's own limit holds
  }
}

/** First come, first served. */
class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  run<Result>(task: () => Promise<Result>): Promise<Result> {
    const turn = this.#last.then(task);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}
