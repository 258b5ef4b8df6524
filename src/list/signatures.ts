/**
 * Who signed these bytes? Each signature is verified on its own: `jose.generalVerify` would accept
 * one good signature among bad ones, which is no threshold (trust-and-safety D3).
 */
import { errors, flattenedVerify } from 'jose';
import { ListError, type ReasonName } from '../errors.ts';
import type { Envelope, EnvelopeSignature } from './envelope.ts';
import type { PublicKey, Role } from './model.ts';

export type KeyRing = Readonly<Record<string, PublicKey>>;

/**
 * The distinct keys of `keys` that signed the envelope. A kid is the thumbprint of its key (proven
 * when the root was parsed), so one key counts once however often it signs. Signatures of keys we
 * do not know are passed over: during a rotation they belong to the next root.
 * @throws ListError with `reason` when a known key's signature does not fit these bytes
 */
export async function findSigners(
  envelope: Envelope,
  keys: KeyRing,
  reason: ReasonName,
): Promise<ReadonlySet<string>> {
  const signers = new Set<string>();
  for (const one of envelope.signatures) {
    const key = Object.hasOwn(keys, one.kid) ? keys[one.kid] : undefined;
    if (key === undefined) continue;
    if (!(await isSigned(envelope.payload, one, key))) {
      throw new ListError(reason, `the signature of key ${one.kid} does not fit the content`);
    }
    signers.add(one.kid);
  }
  return signers;
}

export function meetsThreshold(signers: ReadonlySet<string>, role: Role): boolean {
  return new Set(role.kids.filter((kid) => signers.has(kid))).size >= role.threshold;
}

/** One signature over exactly `protected.payload`. */
export async function isSigned(
  payload: string,
  part: Pick<EnvelopeSignature, 'protected' | 'signature'>,
  key: PublicKey,
): Promise<boolean> {
  const { protected: header, signature } = part;
  try {
    const jws = { payload, protected: header, signature };
    await flattenedVerify(jws, { ...key }, { algorithms: ['Ed25519'] });
    return true;
  } catch (thrown) {
    if (thrown instanceof errors.JWSSignatureVerificationFailed) return false;
    throw new ListError('threshold', 'a signature cannot be verified', { cause: thrown });
  }
}
