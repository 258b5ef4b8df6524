/**
 * The facts of the agent on Windows: one process, no pid files, no `.wait` directory of sockets.
 * Everything comes from its files and from `tasklist` and `netstat` of the system directory.
 */
import { stat } from 'node:fs/promises';
import { win32 } from 'node:path';
import type { Clock } from '../clock.ts';
import { HostError } from '../errors.ts';
import type { AgentFacts, AgentWorld } from '../wazuh/agent-facts.ts';
import type { AgentHome } from '../wazuh/agent-home.ts';
import { parseAgentVersion } from '../wazuh/agent-version.ts';
import { parseNetstat } from '../wazuh/connections.ts';
import { parseTasklist } from '../wazuh/process-list.ts';
import { parseAgentState } from '../wazuh/state-file.ts';
import { judgeUpgrade, type SeenLock } from '../wazuh/upgrade-lock.ts';
import { readBounded } from './read-bounded.ts';
import { runProgram } from './run-program.ts';

/** Runs a program of the system directory and gives its output. Throws when it does not work. */
export type SystemTool = (name: string, parameters: readonly string[]) => Promise<string>;

const maxTextBytes = 1024 * 1024;
const maxTableBytes = 16 * 1024 * 1024;

export const systemTool: SystemTool = async (name, parameters) => {
  // No search along PATH: it may name directories that others can write (trust-and-safety 6.2).
  const program = win32.join(process.env.SystemRoot ?? 'C:\\Windows', 'System32', name);
  const argv = [program, ...parameters];
  const done = await runProgram({ argv, timeoutMs: 15_000, maxOutputBytes: maxTableBytes });
  if (done.exit === 0) return done.stdout.toString();
  // Silence would say that no process runs, and an agent would be taken for stopped.
  const why = done.startError ?? (done.timedOut ? 'no end in time' : `exit code ${done.exit}`);
  throw new HostError('restart_failed', `${program}: ${why}`);
};

export function openWindowsAgent(
  home: AgentHome,
  clock: Clock,
  tool: SystemTool = systemTool,
): AgentWorld {
  return { readFacts: () => readFacts(home, clock, tool) };
}

/** For `openAgentControl`: processes by image name. */
export async function findWindowsPids(name: string, tool: SystemTool = systemTool) {
  const text = await tool('tasklist.exe', ['/FI', `IMAGENAME eq ${name}`, '/FO', 'CSV', '/NH']);
  return parseTasklist(text, name);
}

async function readFacts(home: AgentHome, clock: Clock, tool: SystemTool): Promise<AgentFacts> {
  const pids = await findWindowsPids(home.agentdName, tool);
  const table = pids.length === 0 ? '' : await tool('netstat.exe', ['-ano', '-p', 'TCP']);
  const table6 = pids.length === 0 ? '' : await tool('netstat.exe', ['-ano', '-p', 'TCPv6']);
  const version = await readVersion(home);
  return {
    installed: (await exists(home.agentdPath)) || (await exists(home.configPath)),
    ...(version === undefined ? {} : { version }),
    running: pids.length > 0,
    pids,
    ...(await readState(home)),
    waiting: await exists(home.waitPath),
    peers: pids.flatMap((pid) => parseNetstat(`${table}\n${table6}`, pid)),
    upgrade: await readUpgrade(home, clock.nowMs()),
  };
}

async function readVersion(home: AgentHome): Promise<string | undefined> {
  for (const path of home.versionPaths) {
    const text = (await readBounded(path, maxTextBytes))?.toString('utf8');
    const version = text === undefined ? undefined : parseAgentVersion(text);
    if (version !== undefined) return version.text;
  }
  return undefined;
}

async function readState(home: AgentHome) {
  const stats = await stat(home.statePath).catch(() => undefined);
  const text = (await readBounded(home.statePath, maxTextBytes))?.toString('utf8');
  if (stats === undefined || text === undefined) return { status: 'unknown' } as const;
  const { msgCount: _, ...state } = parseAgentState(text, stats.mtimeMs);
  return { ...state, stateWrittenAtMs: stats.mtimeMs };
}

async function readUpgrade(home: AgentHome, nowMs: number): Promise<string | undefined> {
  const seen: SeenLock[] = [];
  for (const path of home.upgradeLocks) {
    const stats = await stat(path).catch(() => undefined);
    if (stats !== undefined) seen.push({ path, modifiedAtMs: stats.mtimeMs });
  }
  return judgeUpgrade(seen, nowMs);
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
