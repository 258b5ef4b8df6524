/** The checksums file and its Ed25519 signature; verified by openssl alone. */
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

/**
 * Writes `SUMS.sig` (raw signature) and `SUMS.pub` (PEM) beside `sumsPath`. Anybody then runs:
 * openssl pkeyutl -verify -pubin -inkey SHA256SUMS.pub -rawin -in SHA256SUMS -sigfile SHA256SUMS.sig
 */
export function signSums(sumsPath: string, keyPath: string): void {
  const key = createPrivateKey(readFileSync(keyPath));
  if (key.asymmetricKeyType !== 'ed25519') throw new Error(`${keyPath} is no Ed25519 key`);
  writeFileSync(`${sumsPath}.sig`, sign(null, readFileSync(sumsPath), key));
  const publicPem = createPublicKey(key).export({ type: 'spki', format: 'pem' });
  writeFileSync(`${sumsPath}.pub`, publicPem);
}
