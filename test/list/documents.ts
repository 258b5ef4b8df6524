/**
 * Builders of signed documents for every test folder: a world with three root keys (two needed),
 * two list keys, and lists under that root. Keys come from their names, so runs repeat exactly.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { sha256Tag } from '../../src/bytes.ts';
import { ListError, type ReasonName } from '../../src/errors.ts';
import type {
  Audience,
  JoinToken,
  Manager,
  ManagerList,
  PublicKey,
  Receipt,
  Root,
} from '../../src/list/model.ts';
import { parseList, renderList } from '../../src/list/parse-list.ts';
import { renderRoot } from '../../src/list/parse-root.ts';
import type { KnownList } from '../../src/list/position.ts';
import { type AcceptedRoot, verifyPinnedRoot } from '../../src/list/root.ts';
import {
  type SigningKey,
  signDocument,
  signingKeyFromSeed,
  signReceipt,
} from '../../src/list/sign.ts';
import { type ListProof, verifyList } from '../../src/list/verify.ts';

/** The same name gives the same key, always. */
export function keyNamed(name: string): SigningKey {
  return signingKeyFromSeed(createHash('sha256').update(name).digest());
}

export const rootKeys = [keyNamed('root 1'), keyNamed('root 2'), keyNamed('root 3')] as const;
export const listKeys = [keyNamed('list 1'), keyNamed('list 2')] as const;
/** Named by no root. */
export const strangerKey = keyNamed('stranger');

export const issuedAtMs = Date.UTC(2026, 10, 21, 2);
/** One minute after the list was made. */
export const nowMs = issuedAtMs + 60_000;
export const audience: Audience = { group: 'default', site: 'eu-1' };
/** 16 bytes in base64url. */
export const nonce = 'AAECAwQFBgcICQoLDA0ODw';

export function keyRing(...keys: readonly SigningKey[]): Record<string, PublicKey> {
  return Object.fromEntries(keys.map((key) => [key.kid, key.publicKey]));
}

/** Two of three root keys, one of two list keys; hosts under mgr.acme.example, 10.20/16, 1514. */
export function aRoot(changes: Partial<Root> = {}): Root {
  const rootRole = { threshold: 2, kids: rootKeys.map((key) => key.kid) };
  return {
    org: 'acme-7f3a',
    version: 7,
    issuedAtMs: Date.UTC(2026, 10, 1),
    expiresAtMs: Date.UTC(2027, 10, 1),
    keys: keyRing(...rootKeys, ...listKeys),
    roles: {
      root: rootRole,
      list: { threshold: 1, kids: listKeys.map((key) => key.kid) },
      rescue: rootRole,
    },
    epoch: 3,
    constraints: {
      hosts: ['*.mgr.acme.example'],
      cidrs: ['10.20.0.0/16', '2001:db8:20::/48', '127.0.0.0/8'],
      ports: [1514, 1517],
      protocols: ['tcp'],
      minServers: 2,
      maxServers: 8,
      maxListValidFor: 172_800,
      maxRemovedPct: 50,
      minApplyInterval: 60,
    },
    publishers: [{ id: 'p1', url: 'https://p1.acme.example:8443', spki: [] }],
    staticDelivery: false,
    ...changes,
  };
}

export function aManager(id: string, changes: Partial<Manager> = {}): Manager {
  return {
    id,
    address: `${id}.mgr.acme.example`,
    port: 1514,
    protocol: 'tcp',
    zone: 'eu-1a',
    prio: 0,
    weight: 100,
    state: 'up',
    ...changes,
  };
}

/** wm-01 … wm-04 at (3, 12, 4211), valid for a day. */
export function aList(changes: Partial<ManagerList> = {}): ManagerList {
  return {
    org: 'acme-7f3a',
    rootVersion: 7,
    epoch: 3,
    term: 12,
    version: 4211,
    aud: audience,
    issuedAtMs,
    validFor: 86_400,
    managers: ['wm-01', 'wm-02', 'wm-03', 'wm-04'].map((id) => aManager(id)),
    client: {
      pollSec: 60,
      spreadSec: 120,
      cooldownSec: 300,
      panicPct: 50,
      agents: 1_000,
      probeBudgetPerManager: 500,
    },
    ...changes,
  };
}

export function aToken(changes: Partial<JoinToken> = {}): JoinToken {
  return {
    org: 'acme-7f3a',
    publishers: ['https://p1.acme.example:8443'],
    rootHash: sha256Tag(renderRoot(aRoot())),
    rootVersion: 7,
    kids: rootKeys.map((key) => key.kid),
    threshold: 2,
    group: 'default',
    site: 'eu-1',
    id: 'tok-19',
    ...changes,
  };
}

export function signedRoot(root: Root, keys: readonly SigningKey[] = rootKeys): Uint8Array {
  return signDocument('root', renderRoot(root), keys);
}

export function signedList(
  list: ManagerList,
  keys: readonly SigningKey[] = [listKeys[0]],
): Uint8Array {
  return signDocument('list', renderList(list), keys);
}

/** The verified form of a root, pinned by its own hash. */
export function acceptedRoot(root: Root = aRoot()): Promise<AcceptedRoot> {
  return verifyPinnedRoot(signedRoot(root), {
    org: root.org,
    rootHash: sha256Tag(renderRoot(root)),
  });
}

/** How a host remembers a list it accepted. */
export function knownFrom(list: ManagerList): KnownList {
  const { epoch, term, version } = list;
  return { position: { epoch, term, version }, hash: sha256Tag(renderList(list)) };
}

/** A receipt for `list`, answering `nonce`. */
export function aReceipt(
  list: ManagerList,
  changes: Partial<Receipt> = {},
  key: SigningKey = listKeys[0],
): string {
  const { position, hash } = knownFrom(list);
  return signReceipt({ ...position, nonce, list: hash, nowMs, ...changes }, key);
}

/** Everything needed to accept `list` at the first join, clock only. */
export async function proofOf(
  list: ManagerList = aList(),
  changes: Partial<ListProof> = {},
): Promise<ListProof> {
  const { root } = await acceptedRoot();
  return { envelope: signedList(list), root, audience, nowMs, ...changes };
}

/** For `assert.throws` and `assert.rejects`: a ListError with this reason. */
export function refusedAs(reason: ReasonName): (thrown: unknown) => boolean {
  return (thrown) => {
    if (!(thrown instanceof ListError)) throw thrown;
    if (thrown.reason !== reason) throw thrown;
    return true;
  };
}

/** `verifyList` refuses for this reason. */
export async function refused(reason: ReasonName, proof: ListProof): Promise<void> {
  await assert.rejects(verifyList(proof), refusedAs(reason));
}

/** The reason of the refusal; fails when there is none or when it is no ListError. */
export async function reasonOf(verdict: Promise<unknown>): Promise<ReasonName> {
  const outcome = await verdict.then(
    () => 'accepted',
    (thrown: unknown) => thrown,
  );
  assert.ok(outcome instanceof ListError, String(outcome));
  return outcome.reason;
}

/** The list in an envelope, unproven. */
export function listIn(envelope: Uint8Array): ManagerList {
  const { payload } = JSON.parse(Buffer.from(envelope).toString('utf8')) as { payload: string };
  return parseList(Buffer.from(payload, 'base64url'));
}
