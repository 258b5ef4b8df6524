/**
 * The zone's sockets: UDP and TCP on one port. Bounded: answers per network and second, connections,
 * questions on one connection, bytes and time for each; nothing waits for a slow client.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, isIPv6, type Server, type Socket } from 'node:net';
import { HostError } from '../errors.ts';
import { messageOf } from '../guards.ts';

export interface DnsService {
  /** The messages of one answer, in order; empty: none. */
  answer(bytes: Uint8Array, client: string, transport: 'udp' | 'tcp'): readonly Buffer[];
}

export interface DnsListener {
  readonly port: number;
  close(): Promise<void>;
}

const limits = {
  maxConnections: 128,
  maxPerAddress: 16,
  idleMs: 5_000,
  maxQuestions: 64,
  maxQuestionBytes: 4_096,
  maxWaitingBytes: 1024 * 1024,
} as const;

/** Throws HostError `listen_failed`. Port 0 takes a free one for both. */
export async function listenDns(
  address: string,
  port: number,
  service: DnsService,
): Promise<DnsListener> {
  const sockets = new Set<Socket>();
  const tcp = createServer((socket) => serveStream(socket, service, sockets));
  tcp.maxConnections = limits.maxConnections;
  const bound = await bindTcp(tcp, address, port);
  const udp = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  try {
    await bindUdp(udp, address, bound);
  } catch (error) {
    tcp.close();
    throw error;
  }
  udp.on('error', () => undefined); // an unreachable client concerns nobody else
  udp.on('message', (bytes, from) => {
    for (const message of service.answer(bytes, clientOf(from.address), 'udp').slice(0, 1)) {
      udp.send(message, from.port, from.address, () => undefined);
    }
  });
  return {
    port: bound,
    async close() {
      udp.close();
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => tcp.close(resolve));
    },
  };
}

/** On `::` IPv4 clients come in another spelling, by which no view and no limit would know them. */
function clientOf(address: string): string {
  return address.replace(/^::ffff:/, '');
}

function bindTcp(server: Server, address: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(cannotListen(address, port, error)));
    server.listen(port, address, () => {
      server.removeAllListeners('error');
      server.on('error', () => undefined); // a failed accept concerns one client only
      const at = server.address();
      resolve(at === null || typeof at === 'string' ? port : at.port);
    });
  });
}

function bindUdp(socket: UdpSocket, address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', (error) => {
      socket.close();
      reject(cannotListen(address, port, error));
    });
    socket.bind(port, address, () => {
      socket.removeAllListeners('error');
      resolve();
    });
  });
}

function cannotListen(address: string, port: number, error: unknown): HostError {
  return new HostError('listen_failed', `zone on ${address}:${port}: ${messageOf(error)}`);
}

/** RFC 7766: questions one after another on a connection, each with two bytes of length. */
function serveStream(socket: Socket, service: DnsService, sockets: Set<Socket>): void {
  const client = clientOf(socket.remoteAddress ?? '');
  const same = [...sockets].filter((one) => one.remoteAddress === socket.remoteAddress);
  if (same.length >= limits.maxPerAddress) {
    socket.destroy();
    return;
  }
  sockets.add(socket);
  let received = Buffer.alloc(0);
  let questions = 0;
  socket.setTimeout(limits.idleMs, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.on('close', () => sockets.delete(socket));
  const answerNext = (): boolean => {
    const length = received.length < 2 ? Number.POSITIVE_INFINITY : received.readUInt16BE(0);
    if (received.length < 2 + length) return false;
    questions += 1;
    for (const message of service.answer(received.subarray(2, 2 + length), client, 'tcp')) {
      socket.write(framed(message));
    }
    received = received.subarray(2 + length);
    return true;
  };
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    while (questions <= limits.maxQuestions && answerNext());
    const isGreedy =
      questions > limits.maxQuestions ||
      received.length > limits.maxQuestionBytes ||
      socket.writableLength > limits.maxWaitingBytes;
    if (isGreedy) socket.destroy();
  });
}

function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}
