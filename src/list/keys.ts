/**
 * Ed25519 public keys as they stand in a root. Points of small order verify trivial signatures over
 * any message in many libraries (OpenSSL 3.0 does, 3.5 does not), so they are refused here whatever
 * the library below does, and so is every non-canonical encoding (RFC 8032 5.1.3).
 */
import { createHash } from 'node:crypto';
import { decodeBase64Url, encodeBase64Url, encodeUtf8 } from '../bytes.ts';
import { ListError } from '../errors.ts';
import type { PublicKey } from './model.ts';

const fieldPrime = 2n ** 255n - 19n;
const orderEightY = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
/** The y coordinates of the eight points whose order divides 8; the sign of x does not matter. */
const smallOrderY: ReadonlySet<bigint> = new Set([
  0n,
  1n,
  fieldPrime - 1n,
  orderEightY,
  fieldPrime - orderEightY,
]);

/** RFC 7638 thumbprint (SHA-256, base64url) of an Ed25519 key: its only id here. */
export function thumbprint(key: PublicKey): string {
  const canonical = `{"crv":"${key.crv}","kty":"${key.kty}","x":"${key.x}"}`;
  return encodeBase64Url(createHash('sha256').update(encodeUtf8(canonical)).digest());
}

/**
 * Refuse a key that any signature could satisfy, or that has a second name.
 * @throws ListError `weak_key` for weak points, `root_invalid` for a wrong shape or a wrong id
 */
export function checkPublicKey(kid: string, key: PublicKey): void {
  const point = decodeBase64Url(key.x);
  if (point === undefined || point.length !== 32) {
    throw new ListError('root_invalid', `keys.${kid}.x: 32 bytes in base64url expected`);
  }
  const y = readLittleEndian(point) & (2n ** 255n - 1n);
  if (y >= fieldPrime) throw new ListError('weak_key', `keys.${kid}: not in canonical form`);
  if (smallOrderY.has(y)) throw new ListError('weak_key', `keys.${kid}: a point of small order`);
  const expected = thumbprint(key);
  if (kid !== expected) {
    throw new ListError('root_invalid', `keys.${kid}: the thumbprint of this key is ${expected}`);
  }
}

function readLittleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
}
