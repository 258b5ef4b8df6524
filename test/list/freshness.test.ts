import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReasonName } from '../../src/errors.ts';
import { judgeFreshness, raiseFloorMs } from '../../src/list/freshness.ts';
import { verifyReceipt } from '../../src/list/receipt.ts';
import { verifyList } from '../../src/list/verify.ts';
import {
  acceptedRoot,
  aList,
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
} from './documents.ts';

const list = aList();
const known = knownFrom(aList({ version: 4210 }));
const decadeMs = 10 * 366 * 86_400_000;
const expiresAtMs = issuedAtMs + 86_400_000;
const receipt = { compact: aReceipt(list), nonce };

for (const [where, offMs] of [
  ['ten years ahead', decadeMs],
  ['ten years behind', -decadeMs],
] as const) {
  test(`a receipt proves freshness with a clock ${where}`, async () => {
    const proof = await proofOf(list, { known, receipt, nowMs: nowMs + offMs });
    // the root's own date is past when the clock is ahead: a receipt outweighs that too
    assert.equal((await verifyList(proof)).freshness.kind, 'fresh');
  });
}

test('without a receipt a list counts until it expires, not longer', async () => {
  const last = await verifyList(await proofOf(list, { known, nowMs: expiresAtMs - 1 }));
  assert.equal(last.freshness.kind, 'clock-only');
  const late = await proofOf(list, { known, nowMs: expiresAtMs });
  await assert.rejects(verifyList(late), refusedAs('stale'));
});

test('the same list, withheld news and expired, is stale too', async () => {
  const late = await proofOf(list, { known: knownFrom(list), nowMs: expiresAtMs });
  await assert.rejects(verifyList(late), refusedAs('stale'));
});

test('expiry at the first join has a code of its own', async () => {
  const late = await proofOf(list, { nowMs: expiresAtMs });
  await assert.rejects(verifyList(late), refusedAs('expired_at_join'));
});

test('a list from the future by more than ten minutes means a wrong clock', async () => {
  const skewed = await proofOf(list, { known, nowMs: issuedAtMs - 600_000 });
  assert.equal((await verifyList(skewed)).freshness.kind, 'clock-only');
  const wrong = await proofOf(list, { known, nowMs: issuedAtMs - 600_001 });
  await assert.rejects(verifyList(wrong), refusedAs('clock_implausible'));
});

test('static delivery is clock-only without alarm', async () => {
  const { root } = await acceptedRoot(aRoot({ staticDelivery: true }));
  const { freshness } = await verifyList(await proofOf(list, { root }));
  assert.deepEqual(freshness, { kind: 'clock-only', isAlarming: false });
});

test('a receipt that does not count leaves the clock, and says why', async () => {
  const stale = { compact: aReceipt(list, { nonce: 'AAAAAAAAAAAAAAAAAAAAAA' }), nonce };
  const { freshness } = await verifyList(await proofOf(list, { known, receipt: stale }));
  assert.ok(freshness.kind === 'clock-only');
  assert.equal(freshness.isAlarming, true);
  assert.equal(freshness.receiptFault?.reason, 'receipt_invalid');
});

test('a receipt given after the list had expired does not count', async () => {
  const after = { compact: aReceipt(list, { nowMs: expiresAtMs }), nonce };
  const late = await proofOf(list, { known, receipt: after, nowMs: expiresAtMs });
  await assert.rejects(verifyList(late), refusedAs('stale'));
});

test('clocks beyond every calendar are survived', async () => {
  const { root } = await acceptedRoot();
  const question = { list, hash: '', root, isFirst: false, receipt: undefined };
  const beyond = judgeFreshness({ ...question, nowMs: 9e15 });
  await assert.rejects(beyond, refusedAs('stale'));
});

async function receiptRefused(reason: ReasonName, compact: string): Promise<void> {
  const { root } = await acceptedRoot();
  const poll = { compact, nonce };
  await assert.rejects(verifyReceipt(poll, knownFrom(list), root), refusedAs(reason));
}

test('a receipt for another poll, list or position is refused', async () => {
  await receiptRefused('receipt_invalid', aReceipt(list, { nonce: 'AAAAAAAAAAAAAAAAAAAAAA' }));
  await receiptRefused(
    'receipt_invalid',
    aReceipt(list, { list: knownFrom(aList({ term: 1 })).hash }),
  );
  await receiptRefused('receipt_invalid', aReceipt(list, { version: 4210 }));
});

test('a receipt counts only when a list key of the root signed it', async () => {
  await receiptRefused('unknown_key', aReceipt(list, {}, rootKeys[0]));
  const [header, payload] = aReceipt(list).split('.');
  const [, , other] = aReceipt(list, { version: 1 }).split('.');
  await receiptRefused('receipt_invalid', `${header}.${payload}.${other}`);
});

test('a receipt that is no compact JWS of ours is refused', async () => {
  const [header, payload, signature] = aReceipt(list).split('.');
  await receiptRefused('receipt_invalid', '');
  await receiptRefused('receipt_invalid', `${header}.${payload}`);
  await receiptRefused('receipt_invalid', `${header}.${payload}.${signature}.x`);
  await receiptRefused('receipt_invalid', `${header}.${payload}.AAAA`);
  await receiptRefused('envelope_header', `.${payload}.${signature}`);
  await receiptRefused('too_big', 'a'.repeat(2_049));
});

test('both list keys may sign receipts', async () => {
  const { root } = await acceptedRoot();
  const poll = { compact: aReceipt(list, {}, listKeys[1]), nonce };
  assert.equal((await verifyReceipt(poll, knownFrom(list), root)).nonce, nonce);
});

test('a publisher whose clock is ten years ahead does not move the floor of a host, a true one does', () => {
  const dayMs = 86_400_000;
  assert.equal(raiseFloorMs(nowMs - 5, nowMs + decadeMs, nowMs), nowMs - 5);
  assert.equal(raiseFloorMs(nowMs - 5, nowMs + dayMs, nowMs), nowMs + dayMs);
  assert.equal(raiseFloorMs(nowMs, nowMs + 60_000, nowMs - decadeMs), nowMs + 60_000);
  assert.equal(raiseFloorMs(nowMs, nowMs - 60_000, nowMs), nowMs);
});
