/** The roots of this publisher: the first as it lies there, every later one proven by the one before. */
import { sha256Tag } from '../bytes.ts';
import { ConfigError } from '../errors.ts';
import { parseEnvelope } from '../list/envelope.ts';
import { type AcceptedRoot, verifyNextRoot, verifyPinnedRoot } from '../list/root.ts';
import type { PublisherFolder } from './init.ts';

export interface RootChain {
  readonly newest: AcceptedRoot;
  /** Envelope of each version, as served. */
  readonly envelopes: ReadonlyMap<number, Uint8Array>;
}

const maxRoots = 10_000;

/** Throws ConfigError when there is none, ListError when one does not follow from its predecessor. */
export async function loadRoots(
  folder: PublisherFolder,
  directory: string,
  org: string,
): Promise<RootChain> {
  const envelopes = new Map<number, Uint8Array>();
  let newest: AcceptedRoot | undefined;
  for (let version = 1; version <= maxRoots; version += 1) {
    const text = await folder.read(`${directory}/${version}.json`);
    if (text === undefined) break;
    const bytes = Buffer.from(text, 'utf8');
    newest = await nextRoot(newest, bytes, org);
    envelopes.set(newest.root.version, bytes);
  }
  if (newest !== undefined) return { newest, envelopes };
  const seen = `${folder.path}/${directory}/1.json is missing`;
  throw new ConfigError('config_unreadable', `${seen}; \`pilotfish-publisher init\` makes it`);
}

function nextRoot(
  newest: AcceptedRoot | undefined,
  bytes: Uint8Array,
  org: string,
): Promise<AcceptedRoot> {
  if (newest !== undefined) return verifyNextRoot(newest.root, bytes);
  const rootHash = sha256Tag(parseEnvelope(bytes).payloadBytes);
  return verifyPinnedRoot(bytes, { org, rootHash });
}
