/**
 * The publisher's socket: TLS 1.3, HTTP/1.1, and every limit against slow and greedy clients that
 * can be set below the routes (trust-and-safety 6.4, 6.5). Connections over a cap are closed
 * before a byte of TLS is spent on them.
 */
import type { RequestListener, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Clock } from '../clock.ts';
import { HostError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import type { Log } from '../log.ts';
import type { ConnectionLedger } from '../publisher/connection-ledger.ts';
import type { ListeningFront } from '../publisher/daemon.ts';
import type { KeyedCertificate } from '../publisher/server-identity.ts';

export interface FrontOptions {
  readonly ledger: ConnectionLedger;
  readonly clock: Clock;
  readonly log: Log;
  readonly certificate: KeyedCertificate;
  readonly authorityPem: string;
  readonly timeouts?: Partial<FrontTimeouts>;
  readonly maxRequestsPerSocket: number;
  /** Told of every connection that is refused, by the verdict of the ledger. */
  onRefusal?(verdict: string): void;
}

export interface FrontTimeouts {
  readonly headersMs: number;
  readonly requestMs: number;
  readonly handshakeMs: number;
  readonly checkEveryMs: number;
  readonly keepAliveMs: number;
}

const defaultTimeouts: FrontTimeouts = {
  headersMs: 5_000,
  requestMs: 8_000,
  handshakeMs: 5_000,
  checkEveryMs: 1_000,
  keepAliveMs: 5_000,
};
const maxHeaderBytes = 4 * 1024;
/** One more than is allowed: the routes refuse what reaches it. */
const headersCounted = 33;
const backlog = 511;
const closeGraceMs = 2_000;
/** A connection whose address is known is not looked up again so soon. */
const knownForMs = 10_000;

/** A server for `handler`; it listens when told to. */
export function buildHttpsFront(handler: RequestListener, options: FrontOptions): ListeningFront {
  const timeouts = { ...defaultTimeouts, ...options.timeouts };
  const server = createServer(
    {
      ...secureContext(options.certificate, options.authorityPem),
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: timeouts.handshakeMs,
      headersTimeout: timeouts.headersMs,
      requestTimeout: timeouts.requestMs,
      connectionsCheckingInterval: timeouts.checkEveryMs,
      keepAliveTimeout: timeouts.keepAliveMs,
      keepAliveTimeoutBuffer: 0,
      maxHeaderSize: maxHeaderBytes,
      noDelay: true,
      // Nobody reads a body where none was announced: no stream is ended for it.
      optimizeEmptyRequests: true,
    },
    noteServed(handler, options),
  );
  server.maxHeadersCount = headersCounted;
  server.maxRequestsPerSocket = options.maxRequestsPerSocket;
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  admitConnections(server, options);
  return {
    server,
    listen: (host, port) => listen(server, host, port),
    setCertificate: (certificate) =>
      server.setSecureContext(secureContext(certificate, options.authorityPem)),
    close: () => close(server, options.clock),
  };
}

/** A good answer makes its address known; who is known already costs one look a while. */
function noteServed(handler: RequestListener, { ledger, clock }: FrontOptions): RequestListener {
  const lookAgainAtMs = new WeakMap<Socket, number>();
  const look = (socket: Socket, response: ServerResponse, nowMs: number): void => {
    const ip = socket.remoteAddress ?? '';
    if (ledger.isKnown(ip, nowMs)) return void lookAgainAtMs.set(socket, nowMs + knownForMs);
    response.once('finish', () => {
      if (response.statusCode < 400) ledger.noteServed(ip, clock.monotonicMs());
    });
  };
  return (request, response) => {
    const { socket } = request;
    const nowMs = clock.monotonicMs();
    if (nowMs >= (lookAgainAtMs.get(socket) ?? 0)) look(socket, response, nowMs);
    handler(request, response);
  };
}

function secureContext(certificate: KeyedCertificate, authorityPem: string) {
  return {
    // The authority goes with the chain, so that a client that pins its key can verify it.
    cert: `${certificate.certificatePem}${authorityPem}`,
    key: certificate.keyPem,
    minVersion: 'TLSv1.3' as const,
  };
}

/** The TLS layer sees a connection only after the ledger has admitted it. */
function admitConnections(server: Server, options: FrontOptions): void {
  const { ledger, clock, log } = options;
  const startTls = server.listeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    const ip = socket.remoteAddress;
    if (ip === undefined) return void socket.destroy();
    const verdict = ledger.open(ip, clock.monotonicMs());
    if (verdict !== 'admitted') {
      log.debug('connection.refused', { ip, why: verdict });
      options.onRefusal?.(verdict);
      return void socket.resetAndDestroy();
    }
    socket.once('close', () => ledger.close(ip));
    for (const start of startTls) start.call(server, socket);
    return undefined;
  });
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      const seen = `${host}:${port}: ${messageOf(error)}`;
      reject(new HostError('listen_failed', seen, { cause: error }));
    };
    server.once('error', onError);
    server.listen({ host, port, backlog }, () => {
      server.off('error', onError);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

/** Answers under way get a moment, then every connection ends. */
function close(server: Server, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(closeGraceMs, () => server.closeAllConnections());
    server.close(() => {
      cancel();
      resolve();
    });
    server.closeIdleConnections();
  });
}
