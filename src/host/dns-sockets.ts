/**
 * DNS over real sockets. Each datagram question has a socket of its own, on a random port of the
 * kernel's choice and connected, so that only the server's address and port reach it (RFC 5452 9).
 */
import { createSocket } from 'node:dgram';
import { connect as connectTcp, isIPv6, type Socket } from 'node:net';
import { connect as connectTls, rootCertificates } from 'node:tls';
import type { DnsTransport, Judgement } from '../dns/exchange.ts';
import { maxUdpBytes } from '../dns/query.ts';
import type { NameServer } from '../dns/servers.ts';

/** Datagrams that are not the answer; a flood of them must not keep us busy until the deadline. */
const maxIgnored = 64;

/** `authorities`: PEM certificates that vouch for servers asked over TLS, besides the system's own. */
export function buildDnsSockets(authorities: readonly string[] = []): DnsTransport {
  const ca = authorities.length === 0 ? undefined : [...rootCertificates, ...authorities];
  return {
    datagram,
    stream: (server, query, signal) => stream(open(server, ca), server, query, signal),
  };
}

function datagram(
  server: NameServer,
  query: Uint8Array,
  judge: (bytes: Uint8Array) => Judgement,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    const socket = createSocket({ type: isIPv6(plain(server.address)) ? 'udp6' : 'udp4' });
    let ignored = 0;
    const end = (settle: () => void): void => {
      signal.removeEventListener('abort', onAbort);
      socket.close();
      settle();
    };
    const onAbort = (): void => end(() => reject(signal.reason));
    socket.on('error', (error) => end(() => reject(error)));
    socket.on('message', (bytes) => {
      const judged = bytes.length > maxUdpBytes ? 'ignore' : judge(bytes);
      if (judged === 'accept') return end(() => resolve(bytes));
      ignored += 1;
      if (judged === 'stop') return end(() => resolve(undefined));
      if (ignored >= maxIgnored) end(() => reject(new Error('flooded with wrong answers')));
    });
    socket.on('connect', () => socket.send(query));
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) return onAbort();
    socket.connect(server.port, server.address);
  });
}

/** RFC 7766 and RFC 7858: two bytes of length, then the message, both ways. */
function stream(
  socket: Socket,
  server: NameServer,
  query: Uint8Array,
  signal: AbortSignal,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const end = (settle: () => void): void => {
      signal.removeEventListener('abort', onAbort);
      socket.removeAllListeners('close').destroy();
      settle();
    };
    const onAbort = (): void => end(() => reject(signal.reason));
    socket.on('error', (error) => end(() => reject(error)));
    socket.on('close', () => end(() => reject(new Error('closed before the whole answer'))));
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const whole = received.length >= 2 ? 2 + received.readUInt16BE(0) : Number.POSITIVE_INFINITY;
      if (received.length > whole) return end(() => reject(new Error('more than one answer')));
      if (received.length === whole) end(() => resolve(received.subarray(2)));
    });
    socket.on(server.transport === 'tls' ? 'secureConnect' : 'connect', () => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(query.length);
      socket.write(Buffer.concat([length, query]));
    });
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}

/** The certificate must be for the configured name, or for the address when there is none. */
function open(server: NameServer, ca: readonly string[] | undefined): Socket {
  const { address: host, port, transport, tlsName } = server;
  if (transport === 'udp') return connectTcp({ host, port });
  const name = tlsName === undefined ? {} : { servername: tlsName };
  const trust = ca === undefined ? {} : { ca: [...ca] };
  return connectTls({
    ...{ host, port, minVersion: 'TLSv1.2', ALPNProtocols: ['dot'] },
    ...name,
    ...trust,
  });
}

function plain(address: string): string {
  return address.replace(/%.*$/, '');
}
