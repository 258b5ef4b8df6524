/** A string that a peer uploaded, as bytes, wherever it was kept. */
import type { Link } from '../link.ts';
import type { TransferFolder } from './node-ports.ts';

export interface StringPeer {
  readonly link: Link;
  readonly transfers: TransferFolder;
}

/**
 * Takes the string from the session and the disk, once. Undefined: unknown, incomplete, or longer
 * than `maxBytes`. Rejects when the disk fails.
 */
export async function takeString(
  { link, transfers }: StringPeer,
  id: string,
  maxBytes: number,
): Promise<Buffer | undefined> {
  const taken = link.takeString(id);
  if (taken === undefined) return undefined;
  if (taken.kind === 'memory') return taken.bytes.length > maxBytes ? undefined : taken.bytes;
  try {
    if (taken.sizeBytes > maxBytes) return undefined;
    return await transfers.read(taken.transfer);
  } finally {
    await transfers.drop(taken.transfer);
  }
}
