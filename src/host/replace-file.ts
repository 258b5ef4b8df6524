/** A file of the manager's replaced whole, with the owner and mode that it had. */
import { constants } from 'node:fs';
import { lstat, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemCodeOf } from '../guards.ts';
import { asHostErrors } from './host-error.ts';
import { syncDirectory, writeFully } from './two-generation-file.ts';

/** Durable when it resolves; the old content stays on every failure. Throws HostError. */
export function replaceFile(path: string, bytes: Buffer): Promise<void> {
  return asHostErrors(path, () => replace(path, bytes));
}

async function replace(path: string, bytes: Buffer): Promise<void> {
  const stats = await lstat(path).catch((error: unknown) => {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  const aside = `${path}.pilotfish-new`;
  await unlink(aside).catch(() => undefined);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  const handle = await open(aside, flags | (constants.O_NOFOLLOW ?? 0), 0o600);
  try {
    await writeFully(handle, bytes);
    if (stats !== undefined) {
      if (process.geteuid?.() === 0) await handle.chown(stats.uid, stats.gid);
      await handle.chmod(stats.mode & 0o777);
    }
    await handle.sync();
    await rename(aside, path);
  } catch (error) {
    await unlink(aside).catch(() => undefined); // it may hold keys
    throw error;
  } finally {
    await handle.close();
  }
  await syncDirectory(dirname(path));
}
