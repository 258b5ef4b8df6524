/**
 * Roots: the first one by its pinned hash, every later one signed by the threshold of the root
 * before it and by its own. An expired root stays usable for the last good list, so expiry is a
 * status here, never an error.
 */
import { sha256Tag } from '../bytes.ts';
import { ListError } from '../errors.ts';
import { checkHeaderKind } from './document-type.ts';
import { type Envelope, parseEnvelope } from './envelope.ts';
import type { Root } from './model.ts';
import { parseRoot } from './parse-root.ts';
import { findSigners, meetsThreshold } from './signatures.ts';

declare const verified: unique symbol;
/** A root that passed every check. Only this file can make one. */
export type VerifiedRoot = Root & { readonly [verified]: true };

export interface AcceptedRoot {
  readonly root: VerifiedRoot;
  /** `sha256:` tag of the payload: the pin under which this root can be stored and read again. */
  readonly hash: string;
}

/** What a token pins, or what a host stored of the root it accepted. */
export interface RootPin {
  readonly org: string;
  readonly rootHash: string;
}

/**
 * The root whose payload hash is pinned, from wherever it came. It must carry its own threshold too.
 * @throws ListError of the envelope, `wrong_type`, `root_hash`, `root_org`, `root_threshold`,
 * `root_invalid`, `weak_key`
 */
export async function verifyPinnedRoot(bytes: Uint8Array, pin: RootPin): Promise<AcceptedRoot> {
  const envelope = parseEnvelope(bytes);
  checkHeaderKind(envelope.kind, 'root');
  const hash = sha256Tag(envelope.payloadBytes);
  if (hash !== pin.rootHash) {
    throw new ListError('root_hash', `the root's hash is ${hash}; pinned: ${pin.rootHash}`);
  }
  const root = parseRoot(envelope.payloadBytes);
  checkOrg(root, pin.org);
  await checkThreshold(envelope, root, `root ${root.version}`);
  return mint(root, hash);
}

/**
 * The root after `current`.
 * @throws ListError of the envelope, `wrong_type`, `root_threshold`, `root_org`, `root_gap`,
 * `wrong_epoch`, `root_invalid`, `weak_key`
 */
export async function verifyNextRoot(
  current: VerifiedRoot,
  bytes: Uint8Array,
): Promise<AcceptedRoot> {
  const envelope = parseEnvelope(bytes);
  checkHeaderKind(envelope.kind, 'root');
  await checkThreshold(envelope, current, `root ${current.version}, known here`);
  const next = parseRoot(envelope.payloadBytes);
  checkOrg(next, current.org);
  if (next.version !== current.version + 1) {
    const expected = `expected: ${current.version + 1}`;
    throw new ListError('root_gap', `root: version is ${next.version}; ${expected}`);
  }
  if (next.epoch < current.epoch) {
    const allowed = `allowed: at least ${current.epoch}`;
    throw new ListError('wrong_epoch', `root: epoch is ${next.epoch}; ${allowed}`);
  }
  await checkThreshold(envelope, next, `root ${next.version} itself`);
  return mint(next, sha256Tag(envelope.payloadBytes));
}

/** `expired` warns: the last good list stays, new lists need a receipt (E304 `root_expired`). */
export function rootStatus(root: Root, nowMs: number): 'current' | 'expired' {
  return nowMs < root.expiresAtMs ? 'current' : 'expired';
}

function checkOrg(root: Root, org: string): void {
  if (root.org === org) return;
  throw new ListError('root_org', `root: org is "${root.org}"; expected: "${org}"`);
}

async function checkThreshold(envelope: Envelope, root: Root, whose: string): Promise<void> {
  const signers = await findSigners(envelope, root.keys, 'root_threshold');
  const { threshold, kids } = root.roles.root;
  if (meetsThreshold(signers, root.roles.root)) return;
  const seen = kids.filter((kid) => signers.has(kid)).length;
  throw new ListError(
    'root_threshold',
    `root: ${seen} valid signatures of the root keys of ${whose}; needed: ${threshold}`,
  );
}

function mint(root: Root, hash: string): AcceptedRoot {
  return { root: root as VerifiedRoot, hash };
}
