/**
 * How ossec.conf is replaced on Unix (trust-and-safety 3.2). The directory belongs to the agent's
 * unprivileged user, who may swap any name in it at any time; so every step works on descriptors,
 * and the only names used are a fresh random one and the final rename.
 */
import { equalBytes } from '../bytes.ts';
import { AgentError, HostError } from '../errors.ts';
import type { ConfigSnapshot, Replacement } from './config-file.ts';

/** The temp file, reached by its descriptor only. */
export interface TempFile {
  readonly name: string;
  /** Opaque; tells this file from another one under the same name. */
  readonly identity: string;
  /** Owner, group, mode, ACL, labels, extended attributes of the original. Before any content. */
  carryAttributes(): Promise<readonly string[]>;
  /** All bytes, synced to disk. */
  write(bytes: Uint8Array): Promise<void>;
  readBack(): Promise<Uint8Array>;
  /** Closes it and removes the name if it still is ours; never fails, harmless after a rename. */
  discard(): Promise<void>;
}

/** Port: one directory held open, with the original held open in it. */
export interface ConfigFolder {
  createTemp(): Promise<TempFile>;
  /**
   * Last look and rename in one breath: `changed` when the original is not `before` any more,
   * `busy` when its name cannot be renamed over (a mount point).
   */
  commit(temp: TempFile, before: ConfigSnapshot): Promise<'renamed' | 'changed' | 'busy'>;
  /** Makes the rename durable. */
  sync(): Promise<void>;
  /** Overwrites the original under a journal; only where a rename is impossible. */
  overwrite(before: ConfigSnapshot, bytes: Uint8Array): Promise<void>;
}

export interface ReplaceJob {
  readonly folder: ConfigFolder;
  readonly before: ConfigSnapshot;
  readonly bytes: Uint8Array;
  readonly keepBackup: (bytes: Uint8Array) => Promise<void>;
}

/** temp -> attributes -> bytes, synced -> read back -> backup -> unchanged? rename -> synced */
export async function replaceConfig(job: ReplaceJob): Promise<Replacement> {
  const temp = await job.folder.createTemp();
  try {
    const notes = await temp.carryAttributes();
    await temp.write(job.bytes);
    if (!equalBytes(await temp.readBack(), job.bytes)) {
      throw new HostError('write_failed', 'the new file does not read back as it was written');
    }
    await job.keepBackup(job.before.bytes);
    return await install(job, temp, notes);
  } finally {
    await temp.discard();
  }
}

async function install(
  job: ReplaceJob,
  temp: TempFile,
  notes: readonly string[],
): Promise<Replacement> {
  const outcome = await job.folder.commit(temp, job.before);
  if (outcome === 'changed') {
    throw new AgentError('changed_meanwhile', 'ossec.conf was changed while the new one was made');
  }
  if (outcome === 'renamed') {
    return { kind: 'renamed', notes: [...notes, ...(await syncNotes(job.folder))] };
  }
  await job.folder.overwrite(job.before, job.bytes);
  return { kind: 'in_place', notes: [...notes, 'ossec.conf is a mount point: written in place'] };
}

/** The new file is there and whole; a directory that cannot be synced costs durability only. */
async function syncNotes(folder: ConfigFolder): Promise<readonly string[]> {
  try {
    await folder.sync();
    return [];
  } catch (error) {
    return [`the directory could not be synced (${String(error)}): a power cut may undo the write`];
  }
}
