/**
 * A local socket (0600, in the publisher's own directory) on which the commands tell the running
 * publisher that the history has changed, and ask it how it is. What is told carries no content: a
 * lost message is found within a second by looking at the file.
 */
import { chmod, unlink } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type Clock, deadline } from '../clock.ts';
import { messageOf } from '../guards.ts';
import type { Log } from '../log.ts';
import type { ChangeNotices, NoticeHandlers } from '../publisher/daemon.ts';

type Word = keyof NoticeHandlers;

const words: readonly Word[] = ['changed', 'status'];
const maxWordBytes = 8;
const maxSaidBytes = 1024 * 1024;
const maxConnections = 16;
const idleMs = 2_000;

/** Never rejects: a publisher without it is slower by a second. */
export function buildChangeSocket(path: string, log: Log): ChangeNotices {
  return {
    async listen(handlers) {
      const server = createServer((socket) => answer(socket, handlers));
      server.maxConnections = maxConnections;
      const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
      try {
        await openPrivate(server, path);
        return close;
      } catch (error) {
        log.warn('notices.unavailable', { path, message: messageOf(error) });
        await close();
        return async () => undefined;
      }
    },
  };
}

async function openPrivate(server: Server, path: string): Promise<void> {
  await unlink(path).catch(() => undefined); // left by a kill; the lock says that nobody lives
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  server.removeAllListeners('error').on('error', () => undefined); // of one connection only
  await chmod(path, 0o600);
}

function answer(socket: Socket, handlers: NoticeHandlers): void {
  let received = '';
  socket.setTimeout(idleMs, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.setEncoding('latin1').on('data', (text) => {
    received += String(text);
    const word = words.find((one) => received === `${one}\n`);
    if (word !== undefined) {
      handlers[word]().then(
        (said) => socket.end(`${said}\n`),
        () => socket.destroy(),
      );
    } else if (received.length > maxWordBytes) socket.destroy();
  });
}

/** What the running publisher says back; empty when it says nothing in time, undefined: none runs. */
export async function tellPublisher(
  path: string,
  word: Word,
  clock: Clock,
): Promise<string | undefined> {
  const limit = deadline(clock, idleMs);
  const socket = connect({ path });
  try {
    return await new Promise<string | undefined>((resolve) => {
      let said: string | undefined; // nobody listens; the history is found by looking at it
      const end = (): void => resolve(said?.trim());
      limit.signal.addEventListener('abort', end, { once: true });
      socket.on('error', end).on('close', end);
      socket.on('connect', () => {
        said = '';
        socket.write(`${word}\n`);
      });
      socket.setEncoding('utf8').on('data', (text) => {
        said = `${said ?? ''}${text}`;
        if (said.length > maxSaidBytes) socket.destroy();
      });
    });
  } finally {
    limit.cancel();
    socket.destroy();
  }
}
