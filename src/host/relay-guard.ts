/** What this host says about the ports of the relay, and the sidecar's own hold on one of them. */
import { readFileSync } from 'node:fs';
import { connect, createServer, isIPv4, type Server } from 'node:net';
import { platform } from 'node:os';
import { type Clock, deadline } from '../clock.ts';
import { HostError } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';
import type { PortFacts, PortHolder } from '../relay/guard.ts';
import { isLoopback } from '../relay/loopback.ts';
import type { ListenAddress, Listening } from '../relay/ports.ts';

/**
 * Hold `at` while this process lives: every connection is reset at once, so that an enrollment
 * there fails in a millisecond. Throws HostError `listen_failed`: a guard that outlives us, or
 * somebody else, has it.
 */
export function holdPort(at: ListenAddress): Promise<Listening> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.resetAndDestroy();
  });
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      reject(new HostError('listen_failed', `cannot hold ${at.address}:${at.port}: ${why}`));
    };
    if (!isLoopback(at.address)) return fail('no loopback address');
    server.once('error', (error) => fail(messageOf(error)));
    server.listen({ host: at.address, port: at.port, exclusive: true }, () => {
      server.on('error', () => undefined); // a failed accept concerns one connection only
      resolve({ address: at.address, port: portOf(server), close: () => closed(server) });
    });
  });
}

/** Linux: the owner of the listening socket, from the kernel's table. Elsewhere `unknown`. */
export function readHolder(at: ListenAddress, heldByUs: boolean): PortHolder {
  if (heldByUs) return 'this_sidecar';
  const table = readTable(isIPv4(at.address) ? '/proc/net/tcp' : '/proc/net/tcp6');
  if (table === undefined || !isIPv4(at.address)) return 'unknown';
  const owners = listenersAt(table, at);
  if (owners.length === 0) return 'nobody';
  return owners.every((uid) => uid === 0) ? 'root' : 'another_user';
}

/** Owners of what listens at `at` or at every IPv4 address, by user id. */
function listenersAt(table: string, { address, port }: ListenAddress): readonly number[] {
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0');
  const hexAddress = address
    .split('.')
    .map((byte) => Number(byte).toString(16).toUpperCase().padStart(2, '0'))
    .reverse()
    .join('');
  return table.split('\n').flatMap((line) => {
    const [, local, , state, , , , uid] = line.trim().split(/\s+/);
    const isHere = local === `${hexAddress}:${hexPort}` || local === `00000000:${hexPort}`;
    return isHere && state === '0A' ? [Number(uid)] : [];
  });
}

/** Does what listens there close before `limitMs`, without a byte, as a guard does? */
export async function closesAtOnce(
  clock: Clock,
  at: ListenAddress,
  limitMs: number,
): Promise<boolean> {
  const limit = deadline(clock, limitMs);
  const socket = connect({ host: at.address, port: at.port });
  const answer = new Promise<boolean>((resolve) => {
    limit.signal.addEventListener('abort', () => resolve(false), { once: true });
    socket.once('data', () => resolve(false));
    socket.once('end', () => resolve(true));
    // A refused connect means that nobody holds the port; a reset one that a guard does.
    socket.once('error', (error) => resolve(systemCodeOf(error) === 'ECONNRESET'));
  });
  return answer.finally(() => {
    limit.cancel();
    socket.destroy();
  });
}

const netBindService = 10n;

/** Which ports a user of this host may bind, and whether this process may bind the others. */
export function readPortFacts(): PortFacts {
  if (platform() === 'win32') return { unprivilegedFrom: 0, mayBindPrivileged: false };
  const isRoot = process.geteuid?.() === 0;
  if (platform() !== 'linux') return { unprivilegedFrom: 1024, mayBindPrivileged: isRoot };
  const start = Number(readTable('/proc/sys/net/ipv4/ip_unprivileged_port_start') ?? '1024');
  const capabilities = /^CapEff:\s*([0-9a-f]+)/m.exec(readTable('/proc/self/status') ?? '')?.[1];
  const held = BigInt(`0x${capabilities ?? '0'}`);
  return { unprivilegedFrom: start, mayBindPrivileged: ((held >> netBindService) & 1n) === 1n };
}

function readTable(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined; // not this platform: the caller has a word for that
  }
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
