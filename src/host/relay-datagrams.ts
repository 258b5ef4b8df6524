/** The UDP side of the relay's network. */
import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { HostError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import { isLoopback } from '../relay/loopback.ts';
import type { DatagramEvents, Datagrams, ListenAddress, RelayManager } from '../relay/ports.ts';

/** Datagrams kept while a manager's name is looked up; later ones are dropped, as networks do. */
const maxKept = 64;

/** The agent's side. Throws HostError `listen_failed`. */
export function bindDatagrams(
  at: ListenAddress,
  events: DatagramEvents,
): Promise<Datagrams & ListenAddress> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(at.address) ? 'udp6' : 'udp4');
    const fail = (why: string): void => {
      socket.close();
      reject(new HostError('listen_failed', `the relay cannot listen: ${why}`));
    };
    if (!isLoopback(at.address)) return fail(`${at.address} is no loopback address`);
    socket.once('error', (error) => fail(messageOf(error)));
    socket.bind({ address: at.address, port: at.port, exclusive: true }, () => {
      socket.removeAllListeners('error');
      socket.on('error', (error) => events.failed(error));
      socket.on('message', (bytes, from) => events.datagram(bytes, from));
      const { address, port } = socket.address();
      resolve({
        address,
        port,
        send: (datagram, to) => void (to && socket.send(datagram, to.port, to.address, ignore)),
        close: closer(socket),
      });
    });
  });
}

/** The manager's side: connected, so that it hears this manager only, and of a closed port. */
export function dialDatagrams(manager: RelayManager, events: DatagramEvents): Datagrams {
  const socket = createSocket(isIPv6(manager.address) ? 'udp6' : 'udp4');
  let kept: Uint8Array[] | undefined = [];
  socket.on('error', (error) => events.failed(error));
  socket.on('message', (bytes, from) => events.datagram(bytes, from));
  // Types say otherwise, but a name without an address comes here as an error.
  socket.connect(manager.port, manager.address, (error?: unknown) => {
    if (error !== undefined && error !== null) return events.failed(error);
    for (const datagram of kept ?? []) socket.send(datagram, ignore);
    kept = undefined;
  });
  return {
    send(datagram) {
      if (kept === undefined) socket.send(datagram, ignore);
      else if (kept.length < maxKept) kept.push(datagram);
    },
    close: closer(socket),
  };
}

/** A datagram that could not be sent is a lost datagram; a closed port also comes as `error`. */
const ignore = (): void => undefined;

function closer(socket: Socket): () => void {
  let isOpen = true;
  return () => {
    if (isOpen) socket.close();
    isOpen = false;
  };
}
