/** A sealed bundle on disk: unlinked at once, so nothing stays behind whatever happens to us. */
import { mkdir, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Random } from '../clock.ts';
import type { SealedSpool } from '../cluster/tasks/shared-bundle.ts';
import { HostError } from '../errors.ts';
import { bulkMemory } from './bulk-memory.ts';

/** Plain, padded, encrypted, base64: what one sealed byte costs on its way here. */
const copiesPerByte = 4;

export async function openClusterSpool(folder: string, random: Random): Promise<SealedSpool> {
  await mkdir(folder, { recursive: true, mode: 0o770 });
  const path = join(folder, `${Buffer.from(random.bytes(8)).toString('hex')}.sealed`);
  const file = await open(path, 'wx+', 0o600);
  try {
    await unlink(path);
  } catch (error) {
    // A handle nobody closes ends the whole process when it is collected.
    await file.close();
    throw error;
  }
  let length = 0;
  return {
    async append(bytes) {
      bulkMemory.moved(bytes.length * copiesPerByte);
      for (let start = 0; start < bytes.length; ) {
        const { bytesWritten } = await file.write(bytes, start, bytes.length - start, length);
        start += bytesWritten;
        length += bytesWritten;
      }
    },
    async read(offset, size) {
      bulkMemory.moved(size);
      const bytes = Buffer.allocUnsafe(size);
      for (let start = 0; start < size; ) {
        const { bytesRead } = await file.read(bytes, start, size - start, offset + start);
        if (bytesRead === 0) throw new HostError('store_failed', 'a sealed bundle is cut short');
        start += bytesRead;
      }
      return bytes;
    },
    drop: () => file.close(),
  };
}
