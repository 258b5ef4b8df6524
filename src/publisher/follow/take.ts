/**
 * What a follower believes: exactly what a sidecar with the same token would. Roots from the first
 * one on, each proven by the one before, through the one that the token pins; a list that is signed,
 * within its constraints, not older than the one held. Only proven things leave this file; the same
 * bytes are served on.
 */
import { sha256Tag } from '../../bytes.ts';
import { ListError } from '../../errors.ts';
import { parseEnvelope } from '../../list/envelope.ts';
import { checkFlat, type FlatForm } from '../../list/flat.ts';
import type { JoinToken } from '../../list/model.ts';
import { parseList } from '../../list/parse-list.ts';
import { comparePositions } from '../../list/position.ts';
import { type AcceptedRoot, verifyNextRoot, verifyPinnedRoot } from '../../list/root.ts';
import { type ProvenList, verifyList, verifyStoredList } from '../../list/verify.ts';
import { type Bundle, maxRoots, type Offer } from './offer.ts';

/** A proven chain, from the first root on; both lists are of one length, never empty. */
export interface Chain {
  readonly envelopes: readonly Uint8Array[];
  readonly accepted: readonly AcceptedRoot[];
  readonly newest: AcceptedRoot;
}

/** What is served: every part of it proven. */
export interface Held {
  readonly chain: Chain;
  readonly proven: ProvenList;
  readonly bundle: Bundle;
  readonly newcomers?: ProvenList;
}

export type FollowTrust = Pick<JoinToken, 'org' | 'rootHash' | 'rootVersion' | 'group' | 'site'>;

/**
 * `known` with every root after it that is offered; the very same value when there is none.
 * Throws ListError: also when the chain does not run through the pinned root.
 */
export async function walkRoots(
  known: Chain | undefined,
  offer: Pick<Offer, 'root'>,
  trust: FollowTrust,
): Promise<Chain | undefined> {
  const envelopes = [...(known?.envelopes ?? [])];
  const accepted = [...(known?.accepted ?? [])];
  let newest = known?.newest;
  while (envelopes.length < maxRoots) {
    const bytes = await offer.root(envelopes.length + 1);
    if (bytes === undefined) break;
    newest = await nextRoot(newest, bytes, trust);
    checkPin(newest, trust);
    accepted.push(newest);
    envelopes.push(bytes);
  }
  if (newest === undefined || envelopes.length === known?.envelopes.length) return known;
  return { envelopes, accepted, newest };
}

function nextRoot(
  newest: AcceptedRoot | undefined,
  bytes: Uint8Array,
  { org }: FollowTrust,
): Promise<AcceptedRoot> {
  if (newest !== undefined) return verifyNextRoot(newest.root, bytes);
  const rootHash = sha256Tag(parseEnvelope(bytes).payloadBytes);
  return verifyPinnedRoot(bytes, { org, rootHash });
}

function checkPin({ root, hash }: AcceptedRoot, { rootVersion, rootHash }: FollowTrust): void {
  if (root.version !== rootVersion || hash === rootHash) return;
  throw new ListError('root_hash', `root ${rootVersion} is ${hash}; the token pins ${rootHash}`);
}

export interface Taken {
  /** `same`: the list that is held already; `freshAtMs` may be news. */
  readonly kind: 'new' | 'same';
  readonly held: Held;
  /** By the writer's own word for this very question. */
  readonly freshAtMs?: number;
}

/** Throws ListError as `verifyList` does; what was held is then held on. */
export async function takeOffer(
  held: Held | undefined,
  chain: Chain | undefined,
  offer: Offer,
  ground: { readonly trust: FollowTrust; readonly nowMs: number },
): Promise<Taken> {
  const { trust, nowMs } = ground;
  const { root } = reachedPin(chain, trust).newest;
  const { group, site } = trust;
  const answer = await verifyList({
    envelope: offer.list,
    root,
    audience: { group, site },
    ...(held === undefined ? {} : { known: held.proven, lastGood: held.proven.list }),
    ...(offer.receipt === undefined ? {} : { receipt: offer.receipt }),
    nowMs,
  });
  const { freshness } = answer;
  const fresh = freshness.kind === 'fresh' ? { freshAtMs: freshness.receipt.nowMs } : {};
  const isHeld = answer.kind === 'same' && held !== undefined;
  const next = reachedPin(chain, trust);
  if (isHeld) return { kind: 'same', held: withChain(held, next), ...fresh };
  const first = await proveNewcomers(answer, offer.newcomers, { ...ground, root });
  const flat = provenFlat(offer.flat, first ?? answer, root);
  return { kind: 'new', held: join(next, answer, { offer, first, flat }), ...fresh };
}

