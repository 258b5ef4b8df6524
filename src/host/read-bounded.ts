/**
 * Reading files in directories that the agent's unprivileged user may write: a FIFO, a symlink or
 * an endless file there must not hang, mislead or fill a root process.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, realpath } from 'node:fs/promises';

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
    const stats = await handle.stat();
    if (!stats.isFile()) return undefined;
    return await readChunks(handle, { maxBytes, from, sizeBytes: stats.size });
  } catch {
    return undefined; // gone, or not for us: both mean "not known"
  } finally {
    await handle?.close();
  }
}

/**
 * The same through links, for files that nobody but root or the operator puts in their place: much of
 * `/etc`, and everything that Kubernetes mounts, is a link to what is written elsewhere.
 */
export async function readLinked(path: string, maxBytes: number): Promise<Buffer | undefined> {
  return readBounded(await realpath(path).catch(() => path), maxBytes);
}

const chunkBytes = 64 * 1024;
/** Files of /proc have no size; most of them are this small. */
const firstBytes = 4 * 1024;

interface Extent {
  readonly maxBytes: number;
  readonly from: number;
  /** As the file system says, and only a hint: it may grow, files of /proc say 0. */
  readonly sizeBytes: number;
}

/** By chunks until the end; a file that is as long as it says costs one read. */
async function readChunks(
  handle: FileHandle,
  { maxBytes, from, sizeBytes }: Extent,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  let wantedBytes = sizeBytes > from ? sizeBytes - from + 1 : firstBytes;
  while (length < maxBytes) {
    const chunk = Buffer.allocUnsafe(Math.min(wantedBytes, chunkBytes, maxBytes - length));
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, from + length);
    if (bytesRead === 0) break;
    chunks.push(chunk.subarray(0, bytesRead));
    length += bytesRead;
    if (sizeBytes > from && bytesRead < chunk.length) break; // /proc alone reads short before its end
    wantedBytes = chunkBytes;
  }
  const [only] = chunks;
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks);
}
