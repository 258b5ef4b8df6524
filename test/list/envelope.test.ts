import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generalVerify } from 'jose';
import { encodeBase64Url, encodeUtf8 } from '../../src/bytes.ts';
import { parseEnvelope, renderEnvelope } from '../../src/list/envelope.ts';
import {
  addSignature,
  parseSigningKey,
  renderSigningKey,
  signDocument,
  signingKeyFromSeed,
} from '../../src/list/sign.ts';
import { aList, listKeys, refusedAs, rootKeys, signedList } from './documents.ts';

const [key] = listKeys;
const good = signedList(aList());

interface Loose {
  payload: unknown;
  signatures: unknown[];
}

function loose(change: (envelope: Loose) => unknown): Uint8Array {
  const envelope = JSON.parse(Buffer.from(good).toString('utf8')) as Loose;
  return encodeUtf8(JSON.stringify(change(envelope) ?? envelope));
}

function withHeader(header: object | string): Uint8Array {
  const text = typeof header === 'string' ? header : JSON.stringify(header);
  return loose((envelope) => {
    const [first] = envelope.signatures;
    const changed = { ...Object(first), protected: encodeBase64Url(encodeUtf8(text)) };
    return { ...envelope, signatures: [changed] };
  });
}

const header = { alg: 'Ed25519', kid: key.kid, typ: 'pf-list+jws' };

test('parse then render gives the same bytes', () => {
  assert.deepEqual(Buffer.from(renderEnvelope(parseEnvelope(good))), Buffer.from(good));
});

test('jose reads our envelopes', async () => {
  const jws = JSON.parse(Buffer.from(good).toString('utf8'));
  const { payload } = await generalVerify(jws, { ...key.publicKey }, { algorithms: ['Ed25519'] });
  assert.deepEqual(Buffer.from(payload), Buffer.from(parseEnvelope(good).payloadBytes));
});

test('a larger envelope is refused before it is parsed', () => {
  assert.throws(() => parseEnvelope(new Uint8Array(64 * 1024 + 1)), refusedAs('too_big'));
});

for (const [why, change] of [
  ['another member', (one: Loose) => ({ ...one, header: {} })],
  ['no payload', ({ signatures }: Loose) => ({ signatures })],
  ['no signatures', ({ payload }: Loose) => ({ payload })],
  ['an empty list of signatures', (one: Loose) => ({ ...one, signatures: [] })],
  ['signatures that are no list', (one: Loose) => ({ ...one, signatures: {} })],
  ['nine signatures', (one: Loose) => ({ ...one, signatures: Array(9).fill(one.signatures[0]) })],
  ['a payload with padding', (one: Loose) => ({ ...one, payload: 'YQ==' })],
  ['a payload with stray bits', (one: Loose) => ({ ...one, payload: 'YR' })],
  ['a payload that is an object', (one: Loose) => ({ ...one, payload: {} })],
  ['a list instead of an object', (one: Loose) => [one]],
  [
    'a signature of 63 bytes',
    (one: Loose) => ({
      ...one,
      signatures: [{ ...Object(one.signatures[0]), signature: 'A'.repeat(84) }],
    }),
  ],
] as const) {
  test(`envelope with ${why} is refused`, () => {
    assert.throws(() => parseEnvelope(loose(change)), refusedAs('envelope_syntax'));
  });
}

for (const [why, bytes] of [
  ['jwk', withHeader({ ...header, jwk: key.publicKey })],
  ['crit', withHeader({ ...header, crit: ['b64'], b64: false })],
  ['jku', withHeader({ ...header, jku: 'https://evil.example' })],
  ['no kid', withHeader({ alg: 'Ed25519', typ: 'pf-list+jws' })],
  ['no typ', withHeader({ alg: 'Ed25519', kid: key.kid })],
  ['an unknown typ', withHeader({ ...header, typ: 'JWT' })],
  ['typ __proto__', withHeader({ ...header, typ: '__proto__' })],
  ['a kid that is a path', withHeader({ ...header, kid: '../../etc/passwd' })],
  ['no JSON', withHeader('alg')],
  [
    'an unprotected header',
    loose((one) => ({ ...one, signatures: [{ ...Object(one.signatures[0]), header: {} }] })),
  ],
  ['a list', withHeader('[]')],
] as const) {
  test(`a signature header with ${why} is refused`, () => {
    assert.throws(() => parseEnvelope(bytes), refusedAs('envelope_header'));
  });
}

test('a header that says a thing twice is refused', () => {
  const text = `{"alg":"none","alg":"Ed25519","kid":"${key.kid}","typ":"pf-list+jws"}`;
  assert.throws(() => parseEnvelope(withHeader(text)), refusedAs('duplicate_member'));
});

for (const alg of ['none', 'EdDSA', 'HS256', 'ES256', 'Ed448', 'ed25519', null]) {
  test(`alg ${alg} is refused`, () => {
    assert.throws(() => parseEnvelope(withHeader({ ...header, alg })), refusedAs('algorithm'));
  });
}

test('signatures for different kinds of document in one envelope are refused', () => {
  const payload = parseEnvelope(good).payloadBytes;
  const list = JSON.parse(Buffer.from(good).toString('utf8')) as Loose;
  const root = JSON.parse(Buffer.from(signDocument('root', payload, [key])).toString()) as Loose;
  const mixed = { ...list, signatures: [...list.signatures, ...root.signatures] };
  const bytes = encodeUtf8(JSON.stringify(mixed));
  assert.throws(() => parseEnvelope(bytes), refusedAs('envelope_header'));
});

test('signatures added one at a time give the envelope signed at once', () => {
  const payload = parseEnvelope(good).payloadBytes;
  const [one, two, three] = rootKeys;
  const alone = signDocument('list', payload, [one]);
  const added = addSignature(addSignature(addSignature(alone, two), three), two);
  assert.deepEqual(
    Buffer.from(added),
    Buffer.from(signDocument('list', payload, [one, three, two])),
  );
});

test('a key file read back signs the same', () => {
  const again = parseSigningKey(JSON.parse(JSON.stringify(renderSigningKey(key))));
  const payload = parseEnvelope(good).payloadBytes;
  assert.deepEqual(
    Buffer.from(signDocument('list', payload, [again])),
    Buffer.from(signDocument('list', payload, [key])),
  );
});

for (const [why, jwk] of [
  ['nothing', undefined],
  ['a public key', key.publicKey],
  ['halves of two keys', { ...renderSigningKey(key), x: listKeys[1].publicKey.x }],
  ['another curve', { ...renderSigningKey(key), crv: 'X25519' }],
  ['a short d', { ...renderSigningKey(key), d: 'AAAA' }],
] as const) {
  test(`a key file with ${why} is refused`, () => {
    assert.throws(() => parseSigningKey(jwk), refusedAs('unknown_key'));
  });
}

test('a seed is 32 bytes', () => {
  assert.throws(() => signingKeyFromSeed(new Uint8Array(31)), RangeError);
});
