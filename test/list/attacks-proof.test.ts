/** Attacks of trust-and-safety 1.2, second half: types, keys, JSON, state. See attacks.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeBase64Url, encodeUtf8, sha256Tag } from '../../src/bytes.ts';
import type { ReasonName } from '../../src/errors.ts';
import { thumbprint } from '../../src/list/keys.ts';
import type { DocumentKind, ManagerList, PublicKey, Root } from '../../src/list/model.ts';
import { renderList } from '../../src/list/parse-list.ts';
import { renderReceipt } from '../../src/list/parse-receipt.ts';
import { renderRoot } from '../../src/list/parse-root.ts';
import { verifyReceipt } from '../../src/list/receipt.ts';
import { verifyNextRoot, verifyPinnedRoot } from '../../src/list/root.ts';
import { signDocument } from '../../src/list/sign.ts';
import { type AcceptedList, verifyList, verifyStoredList } from '../../src/list/verify.ts';
import weakPoints from '../cases/list/weak-points.json' with { type: 'json' };
import {
  acceptedRoot,
  aList,
  aManager,
  aReceipt,
  aRoot,
  audience,
  issuedAtMs,
  keyNamed,
  keyRing,
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
} from './documents.ts';

const dayMs = 86_400_000;
const [listKey] = listKeys;

/** A list payload made by hand, signed with a true list key: only parsing can refuse it. */
function signedText(text: string): Uint8Array {
  return signDocument('list', encodeUtf8(text), [listKey]);
}

test('type confusion: no document passes as another, by header or by payload', async () => {
  const { root } = await acceptedRoot();
  const list = aList({ managers: [aManager('a'), aManager('b')] });
  const role = { threshold: 1, kids: [listKey.kid] }; // small: a receipt holds 2 KiB only
  const roles = { root: role, list: role, rescue: role };
  const nextRoot = aRoot({ version: 8, keys: keyRing(listKey), roles });
  const receipt = { ...knownFrom(list).position, nonce, list: knownFrom(list).hash, nowMs };
  const payloads: Readonly<Record<DocumentKind, Uint8Array>> = {
    list: renderList(list),
    root: renderRoot(nextRoot),
    receipt: renderReceipt(receipt),
    state: encodeUtf8('{"typ":"pf-state","spec":1}'),
    leaving: encodeUtf8('{"typ":"pf-leaving","spec":1}'),
    views: encodeUtf8('{"typ":"pf-views","spec":1}'),
  };
  const kinds = ['root', 'list', 'receipt', 'state', 'leaving', 'views'] as const;
  const keys = [...rootKeys, ...listKeys];
  for (const header of kinds) {
    for (const payload of kinds) {
      const envelope = signDocument(header, payloads[payload], keys);
      const part = JSON.parse(
        Buffer.from(signDocument(header, payloads[payload], [listKey])).toString(),
      );
      const compact = `${part.signatures[0].protected}.${part.payload}.${part.signatures[0].signature}`;
      const rootHash = sha256Tag(payloads[payload]);
      const outcomes: Readonly<Record<DocumentKind, readonly (() => Promise<unknown>)[]>> = {
        list: [() => verifyList({ envelope, root, audience, nowMs })],
        root: [
          () => verifyNextRoot(root, envelope),
          () => verifyPinnedRoot(envelope, { org: root.org, rootHash }),
        ],
        receipt: [() => verifyReceipt({ compact, nonce }, knownFrom(list), root)],
        state: [], // no agent takes one
        leaving: [],
        views: [],
      };
      for (const expected of kinds) {
        const isRight = header === expected && payload === expected;
        for (const outcome of outcomes[expected]) {
          if (isRight) await outcome();
          else
            assert.equal(
              await reasonOf(outcome()),
              'wrong_type',
              `${header}/${payload}/${expected}`,
            );
        }
      }
    }
  }
});

test('key compromise: a list key out of the root is worth nothing, one root key alone neither', async () => {
  const { root } = await acceptedRoot();
  const [stolen, kept] = listKeys;
  const roles = { ...aRoot().roles, list: { threshold: 1, kids: [kept.kid] } };
  const { [stolen.kid]: _revoked, ...keys } = aRoot().keys;
  const next = await verifyNextRoot(root, signedRoot(aRoot({ version: 8, keys, roles })));
  const envelope = signedList(aList(), [stolen]);
  await refused('unknown_key', await proofOf(aList(), { root: next.root, envelope }));
  const receipt = { compact: aReceipt(aList(), {}, stolen), nonce };
  await assert.rejects(
    verifyReceipt(receipt, knownFrom(aList()), next.root),
    refusedAs('unknown_key'),
  );
  const alone = signedList(aList(), [rootKeys[0]]);
  await refused('threshold', await proofOf(aList(), { envelope: alone }));
  const takeover = signedRoot(aRoot({ version: 8 }), [rootKeys[0], stolen, kept]);
  await assert.rejects(verifyNextRoot(root, takeover), refusedAs('root_threshold'));
});

