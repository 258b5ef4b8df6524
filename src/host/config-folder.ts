/**
 * The Unix file system behind `applier/replace.ts`: the directory and the original held open, the
 * temp file made with O_EXCL and O_NOFOLLOW under an unguessable name. An immutable flag is never
 * cleared, a symlink never followed, a file with a second name never touched.
 */
import { type BigIntStats, constants, lstatSync, renameSync } from 'node:fs';
import { type FileHandle, lstat, open, unlink } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { ConfigSnapshot } from '../applier/config-file.ts';
import type { ConfigFolder, TempFile } from '../applier/replace.ts';
import { sha256Tag } from '../bytes.ts';
import type { Random } from '../clock.ts';
import { AgentError, HostError, PilotfishError } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';
import type { FileAttributes } from './file-attributes.ts';
import { type OpenFolder, openFolder } from './open-folder.ts';
import { writeFully } from './two-generation-file.ts';

export interface FolderOptions {
  readonly path: string;
  readonly maxBytes: number;
  readonly random: Random;
  readonly attributes: FileAttributes;
  /** What to do when an ACL or attribute of the original cannot be carried. */
  readonly onLostAttributes: 'refuse' | 'warn';
  /** Overwrites the file behind `original` under a journal. */
  readonly overwrite: (
    original: FileHandle,
    before: ConfigSnapshot,
    bytes: Uint8Array,
  ) => Promise<void>;
}

export interface OpenConfigFolder extends ConfigFolder {
  readonly folder: OpenFolder;
  readonly original: FileHandle;
  readonly snapshot: ConfigSnapshot;
  close(): Promise<void>;
}

export const tempPattern = /^\.ossec\.conf\.pf-[0-9a-f]{24}$/;

/** Opens directory and original and reads it. Throws E503 for anything but a plain file of one name. */
export async function openConfigFolder(options: FolderOptions): Promise<OpenConfigFolder> {
  const folder = await openFolder(dirname(options.path));
  try {
    const original = await openOriginal(folder, options);
    const snapshot = await readSnapshot(original, options);
    return {
      folder,
      original,
      snapshot,
      createTemp: () => createTemp(folder, original, options),
      commit: (temp, before) => commit({ folder, original, options, temp, before }),
      sync: () => folder.handle.sync(),
      overwrite: (before, bytes) => options.overwrite(original, before, bytes),
      async close() {
        await original.close();
        await folder.handle.close();
      },
    };
  } catch (error) {
    await folder.handle.close();
    throw error;
  }
}

