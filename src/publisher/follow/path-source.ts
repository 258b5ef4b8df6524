/**
 * A shared path as a source: a folder that `export` writes, on whatever carries files, or the file in
 * a group's shared folder, which stock nodes carry. Looked at every second; what is held already is no
 * offer.
 */
import { sha256Tag } from '../../bytes.ts';
import { HostError, ListError } from '../../errors.ts';
import { parseEnvelope } from '../../list/envelope.ts';
import { listLimits } from '../../list/model.ts';
import { rootPathsOf, sharedListName } from '../../list/shared-names.ts';
import type { Followed, FollowSource, Look } from './follower.ts';
import type { Offer } from './offer.ts';

/** Port: undefined when absent, no regular file, or not to be read; at most `maxBytes`. */
export interface PathReader {
  read(path: string, maxBytes: number): Promise<Uint8Array | undefined>;
}

/** Below a folder, in the order in which they are looked for. */
const namesInFolder = ['v1/list', sharedListName, 'list'];
const maxFlatBytes = 16 * 1024;

export function buildPathSource(path: string, reader: PathReader): FollowSource {
  const candidates = [path, ...namesInFolder.map((name) => `${path.replace(/\/+$/, '')}/${name}`)];
  return {
    name: path,
    everyMs: 1_000,
    async look(known): Promise<Look> {
      const found = await firstOf(reader, candidates);
      if (found === undefined) {
        const where = candidates.slice(1).join(', ');
        throw new HostError('not_found', `${path} is no list that can be read, nor is ${where}`);
      }
      const { payloadBytes } = parseEnvelope(found.bytes);
      const isKnown = known.list?.hash === sha256Tag(payloadBytes);
      if (isKnown && !(await hasNextRoot(reader, found.path, known))) return { kind: 'nothing' };
      return { kind: 'offer', offer: await offerAt(reader, found) };
    },
  };
}

interface Found {
  readonly path: string;
  readonly bytes: Uint8Array;
}

async function firstOf(
  reader: PathReader,
  candidates: readonly string[],
): Promise<Found | undefined> {
  for (const path of candidates) {
    const bytes = await readDocument(reader, path);
    if (bytes !== undefined) return { path, bytes };
  }
  return undefined;
}

/** Throws ListError `too_big`, whatever the size. */
async function readDocument(reader: PathReader, path: string): Promise<Uint8Array | undefined> {
  const bytes = await reader.read(path, listLimits.maxEnvelopeBytes + 1);
  if (bytes === undefined || bytes.length <= listLimits.maxEnvelopeBytes) return bytes;
  throw new ListError('too_big', `${path}: over ${listLimits.maxEnvelopeBytes} bytes`);
}

async function readRoot(
  reader: PathReader,
  list: string,
  version: number,
): Promise<Uint8Array | undefined> {
  for (const path of rootPathsOf(list, version)) {
    const bytes = await readDocument(reader, path);
    if (bytes !== undefined) return bytes;
  }
  return undefined;
}

async function hasNextRoot(reader: PathReader, list: string, { root }: Followed): Promise<boolean> {
  return root !== undefined && (await readRoot(reader, list, root.version + 1)) !== undefined;
}

async function offerAt(reader: PathReader, { path, bytes }: Found): Promise<Offer> {
  const [text, signature] = await Promise.all(
    [`${path}.txt`, `${path}.txt.sig`].map((name) => reader.read(name, maxFlatBytes)),
  );
  return {
    root: (version) => readRoot(reader, path, version),
    list: bytes,
    ...(text === undefined || signature === undefined ? {} : { flat: { text, signature } }),
  };
}
