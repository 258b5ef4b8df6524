import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256Tag } from '../../src/bytes.ts';
import type { ReasonName } from '../../src/errors.ts';
import type { Constraints, Manager, ManagerList } from '../../src/list/model.ts';
import { renderList } from '../../src/list/parse-list.ts';
import { signDocument } from '../../src/list/sign.ts';
import { type ListProof, verifyList, verifyStoredList } from '../../src/list/verify.ts';
import {
  acceptedRoot,
  aList,
  aManager,
  aReceipt,
  aRoot,
  issuedAtMs,
  knownFrom,
  listKeys,
  nonce,
  nowMs,
  proofOf,
  refusedAs,
  rootKeys,
  signedList,
  strangerKey,
} from './documents.ts';

async function refused(
  reason: ReasonName,
  list: ManagerList,
  changes: Partial<ListProof> = {},
): Promise<void> {
  await assert.rejects(async () => verifyList(await proofOf(list, changes)), refusedAs(reason));
}

async function rootWith(constraints: Partial<Constraints>): Promise<Pick<ListProof, 'root'>> {
  const { root } = await acceptedRoot(
    aRoot({ constraints: { ...aRoot().constraints, ...constraints } }),
  );
  return { root };
}

const four = aList().managers;
const without = (count: number, others: readonly Manager[] = four): ManagerList =>
  aList({ managers: others.slice(0, others.length - count) });

test('a list signed by a list key under the pinned root is accepted as new', async () => {
  const list = aList();
  const accepted = await verifyList(await proofOf(list));
  assert.deepEqual(accepted, {
    list,
    hash: sha256Tag(renderList(list)),
    position: { epoch: 3, term: 12, version: 4211 },
    signedBy: 'list',
    kind: 'new',
    freshness: { kind: 'clock-only', isAlarming: true },
  });
});

test('the very list already known is the same, not new', async () => {
  const list = aList();
  const { kind } = await verifyList(
    await proofOf(list, { known: knownFrom(list), lastGood: list }),
  );
  assert.equal(kind, 'same');
});

test('two rescue keys publish when no list key can', async () => {
  const envelope = signedList(aList(), [rootKeys[0], rootKeys[2]]);
  const { signedBy } = await verifyList(await proofOf(aList(), { envelope }));
  assert.equal(signedBy, 'rescue');
});

test('one rescue key is not enough', async () => {
  await refused('threshold', aList(), { envelope: signedList(aList(), [rootKeys[0]]) });
});

test('a root key that has no part in lists cannot sign one', async () => {
  const role = { threshold: 1, kids: [listKeys[1].kid] };
  const { root } = await acceptedRoot(
    aRoot({ roles: { ...aRoot().roles, list: role, rescue: role } }),
  );
  await refused('unknown_key', aList(), { root, envelope: signedList(aList(), rootKeys) });
});

test('a stranger signs nothing', async () => {
  await refused('unknown_key', aList(), { envelope: signedList(aList(), [strangerKey]) });
});

test('signatures of keys we do not know yet are passed over', async () => {
  const envelope = signedList(aList(), [strangerKey, listKeys[1]]);
  assert.equal((await verifyList(await proofOf(aList(), { envelope }))).signedBy, 'list');
});

test('a wrong signature of a known key refuses the list, whatever else signed it', async () => {
  const { payload, signatures } = JSON.parse(Buffer.from(signedList(aList(), listKeys)).toString());
  signatures[1].signature = signatures[0].signature;
  const envelope = Buffer.from(JSON.stringify({ payload, signatures }));
  await refused('threshold', aList(), { envelope });
});

test('a list of another organisation, group or site is refused', async () => {
  await refused('wrong_audience', aList({ org: 'other' }));
  await refused('wrong_audience', aList({ aud: { group: 'web', site: 'eu-1' } }));
  await refused('wrong_audience', aList({ aud: { group: 'default', site: 'us-1' } }));
});

test('a list for every group and site is for this host too', async () => {
  const list = aList({ aud: { group: '*', site: '*' } });
  assert.equal((await verifyList(await proofOf(list))).kind, 'new');
});

test('only the epoch of the root is accepted, and no root version above it', async () => {
  await refused('wrong_epoch', aList({ epoch: 2 }));
  await refused('wrong_epoch', aList({ epoch: 4 }));
  await refused('wrong_epoch', aList({ rootVersion: 8 }));
  assert.equal((await verifyList(await proofOf(aList({ rootVersion: 6 })))).kind, 'new');
});

test('longer validity than the root allows is refused', async () => {
  await refused('constraint', aList({ validFor: 172_801 }));
});