async function openOriginal(folder: OpenFolder, { path }: FolderOptions): Promise<FileHandle> {
  // O_NONBLOCK: a FIFO planted under this name must not hang us.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  try {
    return await open(folder.reach(basename(path)), flags);
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === 'ELOOP') {
      throw new AgentError('not_regular', `${path} is a symbolic link`, { cause: error });
    }
    if (code === 'ENOENT') {
      throw new AgentError('not_found', `${path} does not exist`, { cause: error });
    }
    throw new HostError('write_failed', `${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** Reads and judges the open original; closes it when it is refused. */
async function readSnapshot(
  original: FileHandle,
  { path, maxBytes }: FolderOptions,
): Promise<ConfigSnapshot> {
  try {
    const stats = await original.stat({ bigint: true });
    if (!stats.isFile()) throw new AgentError('not_regular', `${path} is not a regular file`);
    if (stats.nlink !== 1n) {
      throw new AgentError('not_regular', `${path} has ${stats.nlink} names (hard links)`);
    }
    if (stats.size > maxBytes) {
      throw new AgentError('not_regular', `${path} has ${stats.size} bytes, more than ${maxBytes}`);
    }
    const bytes = await readAll(original, Number(stats.size));
    const mode = Number(stats.mode) & 0o7777;
    const owner = { uid: Number(stats.uid), gid: Number(stats.gid), mode };
    return { bytes, hash: sha256Tag(bytes), identity: identityOf(stats), owner };
  } catch (error) {
    await original.close();
    if (error instanceof PilotfishError) throw error;
    throw new HostError('write_failed', `${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** Exactly the bytes of the file from its start, at most `size + 1` (one more shows a growth). */
export async function readAll(handle: FileHandle, size: number): Promise<Uint8Array> {
  const buffer = Buffer.alloc(size + 1);
  let at = 0;
  while (at < buffer.length) {
    const { bytesRead } = await handle.read(buffer, at, buffer.length - at, at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return buffer.subarray(0, at);
}

export function identityOf(stats: BigIntStats): string {
  return [stats.dev, stats.ino, stats.nlink, stats.size, stats.mtimeNs, stats.ctimeNs].join(':');
}

async function createTemp(
  folder: OpenFolder,
  original: FileHandle,
  options: FolderOptions,
): Promise<TempFile> {
  const name = `.ossec.conf.pf-${Buffer.from(options.random.bytes(12)).toString('hex')}`;
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const handle = await refused(options, () => open(folder.reach(name), flags, 0o600));
  const identity = await inodeOf(handle).catch(async (error: unknown) => {
    await handle.close();
    await unlink(folder.reach(name)).catch(() => undefined); // the sweep of a later run meets it
    throw explain(options, error);
  });
  return {
    name,
    identity,
    carryAttributes: () => refused(options, () => carry(original, handle, options)),
    write: (bytes) =>
      refused(options, async () => {
        await writeFully(handle, bytes);
        await handle.sync();
      }),
    readBack: () => refused(options, async () => readAll(handle, (await handle.stat()).size)),
    async discard() {
      await handle.close().catch(() => undefined); // closed already
      await removeOwn(folder.reach(name), identity);
    },
  };
}

async function inodeOf(handle: FileHandle): Promise<string> {
  return String((await handle.stat({ bigint: true })).ino);
}

/** Owner, then mode, then ACL and attributes: at no moment wider than the original. */
async function carry(
  original: FileHandle,
  temp: FileHandle,
  options: FolderOptions,
): Promise<readonly string[]> {
  const [from, to] = [await original.stat(), await temp.stat()];
  if (from.uid !== to.uid || from.gid !== to.gid) await temp.chown(from.uid, from.gid);
  await temp.chmod(from.mode & 0o7777);
  const outcome = await options.attributes.carry(original.fd, temp.fd, options.maxBytes);
  if (outcome.kind === 'same') return [];
  if (outcome.kind === 'unknown') return [`ACLs and attributes were not looked at: ${outcome.why}`];
  const lost = `these attributes of ${options.path} cannot be carried: ${outcome.names.join(', ')}`;
  if (options.onLostAttributes === 'refuse') throw new HostError('write_failed', lost);
  return [lost];
}

interface CommitJob {
  readonly folder: OpenFolder;
  readonly original: FileHandle;
  readonly options: FolderOptions;
  readonly temp: TempFile;
  readonly before: ConfigSnapshot;
}

async function commit(job: CommitJob): Promise<'renamed' | 'changed' | 'busy'> {
  const { folder, original, options, temp, before } = job;
  const bytes = await refused(options, () => readAll(original, before.bytes.length));
  if (sha256Tag(bytes) !== before.hash) return 'changed';
  const name = folder.reach(basename(options.path));
  try {
    // Synchronous on purpose: nothing of ours runs between the last look and the rename.
    if (identityOf(lstatSync(name, { bigint: true })) !== before.identity) return 'changed';
    const made = lstatSync(folder.reach(temp.name), { bigint: true });
    if (String(made.ino) !== temp.identity) return 'changed';
    renameSync(folder.reach(temp.name), name);
    // Between look and rename the name may have been swapped: then what stands there is not ours.
    const installed = lstatSync(name, { bigint: true });
    return String(installed.ino) === temp.identity ? 'renamed' : 'changed';
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === 'EBUSY' || code === 'EXDEV') return 'busy';
    if (code === 'ENOENT') return 'changed';
    throw explain(options, error);
  }
}

/** Removes `path` only while it still is the file we made. */
async function removeOwn(path: string, identity: string): Promise<void> {
  try {
    const { ino } = await lstat(path, { bigint: true });
    if (String(ino) === identity) await unlink(path);
  } catch {
    return; // renamed, taken away, or unremovable: the sweep of a later run meets it
  }
}

async function refused<Value>(options: FolderOptions, step: () => Promise<Value>): Promise<Value> {
  try {
    return await step();
  } catch (error) {
    throw explain(options, error);
  }
}

function explain(options: FolderOptions, error: unknown): PilotfishError {
  if (error instanceof PilotfishError) return error;
  const code = systemCodeOf(error);
  const hint = code === 'EPERM' ? ' (an immutable flag is never cleared by us)' : '';
  const seen = `${dirname(options.path)}: ${messageOf(error)}${hint}`;
  return new HostError('write_failed', seen, { cause: error });
}
