/**
 * The shared folders of a manager's home. They belong to its unprivileged user: a link in place of a
 * folder is refused, a file is replaced as a whole and gets the owner of its folder.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { AgentError, HostError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import { listLimits } from '../list/model.ts';
import type { SharedFolders } from '../publisher/shared-channel.ts';
import { type OpenFolder, openFolder } from './open-folder.ts';
import { readBounded } from './read-bounded.ts';
import { writeFully } from './two-generation-file.ts';

/** Stock's own mode for shared files. */
const fileMode = 0o660;
const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;

export function openSharedFolders(home: string): SharedFolders {
  const pathOf = (group: string): string => join(home, 'etc/shared', group);
  return {
    read: (group, name) => readBounded(join(pathOf(group), name), listLimits.maxEnvelopeBytes + 1),
    async write(group, name, bytes) {
      const path = pathOf(group);
      const folder = await openGroup(path, group);
      try {
        await replace(folder, name, bytes);
      } catch (error) {
        const seen = `${join(path, name)}: ${messageOf(error)}`;
        throw new HostError('write_failed', seen, { cause: error });
      } finally {
        await folder.handle.close();
      }
    },
  };
}

async function openGroup(path: string, group: string): Promise<OpenFolder> {
  try {
    return await openFolder(path);
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    const seen = `${path}: no folder; is ${group} a group of this manager? (${error.message})`;
    throw new HostError('not_found', seen, { cause: error });
  }
}

/** By the folder that was opened, whatever stands under its name by now. */
async function replace(folder: OpenFolder, name: string, bytes: Uint8Array): Promise<void> {
  // remoted leaves out hidden files: half a file is never sent.
  const temp = folder.reach(`.${name}.new`);
  await unlink(temp).catch(() => undefined);
  const handle = await open(temp, flags | (constants.O_NOFOLLOW ?? 0), fileMode);
  try {
    await fill(handle, bytes, await folder.handle.stat());
    await rename(temp, folder.reach(name));
  } catch (error) {
    await unlink(temp).catch(() => undefined);
    throw error;
  } finally {
    await handle.close();
  }
  await folder.handle.sync();
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
