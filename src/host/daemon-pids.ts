/**
 * Living processes of one of the agent's daemons. Pid files stay behind a `kill -9` and their
 * numbers are used again, so a pid counts only if the process runs the daemon's program.
 */
import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import type { AgentHome } from '../wazuh/agent-home.ts';
import { readProc, readProcLink } from './proc-file.ts';
import { processStamp } from './process-identity.ts';
import { runProgram } from './run-program.ts';

/** Ascending. `name` as in `wazuh-agentd`. */
export async function findDaemons(home: AgentHome, name: string): Promise<readonly number[]> {
  const names = await readdir(home.pidDirectory ?? home.home).catch(() => []);
  const pids = names.flatMap((file) => {
    const match = file.startsWith(`${name}-`) ? /-(\d{1,10})\.pid$/.exec(file) : null;
    return match?.[1] === undefined ? [] : [Number(match[1])];
  });
  const alive: number[] = [];
  for (const pid of pids.toSorted((left, right) => left - right)) {
    if (await isDaemon(home, name, pid)) alive.push(pid);
  }
  return alive;
}

async function isDaemon(home: AgentHome, name: string, pid: number): Promise<boolean> {
  if ((await processStamp(pid)) === undefined) return false;
  if (process.platform !== 'linux') return (await psName(pid)) === name;
  const program = readProcLink(`/proc/${pid}/exe`);
  if (program !== undefined && basename(program).replace(' (deleted)', '') === name) return true;
  const words = (readProc(`/proc/${pid}/cmdline`) ?? '').split('\0');
  // What the process calls itself, or an interpreter told whose home to serve. Any other word
  // proves nothing: a forged pid file would have us kill a `tar /var/ossec` or `gdb wazuh-agentd`.
  if (basename(words[0] ?? '') === name) return true;
  return words.some((word, index) => word === '--home' && words[index + 1] === home.home);
}

async function psName(pid: number): Promise<string> {
  const argv = ['/bin/ps', '-o', 'comm=', '-p', String(pid)];
  return basename((await runProgram({ argv, timeoutMs: 5_000 })).stdout.toString().trim());
}
