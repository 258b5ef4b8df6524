/**
 * Authenticode by osslsigncode. A release names its certificate and key (or a PKCS#11 engine, see
 * installers/windows/README.md); tests make a certificate of their own. The signing time is fixed,
 * so that the same key makes the same bytes; a release adds a time stamp of an authority afterwards.
 */
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './run.ts';

export interface Signer {
  /** PEM files. */
  readonly certificate: string;
  readonly key: string;
}

export function signAuthenticode(path: string, { certificate, key }: Signer, epoch: number): void {
  const signed = `${path}.signed`;
  const words = ['-certs', certificate, '-key', key, '-h', 'sha256', '-n', 'Pilotfish'];
  run(['osslsigncode', 'sign', ...words, '-time', String(epoch), '-in', path, '-out', signed]);
  renameSync(signed, path);
}

/** Throws unless the signature is whole and by `certificate`. */
export function verifyAuthenticode(path: string, certificate: string): void {
  run(['osslsigncode', 'verify', '-CAfile', certificate, '-in', path]);
}

/** A self-signed one for tests; never for a release. */
export function makeTestSigner(folder: string): Signer {
  const signer = { certificate: join(folder, 'test.crt'), key: join(folder, 'test.key') };
  const subject = [
    '-subj',
    '/CN=Pilotfish test signing',
    '-addext',
    'extendedKeyUsage=codeSigning',
  ];
  const files = ['-keyout', signer.key, '-out', signer.certificate];
  run([
    'openssl',
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '365',
    ...subject,
    ...files,
  ]);
  return signer;
}
