/**
 * The sixteen attacks of trust-and-safety 1.2, as far as pure code can answer them. Each test fails
 * when the check it names is removed. Parts that need sockets, disk or time are listed with their
 * own files in test/cases/list/attacks.json.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeUtf8 } from '../../src/bytes.ts';
import { ListError } from '../../src/errors.ts';
import { renderList } from '../../src/list/parse-list.ts';
import { verifyReceipt } from '../../src/list/receipt.ts';
import { verifyNextRoot } from '../../src/list/root.ts';
import { type SigningKey, signDocument } from '../../src/list/sign.ts';
import { verifyList, verifyStoredList } from '../../src/list/verify.ts';
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
  reasonOf,
  refused,
  refusedAs,
  rootKeys,
  signedList,
  signedRoot,
  strangerKey,
} from './documents.ts';

const seed = 20261121;
const dayMs = 86_400_000;
const [listKey] = listKeys;

/** A list payload made by hand, signed with a true list key: only parsing can refuse it. */
function signedText(text: string): Uint8Array {
  return signDocument('list', encodeUtf8(text), [listKey]);
}

test('arbitrary installation: a thousand forged lists are refused', async () => {
  const base = await proofOf();
  const forger = fc.constantFrom(strangerKey, ...rootKeys);
  const forgery = fc.record({
    key: forger,
    claimed: fc.constantFrom(listKey.kid, listKeys[1].kid, undefined),
    version: fc.integer({ min: 4_212, max: 9_999 }),
    address: fc.oneof(fc.ipV4(), fc.constantFrom('evil.example', 'wm-01.mgr.acme.example')),
  });
  const forged = fc.asyncProperty(forgery, async ({ key, claimed, version, address }) => {
    const managers = [aManager('wm-01', { address }), aManager('wm-02')];
    const liar: SigningKey = claimed === undefined ? key : { ...key, kid: claimed };
    const envelope = signedList(aList({ version, managers }), [liar]);
    const reason = await reasonOf(verifyList({ ...base, envelope }));
    assert.ok(reason === 'unknown_key' || reason === 'threshold', reason);
  });
  await fc.assert(forged, { seed, numRuns: 1_000 });
});

