/**
 * The applier proves the list itself, from bytes and its own state (trust-and-safety 1.6 step 11):
 * whoever filled the spool can withhold, nothing more. A list that is already known stays usable
 * when it expires or its keys are revoked: fail static.
 */
import { equalBytes } from '../bytes.ts';
import { ListError } from '../errors.ts';
import { parseEnvelope } from '../list/envelope.ts';
import { raiseFloorMs } from '../list/freshness.ts';
import type { Audience, Position } from '../list/model.ts';
import { parseRoot } from '../list/parse-root.ts';
import { type AcceptedRoot, verifyNextRoot, verifyPinnedRoot } from '../list/root.ts';
import { type VerifiedList, verifyList, verifyStoredList, type Zone } from '../list/verify.ts';
import type { StoredRoot, TrustMemory } from './memory.ts';
import type { ApplyRequest } from './request.ts';

export interface Proven {
  readonly list: VerifiedList;
  readonly position: Position;
  readonly listHash: string;
  /** What to remember from now on. */
  readonly trust: TrustMemory;
  /** Trust differs from what was remembered. */
  readonly advanced: boolean;
}

interface Ground {
  readonly trust: TrustMemory;
  readonly audience: Audience;
  readonly zone: Zone;
  readonly nowMs: number;
}

/** Trust for a host that just joined: a root whose hash the operator's token pinned. */
export async function trustRoot(
  rootEnvelope: Uint8Array,
  pin: { readonly org: string; readonly rootHash: string },
  nowMs: number,
): Promise<TrustMemory> {
  const { hash } = await verifyPinnedRoot(rootEnvelope, pin);
  return { org: pin.org, root: { envelope: rootEnvelope, hash }, floorMs: nowMs };
}

/**
 * As far as the roots of a request lead; the same object where none is newer. They prove themselves,
 * whatever comes of the list: who is further behind than one request reaches gets there in several.
 */
export async function followRoots(
  { rootEnvelopes }: ApplyRequest,
  trust: TrustMemory,
): Promise<TrustMemory> {
  const { stored, advanced } = await newestRoot(rootEnvelopes, trust);
  return advanced ? { ...trust, root: stored } : trust;
}

/** Throws ListError with the reason of the first check that failed. */
export async function verifyAgain(request: ApplyRequest, ground: Ground): Promise<Proven> {
  const nowMs = Math.max(ground.nowMs, ground.trust.floorMs);
  const root = await newestRoot(request.rootEnvelopes, ground.trust);
  const { trust, audience, zone } = ground;
  const place = { audience, zone };
  const { known } = trust;
  if (known !== undefined && equalBytes(known.envelope, request.listEnvelope)) {
    const { list } = await storedList(trust, place, nowMs);
    const next = { ...trust, root: root.stored };
    return { list, ...nameOf(known), trust: next, advanced: root.advanced };
  }
  const lastGood = await lastGoodList(trust, place, nowMs);
  const accepted = await verifyList({
    envelope: request.listEnvelope,
    root: root.accepted.root,
    ...place,
    ...(known === undefined ? {} : { known: { position: known.position, hash: known.hash } }),
    ...(lastGood === undefined ? {} : { lastGood }),
    ...(request.receipt === undefined ? {} : { receipt: request.receipt }),
    nowMs,
  });
  const { position, hash } = accepted;
  const next: TrustMemory = {
    ...trust,
    root: root.stored,
    known: { envelope: request.listEnvelope, position, hash, root: root.stored },
    floorMs: raiseFloorMs(trust.floorMs, accepted.list.issuedAtMs, ground.nowMs),
  };
  return { list: accepted.list, position, listHash: hash, trust: next, advanced: true };
}

interface NewestRoot {
  readonly accepted: AcceptedRoot;
  readonly stored: StoredRoot;
  readonly advanced: boolean;
}

/** Roots at or below ours are passed over: the asker may not know how far we are. */
async function newestRoot(
  envelopes: readonly Uint8Array[],
  trust: TrustMemory,
): Promise<NewestRoot> {
  let stored = trust.root;
  let accepted = await readRoot(stored, trust.org);
  for (const envelope of envelopes) {
    if (versionOf(envelope) <= accepted.root.version) continue;
    accepted = await verifyNextRoot(accepted.root, envelope);
    stored = { envelope, hash: accepted.hash };
  }
  return { accepted, stored, advanced: stored !== trust.root };
}

/** As the envelope says, unproven: good for passing over what is old, for nothing else. */
export function versionOf(envelope: Uint8Array): number {
  return parseRoot(parseEnvelope(envelope).payloadBytes).version;
}

function readRoot({ envelope, hash }: StoredRoot, org: string): Promise<AcceptedRoot> {
  return verifyPinnedRoot(envelope, { org, rootHash: hash });
}

type HostPlace = Pick<Ground, 'audience' | 'zone'>;

async function storedList(trust: TrustMemory, place: HostPlace, nowMs: number) {
  if (trust.known === undefined) throw new ListError('stale', 'no list was accepted here yet');
  const { root } = await readRoot(trust.known.root, trust.org);
  return verifyStoredList({ envelope: trust.known.envelope, root, ...place, nowMs });
}

/** For counting removals. A host whose group or site was changed has nothing to compare with. */
async function lastGoodList(
  trust: TrustMemory,
  place: HostPlace,
  nowMs: number,
): Promise<VerifiedList | undefined> {
  if (trust.known === undefined) return undefined;
  try {
    return (await storedList(trust, place, nowMs)).list;
  } catch (error) {
    if (error instanceof ListError && error.reason === 'wrong_audience') return undefined;
    throw error;
  }
}

function nameOf(known: NonNullable<TrustMemory['known']>): Pick<Proven, 'position' | 'listHash'> {
  return { position: known.position, listHash: known.hash };
}
