/**
 * Whom the agent is connected to: by its processes' own sockets as root, else by the owner of
 * agentd. The kernel's table grows with the connections of the host, and a socket never changes its
 * peer, so the table is read again only when the agent's sockets are others, or after a while.
 */
import { stat } from 'node:fs/promises';
import type { Clock } from '../clock.ts';
import type { AgentPeer } from '../wazuh/agent-facts.ts';
import type { AgentHome } from '../wazuh/agent-home.ts';
import { parseLsof, parseProcNetTcp } from '../wazuh/connections.ts';
import { readOpenFiles } from './proc-file.ts';
import { readBounded } from './read-bounded.ts';
import { runProgram } from './run-program.ts';

/** A connection that the other side ended keeps its socket for a moment; for no longer than this. */
const readAgainMs = 20_000;
/** A host with 100 000 connections has 15 MB of them. */
const maxTableBytes = 32 * 1024 * 1024;

export class PeerTable {
  readonly #clock: Clock;
  readonly #home: AgentHome;
  #kept: { readonly key: string; readonly peers: readonly AgentPeer[]; readonly atMs: number };

  constructor(clock: Clock, home: AgentHome) {
    this.#clock = clock;
    this.#home = home;
    this.#kept = { key: '', peers: [], atMs: Number.NEGATIVE_INFINITY };
  }

  /** Established connections. `waiting`: the agent is connecting right now, so nothing is settled. */
  async read(pids: readonly number[], waiting: boolean): Promise<readonly AgentPeer[]> {
    const [first] = pids;
    if (first === undefined) return [];
    if (this.#home.platform === 'macos') return readLsof(pids);
    const inodes = socketInodes(pids);
    const key = inodes === undefined ? '' : `${pids.join()} ${[...inodes].join()}`;
    const nowMs = this.#clock.monotonicMs();
    const isKept = key !== '' && key === this.#kept.key && this.#kept.peers.length > 0;
    if (isKept && !waiting && nowMs - this.#kept.atMs < readAgainMs) return this.#kept.peers;
    const peers = await readTable(first, inodes);
    this.#kept = { key, peers, atMs: nowMs };
    return peers;
  }
}

/** The process's own view: it may live in another network namespace than we do. */
async function readTable(
  pid: number,
  inodes: ReadonlySet<string> | undefined,
): Promise<readonly AgentPeer[]> {
  const table = [
    ...parseProcNetTcp(await readText(`/proc/${pid}/net/tcp`)),
    ...parseProcNetTcp(await readText(`/proc/${pid}/net/tcp6`)),
  ];
  const owner = inodes === undefined ? await ownerOf(pid) : undefined;
  return table
    .filter((line) => (inodes === undefined ? line.uid === owner : inodes.has(line.inode)))
    .map(({ address, port, localPort = 0 }) => ({ address, port, localPort }));
}

async function readText(path: string): Promise<string> {
  return (await readBounded(path, maxTableBytes))?.toString('latin1') ?? '';
}

function ownerOf(pid: number): Promise<number | undefined> {
  return stat(`/proc/${pid}`).then(
    ({ uid }) => uid,
    () => undefined,
  );
}

/** Undefined when we may not look: then only the owner is left to go by. */
function socketInodes(pids: readonly number[]): ReadonlySet<string> | undefined {
  const inodes = new Set<string>();
  for (const pid of pids) {
    const targets = readOpenFiles(pid);
    if (targets === undefined) return undefined;
    for (const target of targets) {
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      if (inode !== undefined) inodes.add(inode);
    }
  }
  return inodes;
}

async function readLsof(pids: readonly number[]): Promise<readonly AgentPeer[]> {
  const selection = ['-a', '-p', pids.join(','), '-iTCP', '-sTCP:ESTABLISHED'];
  const argv = ['/usr/sbin/lsof', '-nP', ...selection, '-Fn'];
  return parseLsof((await runProgram({ argv, timeoutMs: 5_000 })).stdout.toString());
}
