/**
 * The calls that Node lacks on Windows: by our own service host, which lies beside the installed
 * program (installers/windows/service-host.c); elsewhere by programs of the system directory, with
 * paths in environment variables, so that nothing in them is ever read as code.
 */
import { existsSync } from 'node:fs';
import { win32 } from 'node:path';
import { HostError } from '../errors.ts';
import { runProgram } from './run-program.ts';
import type { WindowsTools } from './windows-config-file.ts';

const timeoutMs = 30_000;
/** SYSTEM and Administrators by their well-known SIDs: names are translated. */
const owners = ['*S-1-5-18:F', '*S-1-5-32-544:F'];

/** The Win32 error is the low word of the HRESULT; 0 says that the replace was done. */
const replaceScript = [
  'try { [IO.File]::Replace($env:PF_NEW, $env:PF_TARGET, $env:PF_BACKUP, $true); [Console]::Out.Write(0) }',
  'catch { $e = $_.Exception; while ($e.InnerException) { $e = $e.InnerException };',
  '[Console]::Out.Write($e.HResult -band 0xFFFF) }',
].join(' ');

export const windowsTools: WindowsTools = {
  async protect(path) {
    if (hasServiceHost()) return protectByHost(path);
    const argv = [systemPath('icacls.exe'), path, '/inheritance:r', '/grant:r', ...owners];
    const { exit, stderr } = await runProgram({ argv, timeoutMs });
    if (exit !== 0) throw new HostError('write_failed', `icacls: ${stderr.toString().trim()}`);
  },
  async replaceFile(target, replacement, backup) {
    if (hasServiceHost()) return replaceByHost(target, replacement, backup);
    const { stdout, stderr, startError } = await runProgram({
      argv: [powerShell(), '-NoProfile', '-NonInteractive', '-Command', replaceScript],
      timeoutMs,
      environment: { PF_NEW: replacement, PF_TARGET: target, PF_BACKUP: backup },
    });
    const said = stdout.toString().trim();
    if (!/^\d{1,5}$/.test(said)) {
      const why = startError ?? stderr.toString().trim().slice(0, 200);
      throw new HostError('write_failed', `PowerShell did not replace the file: ${why}`);
    }
    return said === '0' ? undefined : Number(said);
  },
};

async function protectByHost(path: string): Promise<void> {
  const { exit, startError } = await runProgram({
    argv: [serviceHost, 'protect', path],
    timeoutMs,
  });
  if (exit === 0) return;
  throw new HostError('write_failed', `${path}: not protected (${startError ?? exit})`);
}

async function replaceByHost(target: string, replacement: string, backup: string) {
  const argv = [serviceHost, 'replace', target, replacement, backup];
  const { exit, startError } = await runProgram({ argv, timeoutMs });
  if (exit !== undefined) return exit === 0 ? undefined : exit;
  throw new HostError('write_failed', `${target}: not replaced (${startError ?? 'out of time'})`);
}

/** Start time of a process as a word, or undefined when there is none. */
export async function windowsStartOf(pid: number): Promise<string | undefined> {
  const question = `(Get-Process -Id ${pid}).StartTime.ToFileTimeUtc()`;
  const argv = hasServiceHost()
    ? [serviceHost, 'started', String(pid)]
    : [powerShell(), '-NoProfile', '-NonInteractive', '-Command', question];
  const { exit, stdout } = await runProgram({ argv, timeoutMs });
  return exit === 0 ? stdout.toString().trim() : undefined;
}

const serviceHost = win32.join(win32.dirname(process.execPath), 'pilotfish-service.exe');

function hasServiceHost(): boolean {
  return process.platform === 'win32' && existsSync(serviceHost);
}

function powerShell(): string {
  return systemPath('WindowsPowerShell\\v1.0\\powershell.exe');
}

function systemPath(name: string): string {
  return win32.join(process.env.SystemRoot ?? 'C:\\Windows', 'System32', name);
}
