/**
 * A local socket (0600, in the publisher's own directory) on which the commands tell the running
 * publisher that the history has changed. It carries no content: a lost message is found within
 * a second by looking at the file.
 */
import { chmod, unlink } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { type Clock, deadline } from '../clock.ts';
import { messageOf } from '../guards.ts';
import type { Log } from '../log.ts';
import type { ChangeNotices } from '../publisher/daemon.ts';

const word = 'changed\n';
const maxLineBytes = 64;
const maxConnections = 16;
const idleMs = 2_000;

export function buildChangeSocket(path: string, log: Log): ChangeNotices {
  return {
    async listen(onChange) {
      const server = createServer((socket) => answer(socket, onChange));
      server.maxConnections = maxConnections;
      await unlink(path).catch(() => undefined); // left by a kill; the lock says that nobody lives
      const isListening = await new Promise<boolean>((resolve) => {
        server.once('error', (error) => {
          log.warn('notices.unavailable', { path, message: messageOf(error) });
          resolve(false);
        });
        server.listen(path, () => resolve(true));
      });
      if (!isListening) return async () => undefined;
      await chmod(path, 0o600);
      return () => new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function answer(socket: Socket, onChange: () => Promise<string>): void {
  let received = '';
  socket.setTimeout(idleMs, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.setEncoding('latin1').on('data', (text) => {
    received += String(text);
    if (received === word) {
      onChange().then(
        (said) => socket.end(`${said}\n`),
        () => socket.destroy(),
      );
    } else if (received.length > maxLineBytes || !word.startsWith(received)) socket.destroy();
  });
}

/** What the running publisher says back; undefined when none runs (or none answers in time). */
export async function announceChange(path: string, clock: Clock): Promise<string | undefined> {
  const limit = deadline(clock, idleMs);
  const socket = connect({ path });
  try {
    return await new Promise<string | undefined>((resolve, reject) => {
      let received = '';
      limit.signal.addEventListener('abort', () => resolve(undefined), { once: true });
      socket.on('error', reject);
      socket.on('connect', () => socket.write(word));
      socket.setEncoding('latin1').on('data', (text) => {
        received = (received + String(text)).slice(0, maxLineBytes);
      });
      socket.on('close', () => resolve(received === '' ? undefined : received.trim()));
    });
  } catch {
    return undefined; // nobody listens; the history is found by looking at it
  } finally {
    limit.cancel();
    socket.destroy();
  }
}
