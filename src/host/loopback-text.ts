/**
 * One small text over HTTP, on loopback alone: for a collector on this host. No path but its own, no
 * body, few connections, each short; nobody on the network ever reaches it.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { HostError } from '../errors.ts';
import { messageOf } from '../guards.ts';

export interface TextPlace {
  readonly port: number;
  readonly path: string;
  readonly contentType: string;
  /** Undefined: there is none yet. */
  read(): Promise<string | undefined>;
}

const maxConnections = 8;
const limitMs = 2_000;
const maxHeaderBytes = 4 * 1024;

/** Throws HostError `listen_failed`. */
export async function serveOnLoopback(
  place: TextPlace,
): Promise<{ readonly port: number; close(): Promise<void> }> {
  const server = createServer(
    {
      headersTimeout: limitMs,
      requestTimeout: limitMs,
      connectionsCheckingInterval: limitMs / 2,
      keepAliveTimeout: limitMs,
      maxHeaderSize: maxHeaderBytes,
    },
    (request, response) => void answer(place, request, response),
  );
  server.maxConnections = maxConnections;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const seen = `127.0.0.1:${place.port}: ${messageOf(error)}`;
      reject(new HostError('listen_failed', seen, { cause: error }));
    });
    server.listen({ host: '127.0.0.1', port: place.port }, resolve);
  });
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : place.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  { path, contentType, read }: TextPlace,
  { method, url }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.on('error', () => response.destroy());
  if (method !== 'GET' || url !== path) {
    response.writeHead(404, { connection: 'close' }).end();
    return;
  }
  const text = await read().catch(() => undefined);
  const status = text === undefined ? 503 : 200;
  response.writeHead(status, { 'content-type': contentType }).end(text ?? '');
}
