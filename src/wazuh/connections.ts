/**
 * Established TCP connections as the three systems print them. The kernel's table is the only
 * version-independent truth about which manager the agent talks to (agent-side.md 3.2).
 */
import type { AgentPeer } from './agent-facts.ts';

export interface ProcTcpLine extends AgentPeer {
  /** Owner of the socket. */
  readonly uid: number;
  readonly inode: string;
}

const established = '01';

/** Established lines of `/proc/net/tcp` or `/proc/net/tcp6`; lines that do not parse are skipped. */
export function parseProcNetTcp(text: string): readonly ProcTcpLine[] {
  return text.split('\n').flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const [, local = '', remote = '', state, , , , uid, , inode] = fields;
    const peer = state === established ? parseHexPeer(remote) : undefined;
    const localPort = parseHexPeer(local)?.port;
    if (peer === undefined || localPort === undefined || inode === undefined) return [];
    return [{ ...peer, localPort, uid: Number(uid), inode }];
  });
}

/** `0100007F:05EA`, or 32 hex digits for IPv6: 32-bit words in the byte order of the host. */
function parseHexPeer(text: string): AgentPeer | undefined {
  const match = /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/.exec(text);
  if (match?.[1] === undefined || match[2] === undefined) return undefined;
  const bytes = (match[1].match(/.{8}/g) ?? []).flatMap((word) =>
    [6, 4, 2, 0].map((at) => Number.parseInt(word.slice(at, at + 2), 16)),
  );
  return { address: formatAddress(bytes), port: Number.parseInt(match[2], 16) };
}

function formatAddress(bytes: readonly number[]): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, index) =>
    (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16),
  );
  return canonicalAddress(groups.join(':'));
}

/** One spelling per address: lower-case RFC 5952 IPv6, IPv4-mapped as plain IPv4, rest unchanged. */
export function canonicalAddress(address: string): string {
  if (!address.includes(':')) return address.toLowerCase();
  const url = `http://[${address.split('%')[0]}]/`;
  if (!URL.canParse(url)) return address.toLowerCase();
  const host = new URL(url).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(host);
  if (mapped?.[1] === undefined || mapped[2] === undefined) return host;
  const [high, low] = [Number.parseInt(mapped[1], 16), Number.parseInt(mapped[2], 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

// `netstat` translates the state; `lsof` does not. Languages in which Windows servers are common.
const establishedWords = ['ESTABLISHED', 'HERGESTELLT', 'ESTABLECIDO', 'ESTABELECIDA'];

/** Peers of process `pid` in `netstat -ano` output (Windows). */
export function parseNetstat(text: string, pid: number): readonly AgentPeer[] {
  return text.split(/\r?\n/).flatMap((line) => {
    const [protocol, local = '', remote = '', state = '', owner] = line.trim().split(/\s+/);
    if (protocol !== 'TCP' || owner !== String(pid)) return [];
    return establishedWords.includes(state.toUpperCase()) ? parsePeer(remote, local) : [];
  });
}

/** Peers in `lsof -nP -a -p PID -iTCP -sTCP:ESTABLISHED -Fn` output (macOS). */
export function parseLsof(text: string): readonly AgentPeer[] {
  return text.split('\n').flatMap((line) => {
    const [, local = '', remote] = /^n(.*)->(\S+)$/.exec(line) ?? [];
    return remote === undefined ? [] : parsePeer(remote, local);
  });
}

function parsePeer(remote: string, local: string): readonly AgentPeer[] {
  const match = /^\[?([0-9A-Fa-f:.%]+?)\]?:(\d{1,5})$/.exec(remote);
  const localPort = /:(\d{1,5})$/.exec(local)?.[1];
  if (match?.[1] === undefined) return [];
  const own = localPort === undefined ? {} : { localPort: Number(localPort) };
  return [{ address: canonicalAddress(match[1]), port: Number(match[2]), ...own }];
}
