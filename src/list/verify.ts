/**
 * The one gate between published bytes and a list that may be used (trust-and-safety 1.6, steps
 * 4 to 8). It decides what is proven and how fresh it is; it does not know the disk, the network or
 * the agent. Any error leaves the caller with the last good list.
 */
import { sha256Tag } from '../bytes.ts';
import { ListError } from '../errors.ts';
import { checkConstraints, checkRemoved } from './constraints.ts';
import { checkHeaderKind } from './document-type.ts';
import { type Envelope, parseEnvelope } from './envelope.ts';
import { expiresAtMs, type Freshness, judgeFreshness } from './freshness.ts';
import type { Audience, ManagerList, Role } from './model.ts';
import { parseList } from './parse-list.ts';
import { judgePosition, type KnownList } from './position.ts';
import type { PollReceipt } from './receipt.ts';
import { rootStatus, type VerifiedRoot } from './root.ts';
import { findSigners, meetsThreshold } from './signatures.ts';
import { managersSeenFrom } from './zone-addresses.ts';

declare const verified: unique symbol;
/** A list that passed every check. Only this file can make one. */
export type VerifiedList = ManagerList & { readonly [verified]: true };

/** Everything a list is judged by. */
export interface ListProof {
  readonly envelope: Uint8Array;
  readonly root: VerifiedRoot;
  /** This host's own group and site, from token or local configuration, never from the request. */
  readonly audience: Audience;
  /**
   * This host's own zone, from local configuration: the list comes with the addresses that are
   * dialled there. Absent where nobody dials (publishers): every address stays in it.
   */
  readonly zone?: Zone;
  /** The newest list accepted so far; absent only at the first join. */
  readonly known?: KnownList;
  /** The list in use, against which removals are counted. */
  readonly lastGood?: ManagerList;
  readonly receipt?: PollReceipt;
  /** The later of wall clock and the time this host has already seen (its floor). */
  readonly nowMs: number;
}

/** `name` absent: of no zone. */
export interface Zone {
  readonly name: string | undefined;
}

export interface ProvenList extends KnownList {
  readonly list: VerifiedList;
  readonly signedBy: 'list' | 'rescue';
}

export interface AcceptedList extends ProvenList {
  /** `same`: byte for byte the list already known; only its freshness is news. */
  readonly kind: 'new' | 'same';
  readonly freshness: Freshness;
}

export interface StoredList extends ProvenList {
  /** Both only warn: the last good list stays in use until a better one is proven. */
  readonly isExpired: boolean;
  /** Made under an earlier epoch than the root's. */
  readonly isRevoked: boolean;
}

/**
 * @throws ListError of envelope and list format, `unknown_key`, `threshold`, `wrong_type`,
 * `wrong_audience`, `wrong_epoch`, `rolled_back`, `equivocation`, `version_jump`, `stale`,
 * `expired_at_join`, `clock_implausible`, `root_expired`, `constraint`, `too_many_removed`
 */
export async function verifyList(proof: ListProof): Promise<AcceptedList> {
  const { root, known, lastGood, receipt, nowMs } = proof;
  const { signedBy, hash, list } = await openList(proof.envelope, root);
  checkAudience(list, root.org, proof.audience);
  checkEpoch(list, root);
  const kind = judgePosition({ position: list, hash }, known);
  const isFirst = known === undefined;
  const freshness = await judgeFreshness({ list, hash, root, isFirst, receipt, nowMs });
  if (kind === 'new' && freshness.kind !== 'fresh' && rootStatus(root, nowMs) === 'expired') {
    throw new ListError('root_expired', `root ${root.version} has expired and no receipt came`);
  }
  checkConstraints(list, root.constraints);
  const seen = seenFrom(list, proof.zone);
  if (lastGood !== undefined && signedBy !== 'rescue') {
    checkRemoved(seen, lastGood, root.constraints.maxRemovedPct);
  }
  return { ...mint(seen, hash, signedBy), kind, freshness };
}

