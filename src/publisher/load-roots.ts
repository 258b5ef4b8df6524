/** The roots of this publisher: the first as it lies there, every later one proven by the one before. */
import { sha256Tag } from '../bytes.ts';
import { ConfigError } from '../errors.ts';
import { parseEnvelope } from '../list/envelope.ts';
import { parseRoot } from '../list/parse-root.ts';
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
  const chain = await followRoots(folder, directory, org, undefined);
  if (chain !== undefined) return chain;
  const seen = `${folder.path}/${directory}/1.json is missing`;
  throw new ConfigError('config_unreadable', `${seen}; \`pilotfish-publisher init\` makes it`);
}

/** The chain in `roots`, of whichever organisation its first root is. Throws as `loadRoots`. */
export async function loadAnyRoots(folder: PublisherFolder): Promise<RootChain> {
  const text = (await folder.read('roots/1.json')) ?? '';
  const bytes = Buffer.from(text, 'utf8');
  const { org } = parseRoot(parseEnvelope(bytes).payloadBytes);
  return loadRoots(folder, 'roots', org);
}

/** `known` with the roots that came after it; the very same value when none did. */
export async function followRoots<Known extends RootChain | undefined>(
  folder: PublisherFolder,
  directory: string,
  org: string,
  known: Known,
): Promise<Known | RootChain> {
  const envelopes = new Map(known?.envelopes);
  let newest = known?.newest;
  while (envelopes.size < maxRoots) {
    const text = await folder.read(`${directory}/${(newest?.root.version ?? 0) + 1}.json`);
    if (text === undefined) break;
    const bytes = Buffer.from(text, 'utf8');
    newest = await nextRoot(newest, bytes, org);
    envelopes.set(newest.root.version, bytes);
  }
  return newest === undefined || newest === known?.newest ? known : { newest, envelopes };
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
