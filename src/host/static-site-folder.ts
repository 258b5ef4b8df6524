/** A static site on disk: each file whole or as it was, readable by a web server, unchanged ones untouched. */
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HostError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import type { SiteFile } from '../publisher/static-site.ts';
import { writeDurably } from './two-generation-file.ts';

/** The names that were written. Throws HostError `write_failed`; what was there before then stays. */
export async function writeSite(
  folder: string,
  files: readonly SiteFile[],
): Promise<readonly string[]> {
  const written: string[] = [];
  for (const { name, bytes } of files) {
    const path = join(folder, name);
    const before = await readFile(path).catch(() => undefined);
    if (before?.equals(bytes)) continue;
    await makeReadable(dirname(path));
    await writeDurably(path, bytes, 0o644);
    written.push(name);
  }
  return written;
}

/** Folders that we make are for everybody to read, whatever the umask; one that is there keeps its mode. */
async function makeReadable(folder: string): Promise<void> {
  try {
    const made = await mkdir(folder, { recursive: true, mode: 0o755 });
    if (made === undefined) return;
    for (let at = folder; at.startsWith(made); at = dirname(at)) await chmod(at, 0o755);
  } catch (error) {
    throw new HostError('write_failed', `${folder}: ${messageOf(error)}`, { cause: error });
  }
}