/**
 * The last good list as read back from disk: proven as before, but neither its age nor its epoch
 * disarms it. Pass the root under which it was accepted.
 * @throws ListError of envelope and list format, `unknown_key`, `threshold`, `wrong_type`,
 * `wrong_audience`, `wrong_epoch`, `constraint`
 */
export async function verifyStoredList(
  stored: Pick<ListProof, 'envelope' | 'root' | 'audience' | 'zone' | 'nowMs'>,
): Promise<StoredList> {
  const { root, nowMs } = stored;
  const { signedBy, hash, list } = await openList(stored.envelope, root);
  checkAudience(list, root.org, stored.audience);
  if (list.epoch > root.epoch || list.rootVersion > root.version) checkEpoch(list, root);
  checkConstraints(list, root.constraints);
  return {
    ...mint(seenFrom(list, stored.zone), hash, signedBy),
    isExpired: nowMs >= expiresAtMs(list),
    isRevoked: list.epoch < root.epoch,
  };
}

/** Signatures first, over the exact bytes; only then are those same bytes parsed. */
async function openList(
  bytes: Uint8Array,
  root: VerifiedRoot,
): Promise<{
  readonly signedBy: 'list' | 'rescue';
  readonly hash: string;
  readonly list: ManagerList;
}> {
  const envelope = parseEnvelope(bytes);
  checkHeaderKind(envelope.kind, 'list');
  const signers = await findSigners(envelope, root.keys, 'threshold');
  const signedBy = signingRole(envelope, signers, root);
  const list = parseList(envelope.payloadBytes);
  return { signedBy, hash: sha256Tag(envelope.payloadBytes), list };
}

function signingRole(
  envelope: Envelope,
  signers: ReadonlySet<string>,
  root: VerifiedRoot,
): 'list' | 'rescue' {
  const { list, rescue } = root.roles;
  if (meetsThreshold(signers, rescue)) return 'rescue';
  if (meetsThreshold(signers, list)) return 'list';
  const known = [...signers].filter((kid) => [...list.kids, ...rescue.kids].includes(kid));
  if (known.length === 0) {
    const kids = envelope.signatures.map((one) => one.kid).join(', ');
    throw new ListError('unknown_key', `list: signed by ${kids}; root ${root.version} trusts none`);
  }
  throw new ListError('threshold', `list: ${known.length} trusted keys signed; ${needed(list)}`);
}

function needed(role: Role): string {
  return `needed: ${role.threshold} list keys or the rescue keys`;
}

function checkAudience(list: ManagerList, org: string, own: Audience): void {
  if (list.org !== org) {
    throw new ListError('wrong_audience', `list: org is "${list.org}"; expected: "${org}"`);
  }
  for (const name of ['group', 'site'] as const) {
    const seen = list.aud[name];
    if (seen === '*' || seen === own[name]) continue;
    const expected = `this host's ${name} is "${own[name]}"`;
    throw new ListError('wrong_audience', `list: aud.${name} is "${seen}"; ${expected}`);
  }
}

function checkEpoch(list: ManagerList, root: VerifiedRoot): void {
  if (list.rootVersion > root.version) {
    const newest = `the newest root known here is ${root.version}`;
    throw new ListError('wrong_epoch', `list: made under root ${list.rootVersion}; ${newest}`);
  }
  if (list.epoch === root.epoch) return;
  const expected = `root ${root.version} is in epoch ${root.epoch}`;
  throw new ListError('wrong_epoch', `list: epoch is ${list.epoch}; ${expected}`);
}

function seenFrom(list: ManagerList, zone: Zone | undefined): ManagerList {
  if (zone === undefined) return list;
  return { ...list, managers: managersSeenFrom(list.managers, zone.name) };
}

function mint(list: ManagerList, hash: string, signedBy: 'list' | 'rescue'): ProvenList {
  const { epoch, term, version } = list;
  return { list: list as VerifiedList, position: { epoch, term, version }, hash, signedBy };
}
