/** What a diagnostics bundle tells of the host itself, and secrets as values, to take them out. */
import { readdir, stat } from 'node:fs/promises';
import { cpus, freemem, hostname, loadavg, release, totalmem, type, uptime } from 'node:os';
import { join } from 'node:path';
import { isJsonObject } from '../guards.ts';
import { parseClientKeys } from '../wazuh/client-keys.ts';
import { runtimeVersion } from './doctor-facts.ts';
import { readBounded } from './read-bounded.ts';
import { runProgram } from './run-program.ts';

const maxSecretBytes = 64 * 1024 * 1024;

export function systemFacts(): object {
  return {
    host: hostname(),
    system: `${type()} ${release()}`,
    runtime: runtimeVersion(),
    cpus: cpus().length,
    memoryBytes: { total: totalmem(), free: freemem() },
    load: loadavg(),
    upSeconds: Math.round(uptime()),
  };
}

/** Name, size and mode of everything in `folder`, never its content. */
export async function listFolder(folder: string): Promise<object> {
  const names = await readdir(folder).catch(() => []);
  const entries = await Promise.all(
    names
      .sort()
      .slice(0, 500)
      .map(async (name) => {
        const stats = await stat(join(folder, name)).catch(() => undefined);
        if (stats === undefined) return [name, 'gone'] as const;
        const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0');
        return [name, `${mode} ${stats.size} ${new Date(stats.mtimeMs).toISOString()}`] as const;
      }),
  );
  return Object.fromEntries(entries);
}

/** The last lines of a unit's log; undefined where there is no journal. */
export async function readUnitLog(unit: string): Promise<string | undefined> {
  if (process.platform !== 'linux') return undefined;
  const argv = [
    'journalctl',
    '--unit',
    unit,
    '--lines',
    '500',
    '--no-pager',
    '--output',
    'short-iso',
  ];
  const { exit, stdout } = await runProgram({
    argv,
    timeoutMs: 10_000,
    maxOutputBytes: 512 * 1024,
  });
  return exit === 0 && stdout.length > 0 ? stdout.toString('utf8') : undefined;
}

/** The end of a text file. */
export async function readTail(path: string, maxBytes = 256 * 1024): Promise<string | undefined> {
  const size = await stat(path).then(
    (stats) => stats.size,
    () => 0,
  );
  const bytes = await readBounded(path, maxBytes, Math.max(0, size - maxBytes));
  return bytes?.toString('utf8');
}

export async function readText(path: string): Promise<string | undefined> {
  return (await readBounded(path, 1024 * 1024))?.toString('utf8');
}

/** Every key of `client.keys`. */
export async function secretsOfClientKeys(path: string): Promise<readonly string[]> {
  const text = (await readBounded(path, maxSecretBytes))?.toString('utf8') ?? '';
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/)[3] ?? '');
  return [...[...parseClientKeys(text).values()].map(({ key }) => key), ...lines];
}

/** A file that is a secret as a whole: a password, a PEM, a JWK (then its private member too). */
export async function secretsOfFile(path: string): Promise<readonly string[]> {
  const text = await readText(path);
  if (text === undefined) return [];
  const pems = text.match(
    /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g,
  );
  if (pems !== null) return pems;
  try {
    const value: unknown = JSON.parse(text);
    if (isJsonObject(value)) return typeof value.d === 'string' ? [value.d] : [];
  } catch {
    // no JSON: a password or a key in one line
  }
  return [text];
}
