/** A worker's way to its master. */
import { connect, type Socket } from 'node:net';
import type { Clock } from '../clock.ts';

const connectMs = 10_000;

/** From `localAddress`, or any. Rejects with a system error, a timeout after ten seconds, or the signal's reason. */
export function dialCluster(
  clock: Clock,
  localAddress?: string,
): (host: string, port: number, signal: AbortSignal) => Promise<Socket> {
  return (host, port, signal) =>
    new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const socket = connect({ host, port, noDelay: true, ...(localAddress && { localAddress }) });
      const end = (error: unknown): void => {
        settle();
        socket.destroy();
        reject(error);
      };
      const onAbort = (): void => end(signal.reason);
      const cancel = clock.after(connectMs, () =>
        end(new Error(`no connection to ${host}:${port} within ${connectMs} ms`)),
      );
      const settle = (): void => {
        cancel();
        signal.removeEventListener('abort', onAbort);
        socket.removeAllListeners();
      };
      signal.addEventListener('abort', onAbort, { once: true });
      socket.once('error', end);
      socket.once('connect', () => {
        settle();
        resolve(socket);
      });
    });
}
