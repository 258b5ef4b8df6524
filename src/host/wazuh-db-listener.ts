/**
 * Any `WazuhDb` on sockets as wazuh-db has them, so that the programs around it need not know.
 * Takes no socket that somebody listens on. Bounded: connections, the length of a command and of
 * a body, one answer at a time for each connection.
 */
import { chmodSync, chownSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { encodeWdbAnswer, WdbFrames } from '../cluster/store/text-codec.ts';
import type { WazuhDb, WdbAnswer } from '../cluster/store/wazuh-db.ts';
import { HostError } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';
import { wazuhDbPaths } from '../wazuh/wazuh-db.ts';

export interface WazuhDbSite {
  readonly home: string;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
}

export interface ServedDb {
  close(): Promise<void>;
}

const mostConnections = 64;
const mostBodyBytes = 128 * 1024 * 1024;
const requestMs = 120_000;
const mostWaitingTexts = 64;

/** Throws HostError `listen_failed` when somebody listens there already. */
export async function listenWazuhDb(db: WazuhDb, site: WazuhDbSite): Promise<ServedDb> {
  const stop = new AbortController();
  const sockets = new Set<Socket>();
  const text = createServer((socket) => void serveText(socket, db, stop.signal));
  const http = createHttpServer((asked, answer) => void serveHttp(asked, answer, db, stop.signal));
  http.requestTimeout = requestMs;
  // Some httpx clients send a part of a large body twice: what came first is answered all the same.
  const answering = new Set<unknown>();
  http.prependListener('request', ({ socket }, answer) => {
    answering.add(socket);
    answer.once('close', () => answering.delete(socket));
  });
  http.on('clientError', (_error, socket) => {
    if (!answering.has(socket)) socket.destroy();
  });
  for (const server of [text, http]) {
    server.maxConnections = mostConnections;
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => sockets.delete(socket));
    });
  }
  await listenAt(text, join(site.home, wazuhDbPaths.text), site);
  await listenAt(http, join(site.home, wazuhDbPaths.http), site);
  return {
    async close() {
      stop.abort(new HostError('database_failed', 'the database is closed'));
      for (const socket of sockets) socket.destroy();
      await Promise.all([text, http].map((server) => new Promise((done) => server.close(done))));
    },
  };
}

async function listenAt(server: Server, path: string, { owner }: WazuhDbSite): Promise<void> {
  if (existsSync(path)) {
    if (await isAnswered(path)) throw new HostError('listen_failed', `${path}: in use by another`);
    rmSync(path, { force: true });
  }
  mkdirSync(dirname(path), { recursive: true, mode: 0o770 });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(new HostError('listen_failed', `${path}: ${messageOf(error)}`, { cause: error })),
    );
    server.listen(path, resolve);
  });
  chmodSync(path, 0o660);
  if (owner !== undefined) chownSync(path, owner.uid, owner.gid);
}

/**
 * Whether a socket is somebody's: only one that nobody listens on refuses. Who is too busy to take
 * a connection, or lets only others in, is there.
 */
export function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('error', (error) =>
      resolve(!['ENOENT', 'ECONNREFUSED'].includes(systemCodeOf(error) ?? '')),
    );
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

async function serveText(socket: Socket, db: WazuhDb, signal: AbortSignal): Promise<void> {
  const frames = new WdbFrames();
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      const texts = frames.push(chunk);
      if (texts.length > mostWaitingTexts) return;
      for (const text of texts) await answerText(socket, text, db, signal);
    }
  } catch {
    // A length beyond the protocol, or a peer that is gone: nobody is left to tell.
  } finally {
    socket.destroy();
  }
}

async function answerText(
  socket: Socket,
  text: string,
  db: WazuhDb,
  signal: AbortSignal,
): Promise<void> {
  const answer = await db
    .query(text, signal)
    .catch((error: unknown): WdbAnswer => ({ status: 'err', payload: messageOf(error) }));
  if (!socket.write(encodeWdbAnswer(answer))) {
    await new Promise((resolve) => socket.once('drain', resolve).once('close', resolve));
  }
}

async function serveHttp(
  asked: IncomingMessage,
  answer: ServerResponse,
  db: WazuhDb,
  signal: AbortSignal,
): Promise<void> {
  try {
    const body = await readBody(asked);
    const { method = '', url = '' } = asked;
    if (body === undefined) return void answer.writeHead(413).end();
    if (method !== 'GET' && method !== 'POST') return void answer.writeHead(404).end();
    const { status, body: bytes } = await db.http({ method, path: url, body }, signal);
    answer.writeHead(status, {
      'Content-Type': 'application/json',
      'Content-Length': bytes.length,
    });
    answer.end(bytes);
  } catch {
    answer.destroy();
  }
}

/** Undefined: longer than allowed. */
async function readBody(asked: IncomingMessage): Promise<Buffer | undefined> {
  if (Number(asked.headers['content-length'] ?? 0) > mostBodyBytes) return undefined;
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of asked as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > mostBodyBytes) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts);
}
