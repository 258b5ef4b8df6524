import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TrustMemory } from '../../src/applier/memory.ts';
import { trustRoot, verifyAgain } from '../../src/applier/verify-again.ts';
import { sha256Tag } from '../../src/bytes.ts';
import { renderRoot } from '../../src/list/parse-root.ts';
import {
  aList,
  aReceipt,
  aRoot,
  audience,
  keyRing,
  listKeys,
  nonce,
  nowMs,
  refusedAs,
  rootKeys,
  signedList,
  signedRoot,
} from '../list/documents.ts';
import { request } from './host-in-memory.ts';

/** A host of no zone. */
const zone = { name: undefined };
const root = aRoot();
const pin = { org: root.org, rootHash: sha256Tag(renderRoot(root)) };
const trust = (): Promise<TrustMemory> => trustRoot(signedRoot(root), pin, 0);
const asked = (listEnvelope: Uint8Array, rootEnvelopes: readonly Uint8Array[] = []) =>
  request({ listEnvelope, rootEnvelopes });
/** The next root: the first list key is revoked. */
const nextRoot = aRoot({
  version: 8,
  keys: keyRing(...rootKeys, listKeys[1]),
  roles: { ...root.roles, list: { threshold: 1, kids: [listKeys[1].kid] } },
});

test('the root of a joining host must be the pinned one', async () => {
  await assert.rejects(
    trustRoot(signedRoot(aRoot({ version: 9 })), pin, 0),
    refusedAs('root_hash'),
  );
});

test('a newer root in the request is proven against ours, then remembered', async () => {
  const list = aList({ rootVersion: 8 });
  const envelope = signedList(list, [listKeys[1]]);
  const ground = { trust: await trust(), audience, zone, nowMs };
  const proven = await verifyAgain(asked(envelope, [signedRoot(nextRoot)]), ground);
  assert.equal(proven.advanced, true);
  assert.equal(proven.trust.root.hash, sha256Tag(renderRoot(nextRoot)));
  const replay = { ...ground, trust: proven.trust };
  const old = signedList(aList({ version: 4212 }), [listKeys[0]]);
  await assert.rejects(verifyAgain(asked(old), replay), refusedAs('unknown_key'));
});

test('roots that we know already, or that are older, are passed over', async () => {
  const older = signedRoot(aRoot({ version: 6 }));
  const chain = [older, signedRoot(root), signedRoot(nextRoot)];
  const ground = { trust: await trust(), audience, zone, nowMs };
  const envelope = signedList(aList({ rootVersion: 8 }), [listKeys[1]]);
  const proven = await verifyAgain(asked(envelope, chain), ground);
  assert.equal(proven.trust.root.hash, sha256Tag(renderRoot(nextRoot)));
  const again = await verifyAgain(asked(envelope, chain), { ...ground, trust: proven.trust });
  assert.equal(again.advanced, false);
});

test('a root signed by strangers is refused and nothing advances', async () => {
  const forged = signedRoot(nextRoot, [listKeys[0], listKeys[1]]);
  const ground = { trust: await trust(), audience, zone, nowMs };
  await assert.rejects(
    verifyAgain(asked(signedList(aList()), [forged]), ground),
    refusedAs('root_threshold'),
  );
});

test('the known list stays usable under a root that revoked its key: fail static', async () => {
  const ground = { trust: await trust(), audience, zone, nowMs };
  const envelope = signedList(aList());
  const first = await verifyAgain(asked(envelope), ground);
  const later = { ...ground, trust: first.trust };
  const proven = await verifyAgain(asked(envelope, [signedRoot(nextRoot)]), later);
  assert.deepEqual(proven.position, first.position);
  assert.equal(proven.trust.root.hash, sha256Tag(renderRoot(nextRoot)));
});

test('the same bytes again advance nothing', async () => {
  const ground = { trust: await trust(), audience, zone, nowMs };
  const envelope = signedList(aList());
  const first = await verifyAgain(asked(envelope), ground);
  const again = await verifyAgain(asked(envelope), { ...ground, trust: first.trust });
  assert.deepEqual([first.advanced, again.advanced], [true, false]);
});

test('a clock set back does not make an expired list fresh: the floor counts', async () => {
  const ground = { trust: { ...(await trust()), floorMs: nowMs + 10 ** 9 }, audience, zone, nowMs };
  await assert.rejects(
    verifyAgain(asked(signedList(aList())), ground),
    refusedAs('expired_at_join'),
  );
});

test('a receipt carries a list past a clock that is years ahead', async () => {
  const list = aList();
  const receipt = { compact: aReceipt(list), nonce };
  const ground = { trust: await trust(), audience, zone, nowMs: nowMs + 10 ** 10 };
  const envelope = signedList(list);
  await assert.rejects(verifyAgain(asked(envelope), ground), refusedAs('expired_at_join'));
  const proven = await verifyAgain(request({ listEnvelope: envelope, receipt }), ground);
  assert.equal(proven.list.version, list.version);
});

test('a list for another site or group is refused, whatever the request says', async () => {
  const ground = {
    trust: await trust(),
    audience: { group: 'default', site: 'us-1' },
    zone,
    nowMs,
  };
  await assert.rejects(
    verifyAgain(asked(signedList(aList())), ground),
    refusedAs('wrong_audience'),
  );
});
