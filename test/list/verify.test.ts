import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256Tag } from '../../src/bytes.ts';
import { renderList } from '../../src/list/parse-list.ts';
import { verifyList } from '../../src/list/verify.ts';
import { aList, aReceipt, nonce, proofOf } from './documents.ts';

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

test('a receipt for this poll and this list makes it fresh', async () => {
  const list = aList();
  const receipt = { compact: aReceipt(list), nonce };
  const { freshness } = await verifyList(await proofOf(list, { receipt }));
  assert.equal(freshness.kind, 'fresh');
});
