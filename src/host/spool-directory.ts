/**
 * The spool on disk. `request.json` is laid down by the unprivileged sidecar in its directory;
 * `result.json` lies in a directory of the applier's own, and `memory.json`, a copy of what it
 * remembers, for the status of the half that may not read its state. The applier reads and removes
 * by descriptor, follows no link, and writes nothing into the sidecar's directory.
 */
import { constants, lstatSync, unlinkSync } from 'node:fs';
import { lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { MemoryFile } from '../applier/memory.ts';
import { maxRequestBytes } from '../applier/request.ts';
import type { Spool, SpooledRequest, SpoolReport } from '../applier/spool.ts';
import { sha256Tag } from '../bytes.ts';
import { HostError } from '../errors.ts';
import { isJsonObject, messageOf, systemCodeOf } from '../guards.ts';
import { readAll } from './config-folder.ts';
import { asHostErrors } from './host-error.ts';
import { openFolder } from './open-folder.ts';
import { readBounded } from './read-bounded.ts';
import { writeDurably, writeFully } from './two-generation-file.ts';

const requestName = 'request.json';
const resultName = 'result.json';
const memoryName = 'memory.json';
const maxMemoryBytes = 4 * 1024 * 1024;

export function openSpool(spoolDirectory: string, resultDirectory: string): Spool {
  return {
    take: () => asHostErrors(spoolDirectory, () => takeRequest(spoolDirectory)),
    // Readable by the sidecar: the result holds no secret.
    report: (bytes) => writeDurably(join(resultDirectory, resultName), bytes, 0o644),
  };
}

async function takeRequest(directory: string): Promise<SpooledRequest | undefined> {
  const folder = await openFolder(directory);
  const path = folder.reach(requestName);
  try {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const handle = await open(path, flags);
    try {
      const { ino, size } = await handle.stat({ bigint: true });
      const plain = (await handle.stat()).isFile();
      if (!plain || size > maxRequestBytes) throw refused(directory, 'no plain file, or too long');
      const bytes = await readAll(handle, Number(size));
      return {
        bytes,
        isWithdrawn: async () => !(await isSame(directory, ino)),
        done: () => removeSame(directory, ino),
      };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    if (error instanceof HostError) throw error;
    throw refused(directory, messageOf(error));
  } finally {
    await folder.handle.close();
  }
}

async function isSame(directory: string, inode: bigint): Promise<boolean> {
  const path = join(directory, requestName);
  return lstat(path, { bigint: true }).then(
    ({ ino }) => ino === inode,
    () => false,
  );
}

/** A newer request under the same name stays for the next round. */
async function removeSame(directory: string, inode: bigint): Promise<void> {
  const folder = await openFolder(directory);
  try {
    const path = folder.reach(requestName);
    if (lstatSync(path, { bigint: true }).ino === inode) unlinkSync(path);
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw refused(directory, messageOf(error));
  } finally {
    await folder.handle.close();
  }
}

/** The sidecar's side: lays a request down whole. Returns the hash by which its report is known. */
export async function submitRequest(directory: string, bytes: Uint8Array): Promise<string> {
  const temp = join(directory, `${requestName}.new`);
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await rm(temp, { force: true });
    const handle = await open(temp, 'wx', 0o600);
    await writeFully(handle, bytes).finally(() => handle.close());
    await rename(temp, join(directory, requestName));
  } catch (error) {
    throw new HostError('write_failed', `${directory}: ${messageOf(error)}`, { cause: error });
  }
  return sha256Tag(bytes);
}

/** Takes a request back: one that is being confirmed is given up, and still reported. Throws HostError. */
export async function withdrawRequest(directory: string): Promise<void> {
  await asHostErrors(directory, () => rm(join(directory, requestName), { force: true }));
}

/** Every write leaves a copy in the place of results; one that fails costs only a stale status. */
export function sharedMemory(file: MemoryFile, resultDirectory: string): MemoryFile {
  return {
    read: () => file.read(),
    async write(bytes) {
      await file.write(bytes);
      const copied = writeDurably(join(resultDirectory, memoryName), bytes, 0o644);
      await copied.catch(() => undefined);
    },
  };
}

/** That copy; undefined before the applier's first run. It is never to be written. */
export function readSharedMemory(resultDirectory: string): Promise<Uint8Array | undefined> {
  return readBounded(join(resultDirectory, memoryName), maxMemoryBytes);
}

/** The report of `request`, or undefined while there is none. */
export async function readReport(
  resultDirectory: string,
  request: string,
): Promise<SpoolReport | undefined> {
  const text = (await readBounded(join(resultDirectory, resultName), 1024 * 1024))?.toString(
    'utf8',
  );
  if (text === undefined) return undefined;
  try {
    const report: unknown = JSON.parse(text);
    // Our own applier wrote it into a directory that only root may write.
    return isJsonObject(report) && report.request === request
      ? (report as unknown as SpoolReport)
      : undefined;
  } catch {
    return undefined; // being replaced: the next look finds it whole
  }
}

function refused(directory: string, why: string): HostError {
  return new HostError('write_failed', `${join(directory, requestName)}: ${why}`);
}
