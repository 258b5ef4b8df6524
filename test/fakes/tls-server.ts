/** A TLS server on loopback that answers with whatever bytes a test says; certificates in fixtures/tls. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { spkiPin } from '../../src/host/pinned-tls.ts';

const folder = fileURLToPath(new URL('../fixtures/tls/', import.meta.url));
export type CertificateName = 'publisher' | 'elsewhere' | 'expired' | 'rogue' | 'forged';

/** The pin of the authority that signed `publisher`, `elsewhere` and `expired`. */
export const caPin = spkiPin(new X509Certificate(readFileSync(`${folder}test-ca.crt`)));

export function leafPin(name: CertificateName): string {
  return spkiPin(new X509Certificate(readFileSync(`${folder}${name}.chain.crt`)));
}

export interface TlsServer {
  readonly port: number;
  /** Requests received so far, heads only. */
  readonly requests: readonly string[];
  stop(): Promise<void>;
}

export interface TlsServerOptions {
  readonly certificate?: CertificateName;
  readonly maxVersion?: 'TLSv1.2' | 'TLSv1.3';
}

/** `answer` gets each socket with the request's head. */
export async function startTlsServer(
  answer: (socket: TLSSocket, head: string) => void,
  { certificate = 'publisher', maxVersion = 'TLSv1.3' }: TlsServerOptions = {},
): Promise<TlsServer> {
  const sockets = new Set<TLSSocket>();
  const requests: string[] = [];
  const server = createServer({
    key: readFileSync(`${folder}${certificate}.key`),
    cert: readFileSync(`${folder}${certificate}.chain.crt`),
    maxVersion,
  });
  server.on('tlsClientError', () => undefined);
  server.on('secureConnection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', (bytes) => {
      requests.push(bytes.toString('latin1'));
      answer(socket, bytes.toString('latin1'));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return {
    port: address.port,
    requests,
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A whole HTTP answer. */
export function httpAnswer(status: string, headers: readonly string[], body: string): string {
  const head = [`HTTP/1.1 ${status}`, ...headers, `content-length: ${Buffer.byteLength(body)}`];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}
