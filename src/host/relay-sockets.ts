/** The relay's network on this host's sockets. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { HostError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import { deaf } from '../relay/dial.ts';
import { isLoopback } from '../relay/loopback.ts';
import type {
  Connection,
  ConnectionEvents,
  ListenAddress,
  Listening,
  ListenPlace,
  RelayManager,
  RelayNetwork,
  SendQueue,
} from '../relay/ports.ts';
import { bindDatagrams, dialDatagrams } from './relay-datagrams.ts';
import { readSendQueue } from './send-queue.ts';

/** A peer that vanished without a word and with nothing under way is noticed after about 4 s. */
const keepAlive = { enable: true, initialDelay: 2_000, interval: 1_000, count: 2 };
/** Waiting in the kernel for our accept; more are refused there. */
const backlog = 32;

export const relayNetwork: RelayNetwork = { listen, dial, bind: bindDatagrams, dialDatagrams };

async function listen(
  place: ListenPlace,
  accept: (connection: Connection) => void,
): Promise<Listening> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
  server.on('connection', (socket: Socket) => accept(new SocketConnection(socket)));
  const at = await listening(server, place);
  return { ...at, close: () => closed(server) };
}

function listening(server: Server, place: ListenPlace): Promise<ListenAddress> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      server.close();
      reject(new HostError('listen_failed', `the relay cannot listen: ${why}`));
    };
    if (place.kind === 'address' && !isLoopback(place.address)) {
      return fail(`${place.address} is no loopback address`);
    }
    server.once('error', (error) => fail(messageOf(error)));
    server.listen(listenOptions(place), () => {
      server.removeAllListeners('error');
      server.on('error', () => undefined); // a failed accept concerns one connection only
      const at = server.address();
      if (typeof at !== 'object' || at === null) return fail('not an internet socket');
      if (!isLoopback(at.address)) return fail(`${at.address} is no loopback address`);
      const expected = place.kind === 'inherited' ? place.expected : undefined;
      if (expected !== undefined && !isSamePlace(at, expected)) {
        const named = `${expected.address}:${expected.port}`;
        return fail(`the inherited socket is ${at.address}:${at.port}, configured is ${named}`);
      }
      resolve({ address: at.address, port: at.port });
    });
  });
}

function isSamePlace(left: ListenAddress, right: ListenAddress): boolean {
  return left.port === right.port && left.address === right.address;
}

function listenOptions(place: ListenPlace) {
  if (place.kind === 'inherited') return { fd: place.fd, backlog };
  return { host: place.address, port: place.port, backlog, exclusive: true };
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

function dial({ address, port }: RelayManager, signal: AbortSignal): Promise<Connection> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const socket = connect({ host: address, port, allowHalfOpen: true, noDelay: true });
    const fail = (why: unknown): void => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      reject(why);
    };
    const onAbort = (): void => fail(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', fail);
    socket.once('connect', () => {
      signal.removeEventListener('abort', onAbort);
      socket.pause();
      socket.off('error', fail);
      socket.setKeepAlive(keepAlive);
      resolve(new SocketConnection(socket));
    });
  });
}

/**
 * A Node socket as the relay sees it. Errors become `closed(true)`; nothing is thrown. `write` asks
 * to hold back at Node's default of 64 KiB, and one read is 64 KiB at most: 128 KiB a direction.
 */
class SocketConnection implements Connection {
  readonly #socket: Socket;
  #events: ConnectionEvents = deaf;
  readonly peerAddress: string;
  readonly peerPort: number;

  /** `socket` is paused: the data listener must not start it. */
  constructor(socket: Socket) {
    this.#socket = socket;
    this.peerAddress = socket.remoteAddress ?? '';
    this.peerPort = socket.remotePort ?? 0;
    socket.on('data', (bytes: Buffer) => this.#events.bytes(bytes));
    socket.on('drain', () => this.#events.drained());
    socket.on('end', () => this.#events.ended());
    socket.on('error', () => undefined); // `close` follows and says so
    socket.on('close', (hadError: boolean) => this.#events.closed(hadError));
  }

  get waitingBytes(): number {
    return this.#socket.writableLength;
  }

  sendQueue(): SendQueue | undefined {
    const { localPort = 0, remotePort = 0, localFamily } = this.#socket;
    return readSendQueue({ localPort, remotePort, isIpv6: localFamily === 'IPv6' });
  }

  attach(events: ConnectionEvents): void {
    this.#events = events;
    if (this.#socket.closed) queueMicrotask(() => events.closed(true));
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  write(bytes: Uint8Array): boolean {
    return this.#socket.destroyed || this.#socket.write(bytes);
  }

  end(): void {
    if (!this.#socket.destroyed) this.#socket.end();
  }

  reset(): void {
    if (!this.#socket.destroyed) this.#socket.resetAndDestroy();
  }

  leave(): void {
    this.#socket.destroy();
  }
}