test('duplicate signatures: one key counts once, under one name', async () => {
  const [one] = rootKeys;
  const twice = signedList(aList(), [one, one]);
  await refused('threshold', await proofOf(aList(), { envelope: twice }));
  const { root } = await acceptedRoot();
  const again = signedRoot(aRoot({ version: 8 }), [one, one, one]);
  await assert.rejects(verifyNextRoot(root, again), refusedAs('root_threshold'));
  const alias = keyNamed('alias').kid;
  const keys = { ...aRoot().keys, [alias]: one.publicKey };
  const role = { threshold: 2, kids: [one.kid, alias] };
  const aliased = aRoot({ version: 8, keys, roles: { ...aRoot().roles, root: role } });
  const bytes = signedRoot(aliased, [...rootKeys, { ...one, kid: alias }]);
  await assert.rejects(verifyNextRoot(root, bytes), refusedAs('root_invalid'));
  const roles = { ...aRoot().roles, root: { threshold: 2, kids: [one.kid, one.kid] } };
  const repeated = signedRoot(aRoot({ version: 8, roles }));
  await assert.rejects(verifyNextRoot(root, repeated), refusedAs('root_invalid'));
});

test('weak key: no root with a point of small order is accepted', async () => {
  const { root } = await acceptedRoot();
  for (const { hex } of weakPoints.points) {
    const x = encodeBase64Url(Buffer.from(hex, 'hex'));
    const weak: PublicKey = { kty: 'OKP', crv: 'Ed25519', x };
    const keys = { ...aRoot().keys, [thumbprint(weak)]: weak };
    const roles = { ...aRoot().roles, list: { threshold: 1, kids: [thumbprint(weak)] } };
    const bytes = signedRoot(aRoot({ version: 8, keys, roles }));
    await assert.rejects(verifyNextRoot(root, bytes), refusedAs('weak_key'));
  }
});

test('JSON differential: a well-signed payload with two readings is refused', async () => {
  const text = Buffer.from(renderList(aList())).toString('utf8');
  const cases: readonly (readonly [ReasonName, string])[] = [
    ['duplicate_member', text.replace('"version":4211', '"version":4211,"version":9999')],
    ['duplicate_member', text.replace('"version":4211', '"version":4211,"versio\\u006e":9999')],
    ['duplicate_member', text.replace('"port":1514', '"port":22,"port":1514')],
    ['list_invalid', text.replace('"version":4211', '"version":9007199254740993')],
    ['list_invalid', text.replace('"version":4211', '"version":4211.0')],
    ['list_invalid', text.replace('"version":4211', '"version":4.211e3')],
    ['list_invalid', text.replace('"version":4211', '"__proto__":{"version":4211}')],
    ['list_invalid', text.replace('"version":4211', '"version":4211,"__proto__":{"a":1}')],
    ['list_invalid', text.replace('"version":4211', '"version":4211,"x-deep":[[[[[[1]]]]]]')],
    ['list_invalid', text.replace('"version":4211', '"version":4211,"x-note":"e\\u0301"')],
    ['list_invalid', text.replace('"version":4211', '"version":4211,"x-note":"\\u0000"')],
    ['list_invalid', `${text}{}`],
    ['list_invalid', `\ufeff${text}`],
  ];
  for (const [reason, changed] of cases) {
    assert.notEqual(changed, text);
    await refused(reason, await proofOf(aList(), { envelope: signedText(changed) }));
  }
  const harmless = text.replace('"version":4211', '"version":4211,"x-note":"\u00e9"');
  const accepted = await verifyList(await proofOf(aList(), { envelope: signedText(harmless) }));
  assert.deepEqual(accepted.list, aList());
});

function freezeDeep<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  for (const one of Object.values(value)) freezeDeep(one);
  return Object.freeze(value);
}

test('persist before check: a refused list leaves nothing behind, whichever check refuses it', async () => {
  const before = aList({ version: 4_210 });
  const remembered = freezeDeep({ known: knownFrom(before), lastGood: before });
  const next = (changes: Partial<ManagerList>): ManagerList =>
    aList({ version: 9_000, ...changes });
  const faulty: readonly (readonly [ReasonName, ManagerList])[] = [
    ['wrong_audience', next({ org: 'other' })],
    ['wrong_epoch', next({ epoch: 2 })],
    ['version_jump', next({ version: 2_000_000 })],
    ['stale', next({ issuedAtMs: issuedAtMs - 2 * dayMs })],
    ['clock_implausible', next({ issuedAtMs: issuedAtMs + dayMs })],
    ['constraint', next({ validFor: 200_000 })],
    ['constraint', next({ managers: [aManager('a'), aManager('b', { port: 22 })] })],
    ['too_many_removed', next({ managers: [aManager('a'), aManager('b')] })],
  ];
  for (const [reason, list] of faulty) {
    await refused(reason, freezeDeep(await proofOf(list, remembered)));
    // had 4211 < 9000 been remembered, this would now be a rollback
    const honest: AcceptedList = await verifyList(freezeDeep(await proofOf(aList(), remembered)));
    assert.equal(honest.kind, 'new');
  }
});

test('torn client state: a list or root cut at any byte is refused as damaged, never taken', async () => {
  const stored = await proofOf();
  for (let length = 0; length < stored.envelope.length; length += 1) {
    const torn = { ...stored, envelope: stored.envelope.slice(0, length) };
    assert.equal(await reasonOf(verifyStoredList(torn)), 'envelope_syntax');
  }
  const root: Root = aRoot();
  const bytes = signedRoot(root);
  const pin = { org: root.org, rootHash: sha256Tag(renderRoot(root)) };
  for (let length = 0; length < bytes.length; length += 1) {
    assert.equal(await reasonOf(verifyPinnedRoot(bytes.slice(0, length), pin)), 'envelope_syntax');
  }
});

test('torn client state: a block of zeros inside the stored list is refused', async () => {
  const stored = await proofOf();
  const envelope = Uint8Array.from(stored.envelope).fill(0, 512, 1_024);
  assert.equal(await reasonOf(verifyStoredList({ ...stored, envelope })), 'envelope_syntax');
});
