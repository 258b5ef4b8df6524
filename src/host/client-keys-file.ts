/** `etc/client.keys` of a manager: read when it changed, replaced whole with owner and mode kept. */
import { type BigIntStats, constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../clock.ts';
import { HostError } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';
import { keysFacts } from '../promotion/client-keys.ts';
import type { KeysFile, KeysSeen } from '../promotion/ports.ts';
import { asHostErrors } from './host-error.ts';
import { replaceFile } from './replace-file.ts';

const maxBytes = 256 * 1024 * 1024;
/** A second write within this may bear the same time. */
const settledMs = 1_000;

export function openClientKeys(home: string, clock: Clock): KeysFile {
  const path = join(home, 'etc', 'client.keys');
  let known: { readonly stamp: string; readonly seen: KeysSeen } | undefined;
  return {
    async read() {
      const stats = await statsOf(path);
      const stamp = stats && stampOf(stats, clock.nowMs());
      if (stamp !== undefined && known?.stamp === stamp) return known.seen;
      const bytes = stats === undefined ? Buffer.alloc(0) : await readWhole(path);
      const isSame = known?.seen.bytes.equals(bytes) === true;
      const seen = isSame && known ? known.seen : { bytes, facts: keysFacts(bytes) };
      known = { stamp: stamp ?? '', seen };
      return seen;
    },
    replace: (bytes) => replaceFile(path, bytes),
  };
}

async function statsOf(path: string): Promise<BigIntStats | undefined> {
  try {
    return await lstat(path, { bigint: true });
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw new HostError('store_failed', `${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** Undefined: it changed a moment ago, and may again without a sign. */
function stampOf({ dev, ino, size, ctimeNs, ctimeMs }: BigIntStats, nowMs: number) {
  if (Math.abs(nowMs - Number(ctimeMs)) < settledMs) return undefined;
  return `${dev} ${ino} ${size} ${ctimeNs}`;
}

async function readWhole(path: string): Promise<Buffer> {
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  return asHostErrors(path, async () => {
    const handle = await open(path, flags);
    try {
      const stats = await handle.stat();
      if (stats.isFile() && stats.size <= maxBytes) return await handle.readFile();
    } finally {
      await handle.close();
    }
    throw new HostError('not_regular', `${path}: expected a regular file of at most ${maxBytes}`);
  });
}
