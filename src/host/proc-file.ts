/**
 * Small files of Linux's /proc, read at once: they never wait for a disk, and a trip through the
 * thread pool costs ten times what the kernel needs to write them. Not for the tables of all
 * connections of a host, which may be megabytes.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Undefined: gone, not ours to read, or not Linux. */
export function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** What the entries of `/proc/PID/fd` lead to; undefined when we may not look. */
export function readOpenFiles(pid: number): readonly string[] | undefined {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).map((name) => readProcLink(`${folder}/${name}`) ?? '');
  } catch {
    return undefined;
  }
}

/** Undefined as for `readProc`. */
export function readProcLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
