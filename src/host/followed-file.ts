/**
 * What a follower serves, in one file: a line that says since when and from where, then the bundle.
 * Replaced whole; the age of a list and its proof are the reader's business.
 */
import { join } from 'node:path';
import { HostError } from '../errors.ts';
import type { FollowedFile, StoredFollowed } from '../publisher/follow/follower.ts';
import { decodeBundle, encodeBundle, maxBundleBytes } from '../publisher/follow/offer.ts';
import { readBounded } from './read-bounded.ts';
import { writeDurably } from './two-generation-file.ts';

const fileName = 'followed.json';
const headShape = /^pf-followed 1 (\d{1,16}) ([^\n]{1,4200})\n/;
const maxHeadBytes = 4_400;

export function openFollowedFile(directory: string): FollowedFile {
  const path = join(directory, fileName);
  return {
    async read() {
      const bytes = await readBounded(path, maxBundleBytes + maxHeadBytes);
      return bytes === undefined ? undefined : parseFile(path, bytes);
    },
    write({ bundle, source, takenAtMs }) {
      const head = Buffer.from(`pf-followed 1 ${takenAtMs} ${source}\n`, 'utf8');
      return writeDurably(path, Buffer.concat([head, encodeBundle(bundle)]));
    },
  };
}

function parseFile(path: string, bytes: Buffer): StoredFollowed {
  const head = headShape.exec(bytes.toString('utf8', 0, maxHeadBytes));
  const [whole, takenAtMs, source] = head ?? [];
  if (whole === undefined || source === undefined) {
    throw new HostError('state_unreadable', `${path} is damaged`);
  }
  const bundle = decodeBundle(bytes.subarray(Buffer.byteLength(whole)));
  return { bundle, source, takenAtMs: Number(takenAtMs) };
}
