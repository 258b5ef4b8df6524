/** The facts of the agent on a Unix host: its state file, `.wait`, processes, sockets, locks. */
import type { BigIntStats } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Clock } from '../clock.ts';
import type { AgentFacts, AgentWorld } from '../wazuh/agent-facts.ts';
import type { AgentHome } from '../wazuh/agent-home.ts';
import { parseAgentVersion } from '../wazuh/agent-version.ts';
import { type AgentState, parseAgentState } from '../wazuh/state-file.ts';
import { judgeUpgrade, type SeenLock } from '../wazuh/upgrade-lock.ts';
import { findDaemons } from './daemon-pids.ts';
import { PackageLock } from './package-lock.ts';
import { PeerTable } from './peer-table.ts';
import { readBounded } from './read-bounded.ts';
import { runProgram } from './run-program.ts';
import { Unchanged } from './unchanged.ts';

export interface AgentEyes {
  /**
   * Least time between two looks for a package manager at work. The kernel stops every lock of the
   * host for a moment to answer, so whoever looks all day looks rarely; whoever acts looks now: 0.
   */
  readonly packagesEveryMs?: number;
}

/** A file that is not there is a fact, not an error. */
export function openUnixAgent(home: AgentHome, clock: Clock, eyes: AgentEyes = {}): AgentWorld {
  const memory: EyesMemory = {
    clock,
    version: new Unchanged(clock),
    packages: new PackageLock(clock, eyes.packagesEveryMs ?? 0),
    peers: new PeerTable(clock, home),
  };
  return { readFacts: () => readFacts(home, memory) };
}

/** What is not read anew at each call. */
interface EyesMemory {
  readonly clock: Clock;
  readonly version: Unchanged<string | undefined>;
  readonly packages: PackageLock;
  readonly peers: PeerTable;
}

async function readFacts(home: AgentHome, memory: EyesMemory): Promise<AgentFacts> {
  const pids = await findDaemons(home, home.agentdName);
  const waiting = await exists(home.waitPath);
  const [version, state, peers, upgrade, installed] = await Promise.all([
    readVersion(home, memory.version),
    readState(home),
    memory.peers.read(pids, waiting),
    readUpgrade(home, memory),
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
async function readVersion(
  home: AgentHome,
  kept: Unchanged<string | undefined>,
): Promise<string | undefined> {
  for (const path of home.versionPaths) {
    const version = await kept.get(path, '', async () => {
      const text = await readText(path);
      return text === undefined ? undefined : parseAgentVersion(text)?.text;
    });
    if (version !== undefined) return version;
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

const maxTextBytes = 1024 * 1024;

async function readUpgrade(
  home: AgentHome,
  { clock, packages }: EyesMemory,
): Promise<string | undefined> {
  const seen: SeenLock[] = [];
  for (const path of home.upgradeLocks) {
    const stats = await statIfThere(path);
    if (stats !== undefined) seen.push({ path, modifiedAtMs: Number(stats.mtimeMs) });
  }
  const young = judgeUpgrade(seen, clock.nowMs());
  return young !== undefined || home.platform !== 'linux' ? young : packages.read();
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
