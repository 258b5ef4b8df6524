/** The facts of the agent on a Unix host: its state file, `.wait`, processes, sockets, locks. */
import type { BigIntStats } from 'node:fs';
import { readdir, readlink, stat } from 'node:fs/promises';
import type { Clock } from '../clock.ts';
import type { AgentFacts, AgentPeer, AgentWorld } from '../wazuh/agent-facts.ts';
import type { AgentHome } from '../wazuh/agent-home.ts';
import { parseAgentVersion } from '../wazuh/agent-version.ts';
import { parseLsof, parseProcNetTcp } from '../wazuh/connections.ts';
import { type AgentState, parseAgentState } from '../wazuh/state-file.ts';
import { isLockHeld, judgeUpgrade, type SeenLock } from '../wazuh/upgrade-lock.ts';
import { findDaemons } from './daemon-pids.ts';
import { readBounded } from './read-bounded.ts';
import { runProgram } from './run-program.ts';

/** Reads everything anew at each call; a file that is not there is a fact, not an error. */
export function openUnixAgent(home: AgentHome, clock: Clock): AgentWorld {
  return { readFacts: () => readFacts(home, clock) };
}

async function readFacts(home: AgentHome, clock: Clock): Promise<AgentFacts> {
  const pids = await findDaemons(home, home.agentdName);
  const [version, state, waiting, peers, upgrade, installed] = await Promise.all([
    readVersion(home),
    readState(home),
    exists(home.waitPath),
    readPeers(home, pids),
    readUpgrade(home, clock.nowMs()),
    exists(home.agentdPath).then(async (there) => there || (await exists(home.configPath))),
  ]);
  return {
    installed,
    ...(version === undefined ? {} : { version }),
    running: pids.length > 0,
    pids,
    ...state,
    waiting,
    peers,
    upgrade,
  };
}

/** `VERSION.json`, `VERSION`, then `wazuh-control info`, which takes no lock. */
async function readVersion(home: AgentHome): Promise<string | undefined> {
  for (const path of home.versionPaths) {
    const text = await readText(path);
    const version = text === undefined ? undefined : parseAgentVersion(text);
    if (version !== undefined) return version.text;
  }
  if (home.controlPath === undefined || !(await exists(home.controlPath))) return undefined;
  const { stdout } = await runProgram({ argv: [home.controlPath, 'info'], timeoutMs: 5_000 });
  return parseAgentVersion(stdout.toString())?.text;
}

async function readState(
  home: AgentHome,
): Promise<Omit<AgentState, 'msgCount'> & { readonly stateWrittenAtMs?: number }> {
  const stats = await statIfThere(home.statePath);
  const text = stats === undefined ? undefined : await readText(home.statePath);
  if (stats === undefined || text === undefined) return { status: 'unknown' };
  const stateWrittenAtMs = Number(stats.mtimeMs);
  const { msgCount: _, ...state } = parseAgentState(text, stateWrittenAtMs);
  return { ...state, stateWrittenAtMs };
}

/** Established connections: by the processes' own sockets as root, else by the owner of agentd. */
async function readPeers(home: AgentHome, pids: readonly number[]): Promise<readonly AgentPeer[]> {
  if (pids.length === 0) return [];
  if (home.platform === 'macos') return readLsof(pids);
  const [first = 0] = pids;
  // The process's own view: it may live in another network namespace than we do.
  const table = [
    ...parseProcNetTcp((await readText(`/proc/${first}/net/tcp`)) ?? ''),
    ...parseProcNetTcp((await readText(`/proc/${first}/net/tcp6`)) ?? ''),
  ];
  const inodes = await socketInodes(pids);
  const owner = Number((await statIfThere(`/proc/${first}`))?.uid ?? -1);
  return table
    .filter((line) => (inodes === undefined ? line.uid === owner : inodes.has(line.inode)))
    .map(({ address, port }) => ({ address, port }));
}

/** Undefined when we may not look: then only the owner is left to go by. */
async function socketInodes(pids: readonly number[]): Promise<ReadonlySet<string> | undefined> {
  const inodes = new Set<string>();
  for (const pid of pids) {
    const names = await readdir(`/proc/${pid}/fd`).catch(() => undefined);
    if (names === undefined) return undefined;
    for (const name of names) {
      const target = await readlink(`/proc/${pid}/fd/${name}`).catch(() => '');
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

/** A host with 100 000 connections has 15 MB of them. */
const maxTextBytes = 32 * 1024 * 1024;
const dpkgLock = '/var/lib/dpkg/lock-frontend';

async function readUpgrade(home: AgentHome, nowMs: number): Promise<string | undefined> {
  const seen: SeenLock[] = [];
  for (const path of home.upgradeLocks) {
    const stats = await statIfThere(path);
    if (stats !== undefined) seen.push({ path, modifiedAtMs: Number(stats.mtimeMs) });
  }
  const young = judgeUpgrade(seen, nowMs);
  if (young !== undefined || home.platform !== 'linux') return young;
  const stats = await statIfThere(dpkgLock);
  if (stats === undefined) return undefined;
  const locks = (await readText('/proc/locks')) ?? '';
  const held = isLockHeld(locks, { ...deviceOf(stats.dev), inode: Number(stats.ino) });
  return held ? dpkgLock : undefined;
}

/** glibc's makedev, taken apart. */
function deviceOf(device: bigint): { readonly major: number; readonly minor: number } {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn);
  const minor = (device & 0xffn) | ((device >> 12n) & ~0xffn & 0xffffffffn);
  return { major: Number(major), minor: Number(minor) };
}

async function exists(path: string): Promise<boolean> {
  return (await statIfThere(path)) !== undefined;
}

function statIfThere(path: string): Promise<BigIntStats | undefined> {
  return stat(path, { bigint: true }).catch(() => undefined);
}

async function readText(path: string): Promise<string | undefined> {
  return (await readBounded(path, maxTextBytes))?.toString('utf8');
}
