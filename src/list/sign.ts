/** Signing: what the publisher and the key ceremony do. Keys come in, bytes go out. */
import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { decodeBase64Url, encodeBase64Url, encodeUtf8 } from '../bytes.ts';
import { ListError } from '../errors.ts';
import { isJsonObject } from '../guards.ts';
import { type EnvelopeSignature, parseEnvelope, renderEnvelope, renderHeader } from './envelope.ts';
import { thumbprint } from './keys.ts';
import type { DocumentKind, PublicKey, Receipt } from './model.ts';
import { renderReceipt } from './parse-receipt.ts';

/** PKCS #8 frame of an Ed25519 seed (RFC 8410 section 7). */
const pkcs8Frame = Buffer.from('302e020100300506032b657004220420', 'hex');

export interface SigningKey {
  readonly kid: string;
  readonly publicKey: PublicKey;
  readonly privateKey: KeyObject;
}

/** A private key as JWK (RFC 8037): the form of our key files. */
export interface PrivateJwk extends PublicKey {
  /** The 32 byte seed in base64url. Secret. */
  readonly d: string;
}

/** A new key from 32 unpredictable bytes (`random.bytes(32)`); the same bytes give the same key. */
export function signingKeyFromSeed(seed: Uint8Array): SigningKey {
  if (seed.length !== 32) throw new RangeError(`a seed is 32 bytes, not ${seed.length}`);
  const privateKey = createPrivateKey({
    key: Buffer.concat([pkcs8Frame, seed]),
    format: 'der',
    type: 'pkcs8',
  });
  const { x = '' } = createPublicKey(privateKey).export({ format: 'jwk' });
  const publicKey: PublicKey = { kty: 'OKP', crv: 'Ed25519', x };
  return { kid: thumbprint(publicKey), publicKey, privateKey };
}

/** The key in a key file. @throws ListError `unknown_key` when it is none of ours or damaged */
export function parseSigningKey(jwk: unknown): SigningKey {
  const { kty, crv, x, d } = isJsonObject(jwk) ? jwk : {};
  const seed = typeof d === 'string' ? decodeBase64Url(d) : undefined;
  if (kty !== 'OKP' || crv !== 'Ed25519' || seed?.length !== 32) {
    throw new ListError('unknown_key', 'key file: an Ed25519 private key as JWK expected');
  }
  const key = signingKeyFromSeed(seed);
  if (key.publicKey.x !== x) {
    throw new ListError('unknown_key', 'key file: x and d do not belong together');
  }
  return key;
}

/** The inverse of `parseSigningKey`. The result is secret. */
export function renderSigningKey(key: SigningKey): PrivateJwk {
  const { d = '' } = key.privateKey.export({ format: 'jwk' });
  return { ...key.publicKey, d };
}

/** An envelope around `payload` with one signature of each key, in this order. */
export function signDocument(
  kind: DocumentKind,
  payload: Uint8Array,
  keys: readonly SigningKey[],
): Uint8Array {
  const encoded = encodeBase64Url(payload);
  const signatures = keys.map((key) => signPart(kind, encoded, key));
  return renderEnvelope({ payload: encoded, signatures });
}

/** One more signature on an envelope, for ceremonies whose keys never meet; the payload stays. */
export function addSignature(envelopeBytes: Uint8Array, key: SigningKey): Uint8Array {
  const envelope = parseEnvelope(envelopeBytes);
  const others = envelope.signatures.filter((one) => one.kid !== key.kid);
  const added = signPart(envelope.kind, envelope.payload, key);
  return renderEnvelope({ payload: envelope.payload, signatures: [...others, added] });
}

/** Compact JWS for the answer header of one poll. */
export function signReceipt(receipt: Receipt, key: SigningKey): string {
  const payload = encodeBase64Url(renderReceipt(receipt));
  const part = signPart('receipt', payload, key);
  return `${part.protected}.${payload}.${part.signature}`;
}

function signPart(kind: DocumentKind, payload: string, key: SigningKey): EnvelopeSignature {
  const header = encodeBase64Url(renderHeader(kind, key.kid));
  const signature = sign(null, encodeUtf8(`${header}.${payload}`), key.privateKey);
  return { kid: key.kid, protected: header, signature: encodeBase64Url(signature) };
}