test('arbitrary installation: every single-bit flip of an envelope is refused', async () => {
  const base = await proofOf(aList({ managers: [aManager('a'), aManager('b')] }));
  const good = base.envelope;
  for (let bit = 0; bit < good.length * 8; bit += 1) {
    const envelope = Uint8Array.from(good);
    envelope[bit >> 3] = (envelope[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    await reasonOf(verifyList({ ...base, envelope }));
  }
});

test('arbitrary installation: a true list key cannot name what the root does not allow', async () => {
  for (const change of [{ address: 'evil.example' }, { address: '192.0.2.1' }, { port: 4444 }]) {
    const managers = [aManager('wm-01'), aManager('wm-02'), aManager('wm-03', change)];
    await refused('constraint', await proofOf(aList({ managers })));
  }
});

test('XML injection: no markup passes as an address, even where the root would allow its suffix', async () => {
  const inside = '</address></server></client><localfile><command>id</command></localfile>';
  for (const address of [
    `x${inside}`,
    `x${inside}.mgr.acme.example`,
    'x&lt;.mgr.acme.example',
    'x" y=".mgr.acme.example',
    "x'.mgr.acme.example",
    '<!--.mgr.acme.example',
    'x\u2028.mgr.acme.example',
  ]) {
    const managers = [aManager('wm-01'), aManager('wm-02'), aManager('wm-03', { address })];
    await refused('list_invalid', await proofOf(aList({ managers })));
  }
});

test('rollback: every older list is refused, in any order', async () => {
  const all = Array.from({ length: 24 }, (_, index) =>
    aList({ epoch: 3, term: 12 + (index >> 3), version: 4_200 + index }),
  );
  const newest = all.at(-1) ?? aList();
  const known = knownFrom(newest);
  const order = fc.shuffledSubarray(all.slice(0, -1), { minLength: 23 });
  const replay = fc.asyncProperty(order, async (older) => {
    for (const list of older) await refused('rolled_back', await proofOf(list, { known }));
  });
  await fc.assert(replay, { seed, numRuns: 5 });
});

test('rollback: a second list under the newest version is an equivocation', async () => {
  const known = knownFrom(aList());
  await refused('equivocation', await proofOf(aList({ validFor: 80_000 }), { known }));
});

test('fast-forward: a stolen key cannot make every later list look old, and an epoch heals it', async () => {
  const known = knownFrom(aList());
  await refused(
    'version_jump',
    await proofOf(aList({ version: Number.MAX_SAFE_INTEGER }), { known }),
  );
  await refused('version_jump', await proofOf(aList({ term: 2_000 }), { known }));
  const farthest = aList({ term: 1_012, version: 1_004_211 });
  const leapt = await verifyList(await proofOf(farthest, { known }));
  const healedRoot = aRoot({ version: 8, epoch: 4 });
  const { root } = await verifyNextRoot((await acceptedRoot()).root, signedRoot(healedRoot));
  const restarted = aList({ rootVersion: 8, epoch: 4, term: 1, version: 1 });
  const healed = await proofOf(restarted, { root, known: leapt });
  assert.equal((await verifyList(healed)).kind, 'new');
  await refused('wrong_epoch', await proofOf(farthest, { root, known: leapt }));
});

test('indefinite freeze: thirty days of replay are told from freshness, and the list stays usable', async () => {
  const list = aList();
  const old = aReceipt(list, { nonce: 'AAAAAAAAAAAAAAAAAAAAAA' });
  const base = await proofOf(list, { known: knownFrom(list), lastGood: list });
  const seen: string[] = [];
  for (let day = 0; day < 30; day += 1) {
    const proof = { ...base, receipt: { compact: old, nonce }, nowMs: nowMs + day * dayMs };
    const outcome = await verifyList(proof).then(
      ({ freshness }) => freshness.kind,
      (thrown: unknown) => (thrown instanceof ListError ? thrown.reason : String(thrown)),
    );
    seen.push(outcome);
    assert.deepEqual((await verifyStoredList(proof)).list, list);
  }
  assert.deepEqual(seen, ['clock-only', ...Array.from({ length: 29 }, () => 'stale')]);
});

test('endless data: one byte over the limit is refused before anything is parsed', async () => {
  const base = await proofOf();
  const blanks = (bytes: Uint8Array, length: number): Uint8Array =>
    Buffer.concat([bytes, Buffer.alloc(length - bytes.length, ' ')]);
  const largest = { ...base, envelope: blanks(base.envelope, 65_536) };
  assert.equal((await verifyList(largest)).kind, 'new');
  await refused('too_big', { ...base, envelope: blanks(base.envelope, 65_537) });
  await refused('too_big', { ...base, envelope: Buffer.alloc(50_000_000, '[') });
  const { root } = await acceptedRoot();
  const next = blanks(signedRoot(aRoot({ version: 8 })), 65_537);
  await assert.rejects(verifyNextRoot(root, next), refusedAs('too_big'));
  const receipt = { compact: `${aReceipt(aList())}${'A'.repeat(2_048)}`, nonce };
  await assert.rejects(verifyReceipt(receipt, knownFrom(aList()), root), refusedAs('too_big'));
});

test('slow retrieval: what a deadline cuts off is never taken for the whole', async () => {
  const base = await proofOf();
  for (let length = 0; length < base.envelope.length; length += 1) {
    const reason = await reasonOf(
      verifyList({ ...base, envelope: base.envelope.slice(0, length) }),
    );
    assert.equal(reason, 'envelope_syntax');
  }
});

test('mix-and-match: a list counts only for its own organisation, group, site, root and epoch', async () => {
  const names = ['a', 'b', '*'];
  const hosts = ['a', 'b'].flatMap((group) => ['a', 'b'].map((site) => ({ group, site })));
  const lists = names.flatMap((group) => names.map((site) => ({ group, site })));
  for (const own of hosts) {
    for (const aud of lists) {
      const proof = await proofOf(aList({ aud }), { audience: own });
      const isMine = ['*', own.group].includes(aud.group) && ['*', own.site].includes(aud.site);
      if (isMine) assert.equal((await verifyList(proof)).kind, 'new');
      else await refused('wrong_audience', proof);
    }
  }
  await refused('wrong_audience', await proofOf(aList({ org: 'other' })));
  await refused('wrong_epoch', await proofOf(aList({ rootVersion: 8 })));
  await refused('wrong_epoch', await proofOf(aList({ epoch: 2 })));
  await refused('wrong_epoch', await proofOf(aList({ epoch: 4 })));
});

test('extraneous dependency: a list that would make a client load something is refused', async () => {
  const full = aList({
    rollout: { id: 'r', salt: 's', pct: 100 },
    admission: { id: 'a', ratePerServer: 1, startSlotAtMs: issuedAtMs },
  });
  const places: readonly ((document: Record<string, unknown>) => unknown)[] = [
    (document) => document,
    (document) => document.aud,
    (document) => document.client,
    (document) => document.rollout,
    (document) => document.admission,
    (document) => (document.managers as unknown[])[0],
  ];
  for (const place of places) {
    for (const name of ['url', 'include', 'publishers', 'postInstall', '$ref', 'X-url']) {
      const document = JSON.parse(Buffer.from(renderList(full)).toString('utf8'));
      Object.assign(Object(place(document)), { [name]: 'https://evil.example/x' });
      const envelope = signedText(JSON.stringify(document));
      await refused('list_invalid', await proofOf(full, { envelope }));
    }
  }
});