test('what the root does not name is refused, with the member in the message', async () => {
  const cases: readonly (readonly [Partial<Manager>, RegExp])[] = [
    [{ address: 'evil.example' }, /managers\[1\]\.address is "evil\.example"; allowed: \*\.mgr/],
    [{ address: 'mgr.acme.example' }, /managers\[1\]\.address/],
    [{ address: 'xmgr.acme.example' }, /managers\[1\]\.address/],
    [{ address: 'wm.mgr.acme.example.evil.example' }, /managers\[1\]\.address/],
    [{ address: '10.21.0.1' }, /managers\[1\]\.address/],
    [{ address: '2001:db8:21::1' }, /managers\[1\]\.address/],
    [{ port: 22 }, /managers\[1\]\.port is 22; allowed: 1514, 1517/],
    [{ protocol: 'udp' }, /managers\[1\]\.protocol is "udp"; allowed: tcp/],
    [{ id: 'wm-01' }, /managers\[1\] has the id of managers\[0\]: wm-01/],
    [
      { address: 'WM-01.mgr.acme.example' },
      /managers\[1\] has the address and port of managers\[0\]/,
    ],
  ];
  for (const [change, says] of cases) {
    const list = aList({
      managers: [aManager('wm-01'), aManager('wm-02', change), aManager('wm-03')],
    });
    const proof = await proofOf(list);
    await assert.rejects(verifyList(proof), (thrown) => {
      assert.ok(refusedAs('constraint')(thrown));
      assert.match(String(thrown), says);
      return true;
    });
  }
});

test('addresses inside the networks and names under the suffix are accepted', async () => {
  const managers = [
    aManager('a', { address: '10.20.255.1' }),
    aManager('b', { address: '2001:db8:20::1' }),
    aManager('c', { address: 'x.y.MGR.acme.example', port: 1517 }),
    aManager('d', { address: '10.20.255.1', port: 1517 }),
  ];
  assert.equal((await verifyList(await proofOf(aList({ managers })))).kind, 'new');
});

test('fewer managers up than the root wants, or more in all, are refused', async () => {
  const down = four.map((one, index) => (index < 1 ? one : { ...one, state: 'drain' as const }));
  await refused('constraint', aList({ managers: down }));
  await refused('constraint', without(3));
  await refused('constraint', aList(), await rootWith({ maxServers: 3 }));
});

test('more managers removed at once than the root allows are refused', async () => {
  const lastGood = aList();
  const { root } = await rootWith({ maxRemovedPct: 49 });
  await refused('too_many_removed', without(2), { lastGood, root });
  assert.equal((await verifyList(await proofOf(without(2), { lastGood }))).kind, 'new');
  assert.equal((await verifyList(await proofOf(without(1), { lastGood, root }))).kind, 'new');
});

test('an id kept at another address counts as removed', async () => {
  const moved = four.map((one) => ({ ...one, address: `new-${one.address}` }));
  await refused('too_many_removed', aList({ managers: moved }), { lastGood: aList() });
});

test('managers announced as draining or down may go, and the rescue keys may remove any', async () => {
  const { root } = await rootWith({ maxRemovedPct: 0 });
  const announced = [
    ...four.slice(0, 2),
    aManager('wm-03', { state: 'drain' }),
    aManager('wm-04', { state: 'down' }),
  ];
  const lastGood = aList({ managers: announced });
  assert.equal((await verifyList(await proofOf(without(2), { lastGood, root }))).kind, 'new');
  const envelope = signedList(without(2), rootKeys);
  const rescue = { lastGood: aList(), root, envelope };
  assert.equal((await verifyList(await proofOf(without(2), rescue))).signedBy, 'rescue');
  await refused('too_many_removed', without(2), { lastGood: aList(), root });
});

test('an expired root accepts no new list without a receipt', async () => {
  const { root } = await acceptedRoot(aRoot({ expiresAtMs: nowMs }));
  const list = aList();
  await refused('root_expired', list, { root });
  const receipt = { compact: aReceipt(list), nonce };
  assert.equal((await verifyList(await proofOf(list, { root, receipt }))).kind, 'new');
  assert.equal(
    (await verifyList(await proofOf(list, { root, known: knownFrom(list) }))).kind,
    'same',
  );
});

test('the stored list stays good when it has expired: that only warns', async () => {
  const stored = await proofOf(aList(), { nowMs: issuedAtMs + 86_400_000 });
  const { isExpired, isRevoked, list } = await verifyStoredList(stored);
  assert.deepEqual(
    { isExpired, isRevoked, list },
    { isExpired: true, isRevoked: false, list: aList() },
  );
  const earlier = await verifyStoredList({ ...stored, nowMs: stored.nowMs - 1 });
  assert.equal(earlier.isExpired, false);
});

test('the stored list of an earlier epoch stays good and says so; one of a later does not', async () => {
  const { root } = await acceptedRoot(aRoot({ version: 8, epoch: 4 }));
  assert.equal((await verifyStoredList(await proofOf(aList(), { root }))).isRevoked, true);
  const later = await proofOf(aList({ epoch: 4 }));
  await assert.rejects(verifyStoredList(later), refusedAs('wrong_epoch'));
});

test('the stored list is proven like any other: signature, audience, constraints, type', async () => {
  const forged = await proofOf(aList(), { envelope: signedList(aList(), [strangerKey]) });
  await assert.rejects(verifyStoredList(forged), refusedAs('unknown_key'));
  const foreign = await proofOf(aList({ aud: { group: 'web', site: 'eu-1' } }));
  await assert.rejects(verifyStoredList(foreign), refusedAs('wrong_audience'));
  const outside = await proofOf(aList({ managers: [aManager('a'), aManager('b', { port: 22 })] }));
  await assert.rejects(verifyStoredList(outside), refusedAs('constraint'));
  const envelope = signDocument('root', renderList(aList()), [listKeys[0]]);
  await assert.rejects(
    verifyStoredList(await proofOf(aList(), { envelope })),
    refusedAs('wrong_type'),
  );
});
