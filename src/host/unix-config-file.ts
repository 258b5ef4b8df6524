/** ossec.conf on Linux and macOS: the `ConfigFile` of the applier over a folder held open. */
import { lstat, opendir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BackupStore, ConfigFile } from '../applier/config-file.ts';
import { type ConfigFolder, replaceConfig } from '../applier/replace.ts';
import type { Clock, Random } from '../clock.ts';
import { AgentError } from '../errors.ts';
import {
  type FolderOptions,
  type OpenConfigFolder,
  openConfigFolder,
  tempPattern,
} from './config-folder.ts';
import { createConfig } from './create-config.ts';
import type { FileAttributes } from './file-attributes.ts';
import { asHostErrors } from './host-error.ts';
import type { OpenFolder } from './open-folder.ts';
import { replayJournal, writeInPlace } from './write-in-place.ts';

export interface UnixConfigFileOptions {
  /** Absolute path of ossec.conf, no component of it a symlink. */
  readonly path: string;
  /** Our own directory (0700): backups and journal. */
  readonly stateDirectory: string;
  readonly maxBytes: number;
  readonly onLostAttributes: 'refuse' | 'warn';
  readonly attributes: FileAttributes;
  readonly backups: BackupStore;
  readonly clock: Clock;
  readonly random: Random;
  /** For tests and campaigns: wraps the folder, to act between two steps. */
  readonly wrap?: (folder: ConfigFolder) => ConfigFolder;
}

const orphanAgeMs = 3_600_000;
const maxNamesLookedAt = 10_000;

export function openUnixConfigFile(options: UnixConfigFileOptions): ConfigFile {
  const folderOptions: FolderOptions = {
    ...options,
    overwrite: (original, before, bytes) =>
      writeInPlace(options.stateDirectory, original, before, bytes),
  };
  const opened = <Value>(use: (open: OpenConfigFolder) => Promise<Value>): Promise<Value> =>
    asHostErrors(options.path, async () => {
      const open = await openConfigFolder(folderOptions);
      try {
        return await use(open);
      } finally {
        await open.close();
      }
    });
  return {
    recover: () =>
      opened(async (open) => [
        ...(await replayJournal(options.stateDirectory, open.original)),
        ...(await sweepOrphans(open, options)),
      ]),
    read: () => opened((open) => Promise.resolve(open.snapshot)),
    replace: (before, bytes) =>
      opened((open) => {
        if (open.snapshot.identity !== before.identity || open.snapshot.hash !== before.hash) {
          throw new AgentError(
            'changed_meanwhile',
            `${options.path} was changed since it was read`,
          );
        }
        const folder = options.wrap?.(open) ?? open;
        const keepBackup = (old: Uint8Array): Promise<void> => options.backups.keep(old);
        return replaceConfig({ folder, before, bytes, keepBackup });
      }),
    create: (bytes, owner) =>
      asHostErrors(options.path, () => createConfig({ ...options, bytes, owner })),
  };
}

/** Temp files that a kill left behind: ours by name, owner and age, plain and of one name. */
async function sweepOrphans(
  { folder, original }: OpenConfigFolder,
  { clock, path }: UnixConfigFileOptions,
): Promise<readonly string[]> {
  const owners = [process.getuid?.(), (await original.stat()).uid];
  const swept: string[] = [];
  for (const name of await findTemps(folder)) {
    const oldest = clock.nowMs() - orphanAgeMs;
    const gone = await sweepOrphan(folder.reach(name), owners, oldest).catch(() => false);
    if (gone) swept.push(`swept ${join(dirname(path), name)}`);
  }
  return swept;
}

async function sweepOrphan(
  path: string,
  owners: readonly (number | undefined)[],
  oldestMs: number,
): Promise<boolean> {
  const stats = await lstat(path);
  const plain = stats.isFile() && stats.nlink === 1 && owners.includes(stats.uid);
  if (!plain || stats.mtimeMs > oldestMs) return false;
  await unlink(path);
  return true;
}

async function findTemps(folder: OpenFolder): Promise<readonly string[]> {
  const found: string[] = [];
  let seen = 0;
  for await (const { name } of await opendir(folder.reach('.'))) {
    seen += 1;
    if (tempPattern.test(name)) found.push(name);
    if (seen >= maxNamesLookedAt) break;
  }
  return found;
}
