/**
 * X.509 version 3 in the one profile that the publisher needs (RFC 5280): a private authority and
 * the server certificate under it, both ECDSA P-256 with SHA-256. `node:crypto` reads certificates
 * but makes none, and the libraries that do bring a dozen packages for these few fields.
 * Pure: keys, serial number and instants come in, the signature is made by the caller's `sign`.
 */
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { parseAddress } from '../list/address.ts';
import * as der from './der.ts';

export interface CertificateRequest {
  readonly kind: 'authority' | 'server';
  readonly subject: string;
  readonly issuer: string;
  /** 16 unpredictable bytes. */
  readonly serial: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** SubjectPublicKeyInfo of the signer, DER. */
  readonly issuerKey: Uint8Array;
  /** Names and addresses of a server; none for an authority. */
  readonly hosts: readonly string[];
}

/** ECDSA with SHA-256 over `bytes`, the signature in DER. */
export type SignBytes = (bytes: Uint8Array) => Uint8Array;

const algorithm = der.sequence(der.objectId('1.2.840.10045.4.3.2')); // ecdsa-with-SHA256
const ids = {
  commonName: '2.5.4.3',
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const;
const version3 = der.explicit(0, der.unsigned(Buffer.from([2])));

/** The certificate in DER. */
export function encodeCertificate(request: CertificateRequest, sign: SignBytes): Uint8Array {
  const body = der.sequence(
    version3,
    der.unsigned(request.serial),
    algorithm,
    nameOf(request.issuer),
    der.sequence(der.time(request.notBeforeMs), der.time(request.notAfterMs)),
    nameOf(request.subject),
    request.publicKey,
    der.explicit(3, der.sequence(...extensionsOf(request))),
  );
  return der.sequence(body, algorithm, der.bits(sign(body)));
}

export function renderPem(label: string, bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** `sha256/<base64>` of a SubjectPublicKeyInfo: how a root pins a key (RFC 7469 2.4). */
export function pinOf(publicKey: Uint8Array): string {
  return `sha256/${createHash('sha256').update(publicKey).digest('base64')}`;
}

function nameOf(text: string): der.Der {
  return der.sequence(der.set(der.sequence(der.objectId(ids.commonName), der.utf8(text))));
}

function extensionsOf(request: CertificateRequest): readonly der.Der[] {
  const identity = [
    extension(ids.subjectKeyId, der.octets(keyId(request.publicKey))),
    extension(ids.authorityKeyId, der.sequence(der.implicit(0, keyId(request.issuerKey)))),
  ];
  if (request.kind === 'authority') {
    const noFurtherAuthority = der.unsigned(Buffer.from([0]));
    return [
      critical(ids.basicConstraints, der.sequence(der.isTrue, noFurtherAuthority)),
      critical(ids.keyUsage, der.bits(Buffer.from([0x06]), 1)), // keyCertSign, cRLSign
      ...identity,
    ];
  }
  return [
    critical(ids.basicConstraints, der.sequence()),
    critical(ids.keyUsage, der.bits(Buffer.from([0x80]), 7)), // digitalSignature
    extension(ids.extendedKeyUsage, der.sequence(der.objectId(ids.serverAuth))),
    extension(ids.subjectAltName, der.sequence(...request.hosts.map(altNameOf))),
    ...identity,
  ];
}

function extension(id: string, value: der.Der): der.Der {
  return der.sequence(der.objectId(id), der.octets(value));
}

function critical(id: string, value: der.Der): der.Der {
  return der.sequence(der.objectId(id), der.isTrue, der.octets(value));
}

/** RFC 5280 4.2.1.2 leaves the method open; any stable hash of the key does. */
function keyId(publicKey: Uint8Array): Uint8Array {
  return createHash('sha256').update(publicKey).digest().subarray(0, 20);
}

/** GeneralName: [2] dNSName, [7] iPAddress. */
function altNameOf(host: string): der.Der {
  const address = isIP(host) === 0 ? undefined : parseAddress(host);
  if (address === undefined || address.kind === 'name') {
    return der.implicit(2, Buffer.from(host, 'ascii'));
  }
  return der.implicit(7, address.bytes);
}
