/**
 * First contact: the token pins the root by hash, so the root may come from anywhere; the first
 * list must prove itself under it. Nothing is kept until everything passed (trust-and-safety 1.8).
 */
import { ConfigError, PeerError, type PilotfishError } from '../errors.ts';
import { type JoinToken, listLimits } from '../list/model.ts';
import { verifyPinnedRoot } from '../list/root.ts';
import { rootPathsOf } from '../list/shared-names.ts';
import { checkTokenOrg, parseToken } from '../list/token.ts';
import { type Memory, newMemory } from './memory.ts';
import { rememberNews } from './remember.ts';
import { type News, pollSources, type SourceFault, type SourceWorld } from './source.ts';
import { readTrust } from './trust.ts';

export interface JoinRequest {
  readonly token: string;
  /** Bytes of the root envelope carried here by hand. */
  readonly rootEnvelope?: Uint8Array;
  /** What this host remembers; undefined when it never joined or forgets on purpose. */
  readonly before: Memory | undefined;
  readonly agentId: string;
  /** This host's own. */
  readonly zone?: string | undefined;
}

export interface Joined {
  readonly memory: Memory;
  readonly news: News;
}

/** Throws ConfigError `token_invalid`, `token_other_org`, ListError, or PeerError when nobody answers. */
export async function join(sources: SourceWorld, request: JoinRequest): Promise<Joined> {
  const token = parseToken(request.token);
  const { before } = request;
  checkTokenOrg(token, before === undefined ? undefined : parseToken(before.token).org);
  const memory = before ?? (await bootstrap(sources, token, request));
  const started = changeToken(memory, request.token);
  const nowMs = sources.clock.nowMs();
  const trust = await readTrust(started, nowMs, request.zone);
  const news = await pollSources(sources, started, trust, { waitMs: 0 });
  const joined = rememberNews(started, news, request.agentId, nowMs);
  if (joined.list === undefined) throw worstOf(news.faults, request);
  await readTrust(joined, nowMs, request.zone); // what is written must be readable
  return { memory: joined, news };
}

async function bootstrap(
  sources: SourceWorld,
  token: JoinToken,
  request: JoinRequest,
): Promise<Memory> {
  const envelope =
    request.rootEnvelope ??
    (await readRootBeside(sources, token)) ??
    (await fetchRoot(sources, token));
  const { hash } = await verifyPinnedRoot(envelope, token);
  return newMemory(request.token, { envelope, pin: hash }, floorOf(token));
}

/** No clock before the day the token was made is believed. */
function floorOf({ notBefore }: JoinToken): number {
  const atMs = notBefore === undefined ? Number.NaN : Date.parse(`${notBefore}T00:00:00Z`);
  return Number.isNaN(atMs) ? 0 : atMs;
}

/** Where lists travel as files, the root does too. */
async function readRootBeside(
  { files, filePaths }: SourceWorld,
  { rootVersion }: JoinToken,
): Promise<Uint8Array | undefined> {
  for (const path of filePaths) {
    for (const beside of rootPathsOf(path, rootVersion)) {
      const envelope = await files.read(beside, listLimits.maxEnvelopeBytes);
      if (envelope !== undefined) return envelope;
    }
  }
  return undefined;
}

async function fetchRoot(
  { link, random, publishers: own = [] }: SourceWorld,
  token: JoinToken,
): Promise<Uint8Array> {
  const faults: PilotfishError[] = [];
  const urls = (own.length > 0 ? own : token.publishers)
    .map((url) => ({ url, chance: random.fraction() }))
    .sort((left, right) => left.chance - right.chance);
  for (const { url } of urls) {
    try {
      const answer = await link.ask({
        url,
        pins: token.ca === undefined ? 'content_is_pinned' : [token.ca],
        path: `/v1/root/${token.rootVersion}`,
        waitMs: 0,
        maxBytes: listLimits.maxEnvelopeBytes,
      });
      if (answer.kind === 'document') return answer.body;
      faults.push(new PeerError('http_status', `${url}: has no root ${token.rootVersion}`));
    } catch (thrown) {
      if (!(thrown instanceof PeerError)) throw thrown;
      faults.push(thrown);
    }
  }
  const [first] = faults;
  if (first !== undefined) throw first;
  throw new ConfigError('token_invalid', 'the token names no publisher: give --root and --list');
}

/** Another group or site reads other lists: the one in use was not made for it. */
function changeToken(memory: Memory, token: string): Memory {
  const [before, after] = [parseToken(memory.token), parseToken(token)];
  if (before.group === after.group && before.site === after.site) return { ...memory, token };
  const { list: _, pending: __, ...rest } = memory;
  return { ...rest, token };
}

/** A broken proof tells more than a publisher that cannot be reached. */
function worstOf(faults: readonly SourceFault[], request: JoinRequest): PilotfishError {
  const errors = faults.map(({ error }) => error);
  const found = errors.find(({ exit }) => exit === 4) ?? errors[0];
  if (found !== undefined) return found;
  const how = request.rootEnvelope === undefined ? '' : '; with --root give --list too';
  return new PeerError('connect_failed', `no publisher and no file gave a list${how}`);
}
