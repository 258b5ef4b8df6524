/**
 * Earlier contents of ossec.conf in our own directory: `conf-SEQUENCE` (three newest) and
 * `original.conf` (kept until it is put back). Mode 0600: the file may hold keys of modules.
 */
import { readdir, readFile, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackupStore } from '../applier/config-file.ts';
import { equalBytes } from '../bytes.ts';
import { HostError } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';
import { writeDurably } from './two-generation-file.ts';

const generations = 3;
const namePattern = /^conf-(\d{10})$/;

export function openBackupStore(directory: string): BackupStore {
  const original = join(directory, 'original.conf');
  return {
    async keep(bytes) {
      if ((await readIfThere(original)) === undefined) await writeDurably(original, bytes);
      const names = await listNames(directory);
      const newest =
        names[0] === undefined ? undefined : await readIfThere(join(directory, names[0]));
      if (newest !== undefined && equalBytes(newest, bytes)) return;
      const sequence = Number(namePattern.exec(names[0] ?? '')?.[1] ?? 0) + 1;
      await writeDurably(join(directory, `conf-${String(sequence).padStart(10, '0')}`), bytes);
      for (const name of names.slice(generations - 1)) {
        await unlink(join(directory, name)).catch(() => undefined); // the next write tries again
      }
    },
    async read(generation) {
      const name = (await listNames(directory))[generation - 1];
      const bytes = name === undefined ? undefined : await readIfThere(join(directory, name));
      if (bytes !== undefined) return bytes;
      throw new HostError('not_found', `there is no backup generation ${generation}`);
    },
    readOriginal: () => readIfThere(original),
    forgetOriginal: () => rm(original, { force: true }),
  };
}

/** Newest first. */
async function listNames(directory: string): Promise<readonly string[]> {
  try {
    const names = await readdir(directory);
    return names
      .filter((name) => namePattern.test(name))
      .toSorted()
      .toReversed();
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return [];
    throw new HostError('write_failed', `${directory}: ${messageOf(error)}`, { cause: error });
  }
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw new HostError('write_failed', `${path}: ${messageOf(error)}`, { cause: error });
  }
}
