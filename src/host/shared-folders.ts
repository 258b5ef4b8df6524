/**
 * The shared folders of a manager's home. They belong to its unprivileged user: a link in place of a
 * folder is refused, a file is replaced as a whole and gets the owner of its folder.
 */
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { HostError } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';
import { listLimits } from '../list/model.ts';
import type { SharedFolders } from '../publisher/shared-channel.ts';
import { readBounded } from './read-bounded.ts';
import { syncDirectory, writeFully } from './two-generation-file.ts';

/** Stock's own mode for shared files. */
const fileMode = 0o660;
const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;

export function openSharedFolders(home: string): SharedFolders {
  const folderOf = (group: string): string => join(home, 'etc/shared', group);
  return {
    read: (group, name) =>
      readBounded(join(folderOf(group), name), listLimits.maxEnvelopeBytes + 1),
    async write(group, name, bytes) {
      const folder = folderOf(group);
      const { uid, gid } = await ownerOf(folder, group);
      // remoted leaves out hidden files: half a file is never sent.
      const temp = join(folder, `.${name}.new`);
      try {
        await unlink(temp).catch(() => undefined);
        const handle = await open(temp, flags | (constants.O_NOFOLLOW ?? 0), fileMode);
        try {
          await fill(handle, bytes, { uid, gid });
        } finally {
          await handle.close();
        }
        await rename(temp, join(folder, name));
        await syncDirectory(folder);
      } catch (error) {
        await unlink(temp).catch(() => undefined);
        const seen = `${join(folder, name)}: ${messageOf(error)}`;
        throw new HostError('write_failed', seen, { cause: error });
      }
    },
  };
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

async function fill(handle: FileHandle, bytes: Uint8Array, { uid, gid }: Owner): Promise<void> {
  await writeFully(handle, bytes);
  if (process.geteuid?.() === 0) await handle.chown(uid, gid);
  await handle.chmod(fileMode); // whatever the umask says
  await handle.sync();
}

async function ownerOf(folder: string, group: string): Promise<Owner> {
  try {
    const stats = await lstat(folder);
    if (stats.isDirectory()) return stats;
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') {
      throw new HostError('write_failed', `${folder}: ${messageOf(error)}`, { cause: error });
    }
  }
  throw new HostError('not_found', `${folder}: no folder; is ${group} a group of this manager?`);
}
