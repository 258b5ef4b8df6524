/**
 * Tells one process from a later one with the same number: the start time goes with the pid.
 * A zombie counts as gone. Linux reads /proc; elsewhere the system's own tool is asked.
 */
import { crc32 } from 'node:zlib';
import { readProc } from './proc-file.ts';
import { runProgram } from './run-program.ts';
import { windowsStartOf } from './windows-tools.ts';

/** A short word that no other process of this pid has, or undefined when there is none alive. */
export async function processStamp(pid: number): Promise<string | undefined> {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  if (process.platform === 'linux') return linuxStamp(pid);
  if (!answersSignal(pid)) return undefined;
  if (process.platform === 'win32') {
    const started = await windowsStartOf(pid);
    return started === undefined ? undefined : shorten(started);
  }
  const argv = ['/bin/ps', '-o', 'lstart=', '-p', String(pid)];
  const { exit, stdout } = await runProgram({ argv, timeoutMs: 10_000 });
  return exit === 0 ? shorten(stdout.toString().trim()) : undefined;
}

let bootId: string | undefined;

function linuxStamp(pid: number): string | undefined {
  const stat = readProc(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined; // gone, or about to be
  // Field 2 is the name in parentheses and may hold anything; count from behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state] = fields;
  const startTicks = fields[19];
  if (state === 'Z' || state === 'X' || startTicks === undefined) return undefined;
  bootId ??= readProc('/proc/sys/kernel/random/boot_id')?.trim();
  return bootId === undefined ? undefined : shorten(`${bootId} ${startTicks}`);
}

function answersSignal(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

function shorten(text: string): string {
  return crc32(text).toString(16).padStart(8, '0');
}