/** Nothing is taken before the pinned root was seen in its place. */
function reachedPin(chain: Chain | undefined, { rootVersion }: FollowTrust): Chain {
  if (chain !== undefined && chain.envelopes.length >= rootVersion) return chain;
  const seen = `roots to ${chain?.envelopes.length ?? 0} are offered`;
  throw new ListError('root_gap', `${seen}; the token pins root ${rootVersion}`);
}

/** Roots that came after the list do not change it; they are served. */
function withChain(held: Held, chain: Chain): Held {
  if (chain === held.chain) return held;
  return { ...held, chain, bundle: { ...held.bundle, roots: chain.envelopes } };
}

interface Parts {
  readonly offer: Offer;
  readonly first: ProvenList | undefined;
  readonly flat: FlatForm | undefined;
}

function join(chain: Chain, proven: ProvenList, { offer, first, flat }: Parts): Held {
  const isRollout = first !== undefined && offer.newcomers !== undefined;
  return {
    chain,
    proven,
    ...(isRollout ? { newcomers: first } : {}),
    bundle: {
      roots: chain.envelopes,
      list: offer.list,
      ...(isRollout ? { newcomers: offer.newcomers } : {}),
      ...(flat === undefined ? {} : { flat }),
    },
  };
}

/** Only while a rollout goes on, and only an older list under the same root. */
async function proveNewcomers(
  { list }: ProvenList,
  envelope: Uint8Array | undefined,
  ground: {
    readonly trust: FollowTrust;
    readonly nowMs: number;
    readonly root: AcceptedRoot['root'];
  },
): Promise<ProvenList | undefined> {
  if (envelope === undefined || list.rollout === undefined) return undefined;
  const { root, nowMs, trust } = ground;
  const audience = { group: trust.group, site: trust.site };
  const stable = await verifyStoredList({ envelope, root, audience, nowMs });
  const isOlder = comparePositions(stable.position, list) < 0;
  const isUsable = isOlder && !stable.isExpired && !stable.isRevoked;
  return isUsable && stable.list.rootVersion === list.rootVersion ? stable : undefined;
}

function provenFlat(
  flat: FlatForm | undefined,
  named: ProvenList,
  root: AcceptedRoot['root'],
): FlatForm | undefined {
  if (flat !== undefined) checkFlat(flat, named, root);
  return flat;
}

/**
 * A bundle as it lies on our own disk: proven again from the pin on; its age refuses nothing.
 * Throws ListError.
 */
export async function restoreHeld(
  bundle: Bundle,
  ground: { readonly trust: FollowTrust; readonly nowMs: number },
): Promise<Held> {
  const { trust, nowMs } = ground;
  const root = async (version: number) => bundle.roots[version - 1];
  const chain = reachedPin(await walkRoots(undefined, { root }, trust), trust);
  const audience = { group: trust.group, site: trust.site };
  const under = rootUnder(bundle.list, chain);
  const proven = await verifyStoredList({ envelope: bundle.list, root: under, audience, nowMs });
  const first = await proveNewcomers(proven, bundle.newcomers, { trust, nowMs, root: under });
  const flat = provenFlat(bundle.flat, first ?? proven, under);
  return join(chain, proven, { offer: { ...bundle, root }, first, flat });
}

/** A later root may no longer name the key of the list that it was published after. */
function rootUnder(envelope: Uint8Array, { accepted, newest }: Chain): AcceptedRoot['root'] {
  const { rootVersion } = parseList(parseEnvelope(envelope).payloadBytes);
  return (accepted[rootVersion - 1] ?? newest).root;
}
