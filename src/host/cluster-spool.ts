/** A sealed bundle on disk: unlinked at once, so nothing stays behind whatever happens to us. */
import { mkdir, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Random } from '../clock.ts';
import type { SealedSpool } from '../cluster/tasks/sealed-pack.ts';
import { HostError } from '../errors.ts';
import { bulkMemory } from './bulk-memory.ts';

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
  return {
    descriptor: file.fd,
    async read(offset, into) {
      bulkMemory.moved(into.length);
      for (let start = 0; start < into.length; ) {
        const { bytesRead } = await file.read(into, start, into.length - start, offset + start);
        if (bytesRead === 0) throw new HostError('store_failed', 'a sealed bundle is cut short');
        start += bytesRead;
      }
    },
    drop: () => file.close(),
  };
}
