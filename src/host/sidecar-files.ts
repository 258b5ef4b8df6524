/** Files of the sidecar on this host: signed files, the pause, the status, the agent's identity. */
import { lstat, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { HostError } from '../errors.ts';
import { isJsonObject, messageOf, systemCodeOf } from '../guards.ts';
import type { Pause } from '../sidecar/seen.ts';
import type { SourceFiles } from '../sidecar/source.ts';
import { type ClientKey, parseClientKeys } from '../wazuh/client-keys.ts';
import { readBounded } from './read-bounded.ts';
import { writeDurably } from './two-generation-file.ts';

export const sourceFiles: SourceFiles = {
  async read(path, maxBytes) {
    if (!(await isThere(path))) return undefined;
    const bytes = await readBounded(path, maxBytes + 1);
    if (bytes !== undefined) return bytes;
    throw new HostError('not_found', `${path}: not a regular file, or it may not be read`);
  },
};

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/**
 * Bytes of the agent's own file: absent, unreadable and too long are three different things. Its
 * directory belongs to the agent's unprivileged user: a FIFO, a link or an endless file put there
 * must not hang or fill us, and is told now rather than when a write is urgent.
 */
export async function readAgentFile(
  path: string,
): Promise<Uint8Array | 'missing' | { readonly why: string }> {
  try {
    const found = await lstat(path);
    if (!found.isFile())
      return { why: `E503 ${path} is no regular file (symlink, FIFO, device …)` };
    if (found.nlink > 1) return { why: `E503 ${path} has ${found.nlink} names (hard links)` };
    if (found.size > maxConfigBytes) return { why: `${path} has ${found.size} bytes` };
    const bytes = await readBounded(path, maxConfigBytes + 1);
    if (bytes === undefined) return { why: `${path} cannot be read` };
    return bytes.length > maxConfigBytes ? { why: `${path} grows while it is read` } : bytes;
  } catch (error) {
    return systemCodeOf(error) === 'ENOENT' ? 'missing' : { why: messageOf(error) };
  }
}

const maxConfigBytes = 8 * 1024 * 1024;

const pauseName = 'pause.json';
const statusName = 'status.json';
const maxStatusBytes = 1024 * 1024;

export interface SidecarFiles {
  readPause(): Promise<Pause | undefined>;
  writePause(pause: Pause): Promise<void>;
  /** Best effort: a status that cannot be written must not stop the sidecar. */
  writeStatus(status: object): Promise<void>;
  readStatus(): Promise<unknown>;
  readToken(): Promise<string | undefined>;
  writeToken(token: string): Promise<void>;
}

export function openSidecarFiles(directory: string): SidecarFiles {
  const at = (name: string): string => join(directory, name);
  return {
    async readPause() {
      const value = await readJson(at(pauseName), 4096);
      if (!isJsonObject(value)) return undefined;
      const { untilMs, reason, endedAtMs } = value;
      if (typeof untilMs !== 'number' || typeof reason !== 'string') return undefined;
      return { untilMs, reason, ...(typeof endedAtMs === 'number' ? { endedAtMs } : {}) };
    },
    async writePause(pause) {
      return writeDurably(at(pauseName), Buffer.from(JSON.stringify(pause)));
    },
    writeStatus: (status) => replaceFile(at(statusName), JSON.stringify(status)),
    readStatus: () => readJson(at(statusName), maxStatusBytes),
    async readToken() {
      const text = (await readBounded(at('token'), 8192))?.toString('utf8').trim();
      return text === '' ? undefined : text;
    },
    writeToken: (token) => writeDurably(at('token'), Buffer.from(`${token}\n`)),
  };
}

async function readJson(path: string, maxBytes: number): Promise<unknown> {
  const text = (await readBounded(path, maxBytes))?.toString('utf8');
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // damaged: as good as absent, it is written anew
  }
}

/**
 * Whole or not at all, but not worth a sync: it is written again in a moment. The folder may be
 * somebody else's (a collector's): a link or a file left there is never written through. `mode`:
 * for readers of other users, whatever the umask says.
 */
export async function replaceFile(path: string, text: string, mode?: number): Promise<void> {
  const temp = `${path}.new`;
  try {
    await rm(temp, { force: true });
    const handle = await open(temp, 'wx', 0o644);
    try {
      if (mode !== undefined) await handle.chmod(mode);
      await handle.writeFile(text);
    } finally {
      await handle.close();
    }
    await rename(temp, path);
  } catch {
    await rm(temp, { force: true }).catch(() => undefined);
  }
}

/** The id in `client.keys` (its first word), which an agent keeps for life; undefined before enrolment. */
export async function readAgentId(keysPath: string): Promise<string | undefined> {
  const text = (await readBounded(keysPath, 64 * 1024))?.toString('utf8') ?? '';
  const id = text.split('\n').map((line) => line.trim().split(/\s+/)[0] ?? '');
  return id.find((word) => /^[0-9]{1,12}$/.test(word));
}

/** The whole first line of `client.keys`; undefined before enrolment. */
export async function readAgentKey(keysPath: string): Promise<ClientKey | undefined> {
  const text = (await readBounded(keysPath, 64 * 1024))?.toString('utf8') ?? '';
  return parseClientKeys(text).values().next().value;
}
