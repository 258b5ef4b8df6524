/** What `doctor` asks of this host and nobody else does. Reads only; nothing here throws. */
import { stat, statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { ModeSeen } from '../diagnosis/judge.ts';
import { systemCodeOf } from '../guards.ts';
import { runProgram } from './run-program.ts';

/** No mode where the system has no such bits, or the file is not there. */
export async function readMode(path: string): Promise<ModeSeen> {
  if (process.platform === 'win32') return { path };
  return stat(path).then(
    ({ mode, uid }) => ({ path, mode: mode & 0o7777, uid }),
    () => ({ path }),
  );
}

/** Undefined where the file is not there. */
export async function readModifiedAtMs(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  );
}

/** Bytes that an ordinary user may still write below `path`. */
export async function readFreeBytes(path: string): Promise<number | undefined> {
  return statfs(path).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => undefined,
  );
}

/** As systemd sees it; undefined where it cannot be asked. */
export async function isClockSynchronised(): Promise<boolean | undefined> {
  if (process.platform !== 'linux') return undefined;
  const argv = ['timedatectl', 'show', '--property=NTPSynchronized', '--value'];
  const { exit, stdout } = await runProgram({ argv, timeoutMs: 3_000 });
  const said = stdout.toString('utf8').trim();
  return exit === 0 && (said === 'yes' || said === 'no') ? said === 'yes' : undefined;
}

export type PortSeen = 'free' | 'taken' | 'forbidden' | 'no_address';

const portCodes: Readonly<Record<string, PortSeen>> = {
  EADDRINUSE: 'taken',
  EACCES: 'forbidden',
  EADDRNOTAVAIL: 'no_address',
};

/** Could we listen there? Tried and given back at once. */
export async function tryPort(host: string, port: number): Promise<PortSeen> {
  const server = createServer();
  try {
    return await new Promise<PortSeen>((resolve) => {
      server.once('error', (error) =>
        resolve(portCodes[systemCodeOf(error) ?? ''] ?? 'no_address'),
      );
      server.listen({ host, port, exclusive: true }, () => resolve('free'));
    });
  } finally {
    server.close();
  }
}

export function runtimeVersion(): string {
  return `Node.js ${process.version} ${process.platform}-${process.arch}`;
}
