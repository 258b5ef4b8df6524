/**
 * ossec.conf made anew on Unix after somebody removed it. As careful as a replace: a fresh temp
 * file with the right owner from its first byte on, synced, and a rename at the end; a file that
 * came back meanwhile is left alone. ACL and label are what the directory hands down.
 */
import { constants, lstatSync, renameSync } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { FileOwner, Replacement } from '../applier/config-file.ts';
import { equalBytes } from '../bytes.ts';
import type { Random } from '../clock.ts';
import { AgentError, HostError } from '../errors.ts';
import { readAll } from './config-folder.ts';
import { openFolder } from './open-folder.ts';
import { writeFully } from './two-generation-file.ts';

export interface CreateJob {
  /** Absolute path of the missing file. */
  readonly path: string;
  readonly random: Random;
  readonly bytes: Uint8Array;
  readonly owner: FileOwner | undefined;
}

export async function createConfig(job: CreateJob): Promise<Replacement> {
  const { path, random, bytes, owner } = job;
  const folder = await openFolder(dirname(path));
  try {
    const usual = { uid: 0, gid: (await folder.handle.stat()).gid, mode: 0o660 };
    const temp = folder.reach(`.ossec.conf.pf-${Buffer.from(random.bytes(12)).toString('hex')}`);
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const handle = await open(temp, flags, 0o600);
    try {
      await fill(handle, bytes, owner ?? usual);
      install(temp, folder.reach(basename(path)), (await handle.stat({ bigint: true })).ino);
    } catch (error) {
      await unlink(temp).catch(() => undefined); // the sweep of a later run meets it
      throw error;
    } finally {
      await handle.close();
    }
    await folder.handle.sync();
  } finally {
    await folder.handle.close();
  }
  return { kind: 'renamed', notes: ['made anew: its ACL and labels are those of its directory'] };
}

async function fill(handle: FileHandle, bytes: Uint8Array, owner: FileOwner): Promise<void> {
  const made = await handle.stat();
  if (made.uid !== owner.uid || made.gid !== owner.gid) await handle.chown(owner.uid, owner.gid);
  await handle.chmod(owner.mode & 0o7777);
  await writeFully(handle, bytes);
  await handle.sync();
  if (!equalBytes(await readAll(handle, bytes.length), bytes)) {
    throw new HostError('write_failed', 'the new file does not read back as it was written');
  }
}

/** Synchronous on purpose: nothing of ours runs between the last look and the rename. */
function install(temp: string, target: string, inode: bigint): void {
  if (lstatSync(target, { throwIfNoEntry: false }) !== undefined) {
    throw new AgentError('changed_meanwhile', 'ossec.conf came back while it was made anew');
  }
  if (lstatSync(temp, { bigint: true }).ino !== inode) {
    throw new AgentError('changed_meanwhile', 'the new ossec.conf was swapped by somebody');
  }
  renameSync(temp, target);
}
