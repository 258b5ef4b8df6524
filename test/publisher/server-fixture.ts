/** The real server on loopback, and clients that behave as badly as a test needs. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';
import { buildCertificateMaker } from '../../src/host/certificate-maker.ts';
import { buildHttpsFront, type FrontTimeouts } from '../../src/host/https-front.ts';
import { systemClock, systemRandom } from '../../src/host/system-clock.ts';
import { silentLog } from '../../src/log.ts';
import {
  buildConnectionLedger,
  type ConnectionLimits,
} from '../../src/publisher/connection-ledger.ts';
import type { ListeningFront } from '../../src/publisher/daemon.ts';
import { buildListService, type ListService } from '../../src/publisher/list-service.ts';
import { buildRoutes } from '../../src/publisher/routes.ts';
import { listKey } from './fixture.ts';

const maker = buildCertificateMaker(systemClock, systemRandom);
const authority = maker.makeAuthority({ org: 'acme', validDays: 30 });
/** One more under the same authority. */
export function newCertificate() {
  return maker.makeServer({ authority, hosts: ['127.0.0.1'], validDays: 30 });
}

const certificate = newCertificate();

export const looseLimits: ConnectionLimits = {
  maxConnections: 1_000,
  maxConnectionsPerIp: 500,
  maxConnectionsPerNetwork: 1_000,
  maxHandshakesPerSecond: 1_000,
  maxLongPolls: 1_000,
  maxLongPollsPerIp: 1_000,
};

export interface ServerOptions {
  readonly limits?: Partial<ConnectionLimits>;
  readonly timeouts?: Partial<FrontTimeouts>;
  readonly maxReceiptsPerSecond?: number;
  readonly lagMs?: () => number;
  readonly roots?: Readonly<Record<number, Uint8Array>>;
}

export class TestServer {
  readonly service: ListService;
  readonly front: ListeningFront;
  readonly port: number;

  constructor(parts: { service: ListService; front: ListeningFront; port: number }) {
    this.service = parts.service;
    this.front = parts.front;
    this.port = parts.port;
  }

  /** One request on a connection of its own, with full verification of the certificate. */
  async get(path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET') {
    return this.send(path, { headers, method, agent: new Agent({ keepAlive: false }) });
  }

  async send(path: string, options: Readonly<Record<string, unknown>>) {
    const sent = request({
      host: '127.0.0.1',
      port: this.port,
      path,
      ca: authority.certificatePem,
      ...options,
    });
    sent.end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const parts: Buffer[] = [];
    for await (const part of response) parts.push(part as Buffer);
    const body = Buffer.concat(parts);
    return { status: response.statusCode, headers: response.headers, body };
  }

  /** A TLS connection on which a test says what it likes. */
  async dial(options: Readonly<Record<string, unknown>> = {}): Promise<TLSSocket> {
    const socket = tlsConnect({
      host: '127.0.0.1',
      port: this.port,
      ca: authority.certificatePem,
      ...options,
    });
    await once(socket, 'secureConnect');
    socket.on('error', () => undefined);
    return socket;
  }
}

export async function startServer(t: TestContext, options: ServerOptions = {}) {
  const ledger = buildConnectionLedger({ ...looseLimits, ...options.limits });
  const lagMs = options.lagMs ?? ((): number => 0);
  const service = buildListService({
    clock: systemClock,
    listKey,
    ledger,
    maxReceiptsPerSecond: options.maxReceiptsPerSecond ?? 1_000,
    isBusy: () => lagMs() > 100,
  });
  let front: ListeningFront | undefined;
  const app = buildRoutes(
    {
      service,
      rootEnvelope: (version) => options.roots?.[version],
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      lagMs,
    },
    (handler) => {
      front = buildHttpsFront(handler, {
        ledger,
        clock: systemClock,
        log: silentLog,
        certificate,
        authorityPem: authority.certificatePem,
        maxRequestsPerSocket: 20,
        ...(options.timeouts === undefined ? {} : { timeouts: options.timeouts }),
      });
      return front.server;
    },
  );
  await app.ready();
  if (front === undefined) throw new Error('no server was made');
  const made = front;
  const port = await made.listen('127.0.0.1', 0);
  t.after(async () => {
    service.stop();
    made.server.closeAllConnections();
    await made.close();
  });
  return { server: new TestServer({ service, front: made, port }), ledger };
}

/** Resolves when the socket is gone, by whichever end. */
export function gone(socket: Socket): Promise<void> {
  socket.on('error', () => undefined);
  socket.resume();
  return new Promise((resolve) => socket.once('close', () => resolve()));
}
