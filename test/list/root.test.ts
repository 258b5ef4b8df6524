import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256Tag } from '../../src/bytes.ts';
import type { ReasonName } from '../../src/errors.ts';
import type { Root } from '../../src/list/model.ts';
import { renderRoot } from '../../src/list/parse-root.ts';
import { rootStatus, verifyNextRoot, verifyPinnedRoot } from '../../src/list/root.ts';
import type { SigningKey } from '../../src/list/sign.ts';
import {
  acceptedRoot,
  aList,
  aRoot,
  keyNamed,
  keyRing,
  listKeys,
  refusedAs,
  rootKeys,
  signedList,
  signedRoot,
} from './documents.ts';

const pin = { org: 'acme-7f3a', rootHash: sha256Tag(renderRoot(aRoot())) };
const newKeys = [keyNamed('new 1'), keyNamed('new 2'), keyNamed('new 3')] as const;

function rotated(changes: Partial<Root> = {}): Root {
  const role = { threshold: 2, kids: newKeys.map((key) => key.kid) };
  return aRoot({
    version: 8,
    keys: keyRing(...newKeys, ...listKeys),
    roles: { ...aRoot().roles, root: role, rescue: role },
    ...changes,
  });
}

async function nextRefused(
  reason: ReasonName,
  next: Root,
  keys: readonly SigningKey[] = [...rootKeys, ...newKeys],
): Promise<void> {
  const { root } = await acceptedRoot();
  await assert.rejects(verifyNextRoot(root, signedRoot(next, keys)), refusedAs(reason));
}

test('the pinned root is accepted from wherever it comes', async () => {
  const { root, hash } = await verifyPinnedRoot(signedRoot(aRoot()), pin);
  assert.deepEqual(root, aRoot());
  assert.equal(hash, pin.rootHash);
});

test('a root that differs from the pin in anything is refused', async () => {
  const other = signedRoot(aRoot({ epoch: 4 }));
  await assert.rejects(verifyPinnedRoot(other, pin), refusedAs('root_hash'));
});

test('a pinned root of another organisation is refused', async () => {
  const otherPin = { ...pin, org: 'other' };
  await assert.rejects(verifyPinnedRoot(signedRoot(aRoot()), otherPin), refusedAs('root_org'));
});

test('the pinned root must carry its own threshold', async () => {
  const single = signedRoot(aRoot(), [rootKeys[0]]);
  await assert.rejects(verifyPinnedRoot(single, pin), refusedAs('root_threshold'));
  const byList = signedRoot(aRoot(), listKeys);
  await assert.rejects(verifyPinnedRoot(byList, pin), refusedAs('root_threshold'));
});

test('a list is no root', async () => {
  const { root } = await acceptedRoot();
  await assert.rejects(
    verifyNextRoot(root, signedList(aList(), rootKeys)),
    refusedAs('wrong_type'),
  );
});

test('the next root needs the old threshold and its own', async () => {
  const { root } = await acceptedRoot();
  const [one, two] = rootKeys;
  const bytes = signedRoot(rotated(), [one, two, newKeys[1], newKeys[2]]);
  const { root: next } = await verifyNextRoot(root, bytes);
  assert.equal(next.version, 8);
  await nextRefused('root_threshold', rotated(), [one, ...newKeys]);
  await nextRefused('root_threshold', rotated(), [one, two, newKeys[0]]);
  await nextRefused('root_threshold', rotated(), newKeys);
  await nextRefused('root_threshold', rotated(), rootKeys);
});

test('the drill: one of three root keys is lost and replaced', async () => {
  const [one, two] = rootKeys;
  const kids = [one.kid, two.kid, newKeys[0].kid];
  const role = { threshold: 2, kids };
  const roles = { ...aRoot().roles, root: role, rescue: role };
  const keys = keyRing(one, two, newKeys[0], ...listKeys);
  const { root } = await acceptedRoot();
  const next = aRoot({ version: 8, keys, roles });
  assert.equal((await verifyNextRoot(root, signedRoot(next, [one, two]))).root.version, 8);
});

test('roots follow one another without a gap and never go back', async () => {
  await nextRefused('root_gap', rotated({ version: 9 }));
  await nextRefused('root_gap', rotated({ version: 7 }));
  await nextRefused('root_gap', rotated({ version: 6 }));
});

test('the organisation never changes and the epoch never falls', async () => {
  await nextRefused('root_org', rotated({ org: 'other' }));
  await nextRefused('wrong_epoch', rotated({ epoch: 2 }));
});

test('a well-signed root with a weak key is refused', async () => {
  const x = Buffer.concat([Buffer.from([1]), Buffer.alloc(31)]).toString('base64url');
  const weak = { kty: 'OKP', crv: 'Ed25519', x } as const;
  const keys = { ...rotated().keys, ['A'.repeat(43)]: weak };
  await nextRefused('weak_key', rotated({ keys }));
});

test('an expired root is still accepted: expiry is a status', async () => {
  const past = aRoot({ issuedAtMs: 0, expiresAtMs: 1_000 });
  const { root } = await acceptedRoot(past);
  assert.equal(rootStatus(root, 999), 'current');
  assert.equal(rootStatus(root, 1_000), 'expired');
  const bytes = signedRoot(rotated(), [...rootKeys, ...newKeys]);
  assert.equal((await verifyNextRoot(root, bytes)).root.version, 8);
});
