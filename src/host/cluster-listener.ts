/** The master's listening socket. */

import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import type { Listening, ListenRequest } from '../cluster/master/master.ts';
import { HostError } from '../errors.ts';
import { messageOf } from '../guards.ts';

/** Throws `HostError` `listen_failed`. */
export function listenCluster({ host, port, onSocket }: ListenRequest): Promise<Listening> {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy()); // until a link takes it over
    onSocket(socket);
  });
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const text = `Could not start master: ${host}:${port}: ${messageOf(cause)}`;
      reject(new HostError('listen_failed', text, { cause }));
    });
    server.listen(port, host, () => {
      server.removeAllListeners('error').on('error', () => undefined);
      const { address, port: real } = server.address() as AddressInfo;
      const close = (): Promise<void> =>
        new Promise((closed) => {
          server.close(() => closed());
        });
      resolve({ host: address, port: real, close: () => Promise.race([close(), closeSoon()]) });
    });
  });
}

/** `close` waits for open sockets, which are the links' business. */
function closeSoon(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
