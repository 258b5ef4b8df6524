/**
 * What the Linux kernel still holds for the other side of a TCP connection, from `/proc/net/tcp`
 * (proc_net_tcp(5)): the queue, the retransmissions, the timer that runs. No other interface
 * that Node has shows that a manager vanished before the kernel gives up after 15 minutes.
 */
import { readFileSync } from 'node:fs';
import type { SendQueue } from '../relay/ports.ts';

export interface ConnectionPorts {
  readonly localPort: number;
  readonly remotePort: number;
  readonly isIpv6: boolean;
}

/** Undefined when the kernel has no such table or no such connection. */
export function readSendQueue(ports: ConnectionPorts): SendQueue | undefined {
  try {
    const table = readFileSync(ports.isIpv6 ? '/proc/net/tcp6' : '/proc/net/tcp', 'latin1');
    return parseSendQueue(table, ports);
  } catch {
    return undefined; // not Linux: stalls are then seen by the other signals only
  }
}

/** Of a process that may live in another network namespace than we do; undefined as above. */
export function readRetransmits(pid: number, localPort: number, remotePort: number) {
  for (const name of ['tcp', 'tcp6']) {
    try {
      const table = readFileSync(`/proc/${pid}/net/${name}`, 'latin1');
      const found = parseSendQueue(table, { localPort, remotePort, isIpv6: name === 'tcp6' });
      if (found !== undefined) return found.retransmits;
    } catch {
      return undefined;
    }
  }
  return undefined;
}

/** The zero-window probe timer runs: the other side's kernel has no room for more. */
const windowProbeTimer = '04';

export function parseSendQueue(
  table: string,
  { localPort, remotePort }: ConnectionPorts,
): SendQueue | undefined {
  const line = new RegExp(
    `:${hex(localPort)} [0-9A-F]+:${hex(remotePort)} 0[1-9] ([0-9A-F]{8}):[0-9A-F]{8} ([0-9A-F]{2}):[0-9A-F]{8} ([0-9A-F]{8}) `,
  ).exec(table);
  const [, queue = '', timer = '', retransmits = ''] = line ?? [];
  if (line === null) return undefined;
  const unackedBytes = Number.parseInt(queue, 16);
  return {
    unackedBytes,
    retransmits: unackedBytes > 0 ? Number.parseInt(retransmits, 16) : 0,
    isWindowClosed: timer === windowProbeTimer && unackedBytes > 0,
  };
}

function hex(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0');
}
