/**
 * The two calls that Node lacks on Windows, through programs of the system directory. Paths travel
 * in environment variables, so nothing in them is ever read as code.
 */
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
    const argv = [systemPath('icacls.exe'), path, '/inheritance:r', '/grant:r', ...owners];
    const { exit, stderr } = await runProgram({ argv, timeoutMs });
    if (exit !== 0) throw new HostError('write_failed', `icacls: ${stderr.toString().trim()}`);
  },
  async replaceFile(target, replacement, backup) {
    const shell = systemPath('WindowsPowerShell\\v1.0\\powershell.exe');
    const { stdout, stderr, startError } = await runProgram({
      argv: [shell, '-NoProfile', '-NonInteractive', '-Command', replaceScript],
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

function systemPath(name: string): string {
  return win32.join(process.env.SystemRoot ?? 'C:\\Windows', 'System32', name);
}
