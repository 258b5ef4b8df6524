/**
 * Reading files in directories that the agent's unprivileged user may write: a FIFO, a symlink or
 * an endless file there must not hang, mislead or fill a root process.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** At most `maxBytes` from offset `from`; undefined for what is absent, no regular file, or unreadable. */
export async function readBounded(
  path: string,
  maxBytes: number,
  from = 0,
): Promise<Buffer | undefined> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, flags);
    if (!(await handle.stat()).isFile()) return undefined;
    return await readChunks(handle, maxBytes, from);
  } catch {
    return undefined; // gone, or not for us: both mean "not known"
  } finally {
    await handle?.close();
  }
}

const chunkBytes = 64 * 1024;

/** By chunks until the end: files of /proc have no size. */
async function readChunks(handle: FileHandle, maxBytes: number, from: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  while (length < maxBytes) {
    const chunk = Buffer.alloc(Math.min(chunkBytes, maxBytes - length));
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, from + length);
    if (bytesRead === 0) break;
    chunks.push(chunk.subarray(0, bytesRead));
    length += bytesRead;
  }
  return Buffer.concat(chunks);
}
