/**
 * `queue/cluster/c-internal.sock` of a manager's home: dialling it, and listening there as stock
 * does (mode 0660). A socket that somebody still answers on is never taken away from him.
 */
import { chmodSync, chownSync, lstatSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { HostError } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';

const dialMs = 5_000;

export function localSocketPath(home: string): string {
  return join(home, 'queue', 'cluster', 'c-internal.sock');
}

/** Rejects with a system error, after five seconds, or with the signal's reason. */
export function dialUnix(clock: Clock, path: string, signal?: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const socket = connect(path);
    const settle = (): void => {
      cancel();
      signal?.removeEventListener('abort', onAbort);
      socket.removeAllListeners();
    };
    const end = (error: unknown): void => {
      settle();
      socket.on('error', () => undefined).destroy();
      reject(error);
    };
    const onAbort = (): void => end(signal?.reason);
    const cancel = clock.after(dialMs, () =>
      end(new Error(`no connection to ${path} within ${dialMs} ms`)),
    );
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('error', end);
    socket.once('connect', () => {
      settle();
      resolve(socket);
    });
  });
}

export interface UnixListening {
  readonly path: string;
  /** Takes no more sockets and removes the path; open ones stay. */
  close(): void;
}

/** Throws `HostError` `listen_failed`: somebody answers there, or the path cannot be made. */
export async function listenUnix(
  clock: Clock,
  path: string,
  onSocket: (socket: Socket) => void,
  owner?: { readonly uid: number; readonly gid: number },
): Promise<UnixListening> {
  await removeStale(clock, path);
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy()); // until a link takes it over
    onSocket(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(failed(path, cause)));
    server.listen(path, resolve);
  });
  server.removeAllListeners('error').on('error', () => undefined);
  chmodSync(path, 0o660);
  if (owner !== undefined) chownSync(path, owner.uid, owner.gid);
  return { path, close: () => void server.close() };
}

async function removeStale(clock: Clock, path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) throw failed(path, new Error('something that is no socket lies there'));
  const answers = await dialUnix(clock, path).then(
    (socket) => {
      socket.destroy();
      return true;
    },
    (error: unknown) => systemCodeOf(error) !== 'ECONNREFUSED',
  );
  if (answers) throw failed(path, new Error('another cluster node answers there'));
  rmSync(path, { force: true });
}

function failed(path: string, cause: unknown): HostError {
  const text = `Could not create server: ${path}: ${messageOf(cause)}`;
  return new HostError('listen_failed', text, { cause });
}
