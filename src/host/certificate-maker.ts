/** Keys and certificates of the publisher's private authority, made on this host. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  X509Certificate,
} from 'node:crypto';
import { isIP } from 'node:net';
import type { Clock, Random } from '../clock.ts';
import { HostError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import { encodeCertificate, pinOf, renderPem } from '../publisher/certificate.ts';
import type { CertificateMaker, KeyedCertificate } from '../publisher/server-identity.ts';

const dayMs = 86_400_000;
/** Clocks of agents run late: certificates are valid from a little before they were made. */
const backdateMs = dayMs;

export function buildCertificateMaker(clock: Clock, random: Random): CertificateMaker {
  return {
    makeAuthority({ org, validDays }) {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const spki = exportSpki(publicKey);
      const name = `Pilotfish authority of ${org}`;
      const bytes = encodeCertificate(
        {
          kind: 'authority',
          subject: name,
          issuer: name,
          serial: positiveSerial(random),
          notBeforeMs: clock.nowMs() - backdateMs,
          notAfterMs: clock.nowMs() + validDays * dayMs,
          publicKey: spki,
          issuerKey: spki,
          hosts: [],
        },
        (body) => sign('sha256', body, privateKey),
      );
      return { ...keyed(bytes, privateKey), pin: pinOf(spki) };
    },
    makeServer({ authority, hosts, validDays, keyPem }) {
      const privateKey =
        keyPem === undefined
          ? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
          : readPrivateKey(keyPem);
      const issuer = readCertificate(authority.certificatePem);
      const issuerKey = readPrivateKey(authority.keyPem);
      const bytes = encodeCertificate(
        {
          kind: 'server',
          subject: hosts[0] ?? 'pilotfish-publisher',
          issuer: commonNameOf(issuer),
          serial: positiveSerial(random),
          notBeforeMs: clock.nowMs() - backdateMs,
          notAfterMs: Math.min(clock.nowMs() + validDays * dayMs, issuer.validToDate.getTime()),
          publicKey: exportSpki(createPublicKey(privateKey)),
          issuerKey: exportSpki(issuer.publicKey),
          hosts,
        },
        (body) => sign('sha256', body, issuerKey),
      );
      return keyed(bytes, privateKey);
    },
    inspect(certificatePem) {
      const certificate = readCertificate(certificatePem);
      return {
        notAfterMs: certificate.validToDate.getTime(),
        names: (certificate.subjectAltName ?? '').split(', ').filter((name) => name !== ''),
        covers: (host) => {
          const found =
            isIP(host) === 0
              ? certificate.checkHost(host, { subject: 'never' })
              : certificate.checkIP(host);
          return found !== undefined;
        },
        isUnder: (authorityPem) => {
          const authority = readCertificate(authorityPem);
          return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
        },
      };
    },
  };
}

function keyed(bytes: Uint8Array, privateKey: KeyObject): KeyedCertificate {
  return {
    certificatePem: renderPem('CERTIFICATE', bytes),
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** RFC 5280 4.1.2.2: positive, at most 20 octets. */
function positiveSerial(random: Random): Uint8Array {
  const bytes = Buffer.from(random.bytes(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes;
}

function exportSpki(key: KeyObject): Uint8Array {
  return key.export({ type: 'spki', format: 'der' });
}

function readCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new HostError('state_unreadable', `a certificate cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function readPrivateKey(pem: string): KeyObject {
  try {
    const key = createPrivateKey(pem);
    createPublicKey(key);
    return key;
  } catch (error) {
    throw new HostError('state_unreadable', `a private key cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function commonNameOf(certificate: X509Certificate): string {
  const line = certificate.subject.split('\n').find((one) => one.startsWith('CN='));
  return line?.slice('CN='.length) ?? '';
}
