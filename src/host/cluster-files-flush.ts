/**
 * Getting many files onto the disk for good. A few are flushed one by one; many with one flush of
 * their file system (`sync -f`), which costs less than a hundred single ones.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, constants, fsyncSync, openSync } from 'node:fs';
import { systemCodeOf } from '../guards.ts';

const fewFiles = 24;
const flushTimeoutMs = 60_000;

/** `paths` are all on the file system of `folder`, `count` of them. Throws where one cannot be flushed. */
export function flushFiles(folder: string, count: number, paths: Iterable<string>): void {
  if (count > fewFiles && flushFileSystem(folder)) return;
  for (const path of paths) flush(path, constants.O_RDONLY | constants.O_NOFOLLOW);
}

/** Folders that are gone by now are left out. */
export function flushFolders(home: string, folders: readonly string[]): void {
  if (folders.length > fewFiles && flushFileSystem(home)) return;
  for (const folder of folders) {
    try {
      flush(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    } catch (error) {
      if (systemCodeOf(error) !== 'ENOENT') throw error;
    }
  }
}

function flush(path: string, flags: number): void {
  const file = openSync(path, flags);
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** False where this system has no such program or it failed. */
function flushFileSystem(folder: string): boolean {
  if (process.platform !== 'linux') return false;
  const options = { stdio: 'ignore', timeout: flushTimeoutMs, env: {} } as const;
  return ['/usr/bin/sync', '/bin/sync'].some(
    (program) => spawnSync(program, ['-f', folder], options).status === 0,
  );
}
