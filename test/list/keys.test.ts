import assert from 'node:assert/strict';
import { test } from 'node:test';
import { calculateJwkThumbprint } from 'jose';
import { encodeBase64Url } from '../../src/bytes.ts';
import { checkPublicKey, thumbprint } from '../../src/list/keys.ts';
import type { PublicKey } from '../../src/list/model.ts';
import cases from '../cases/list/weak-points.json' with { type: 'json' };
import { keyNamed, refusedAs } from './documents.ts';

function keyOf(hex: string): PublicKey {
  return { kty: 'OKP', crv: 'Ed25519', x: encodeBase64Url(Buffer.from(hex, 'hex')) };
}

test('the table holds the fourteen known bad points', () => {
  assert.equal(new Set(cases.points.map((one) => one.hex)).size, 14);
});

for (const { hex, what } of cases.points) {
  test(`refuses ${what} (${hex.slice(0, 8)}…${hex.slice(-2)})`, () => {
    const key = keyOf(hex);
    assert.throws(() => checkPublicKey(thumbprint(key), key), refusedAs('weak_key'));
  });
}

for (const { hex, what } of cases.nonCanonical) {
  test(`refuses ${what}`, () => {
    const key = keyOf(hex);
    assert.throws(() => checkPublicKey(thumbprint(key), key), refusedAs('weak_key'));
  });
}

test('a kid is the RFC 7638 thumbprint as jose computes it', async () => {
  const { kid, publicKey } = keyNamed('any');
  assert.equal(kid, await calculateJwkThumbprint({ ...publicKey }, 'sha256'));
  assert.doesNotThrow(() => checkPublicKey(kid, publicKey));
});

test('the thumbprint of RFC 8037 appendix A.3', () => {
  const x = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo';
  const expected = 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k';
  assert.equal(thumbprint({ kty: 'OKP', crv: 'Ed25519', x }), expected);
});

test('a second name for a key is refused', () => {
  const { publicKey } = keyNamed('any');
  const alias = keyNamed('other').kid;
  assert.throws(() => checkPublicKey(alias, publicKey), refusedAs('root_invalid'));
});

test('a key of another length is refused', () => {
  const key = keyOf('0102');
  assert.throws(() => checkPublicKey(thumbprint(key), key), refusedAs('root_invalid'));
});
