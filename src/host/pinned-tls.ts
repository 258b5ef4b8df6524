/**
 * A TLS 1.3 connection to a host whose key is pinned, proven before the first byte is sent. The
 * system's certificate authorities play no part. Dates of a pinned certificate are a warning only:
 * the pin is the trust, freshness comes from receipts, and a host whose clock is ten years off
 * must still be able to learn where its managers are (trust-and-safety D4, D5).
 */
import { createHash, type X509Certificate } from 'node:crypto';
import { isIP, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { PeerError, type ReasonName } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';
import { type Endpoint, openTunnel } from './proxy-tunnel.ts';

export interface PinnedTarget {
  /** Name or IP literal without brackets. */
  readonly host: string;
  readonly port: number;
  /** `sha256/<base64 of the SHA-256 of the DER SubjectPublicKeyInfo>`. */
  readonly pins: readonly string[] | 'content_is_pinned';
}

export interface PinnedConnection {
  readonly socket: TLSSocket;
  readonly warnings: readonly string[];
}

const maxChainLength = 5;

/** Throws PeerError `dns_failed`, `connect_failed`, `tls_failed` or `pin_mismatch`. */
export async function connectPinned(
  target: PinnedTarget,
  nowMs: number,
  signal: AbortSignal,
  proxy?: Endpoint,
): Promise<PinnedConnection> {
  const carrier = proxy && (await openTunnel(proxy, target, signal));
  return shakeHands(target, nowMs, signal, carrier);
}

/** Over `carrier` when there is one, else over a connection of its own. */
function shakeHands(
  target: PinnedTarget,
  nowMs: number,
  signal: AbortSignal,
  carrier: Socket | undefined,
): Promise<PinnedConnection> {
  return new Promise((resolve, reject) => {
    const { host, port } = target;
    let reached = carrier !== undefined;
    const socket = connect({
      ...(carrier === undefined ? { host, port } : { socket: carrier }),
      ...(isIP(host) === 0 ? { servername: host } : {}),
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['http/1.1'],
      // Not "unverified": the pins below are the verification, and nothing was sent yet.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    });
    const fail = (error: unknown): void => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      reject(error);
    };
    const onAbort = (): void => fail(signal.reason);
    socket.on('connect', () => {
      reached = true;
    });
    socket.on('error', (error) => fail(connectProblem(error, `${host}:${port}`, reached)));
    socket.on('close', () => fail(new PeerError('tls_failed', `${host}:${port} closed`)));
    socket.on('secureConnect', () => {
      const leaf = socket.getPeerX509Certificate();
      const problem = leaf === undefined ? 'no certificate was shown' : pinProblem(leaf, target);
      if (problem !== undefined) {
        return fail(new PeerError('pin_mismatch', `${host}:${port}: ${problem}`));
      }
      signal.removeEventListener('abort', onAbort);
      resolve({ socket, warnings: leaf === undefined ? [] : dateWarnings(leaf, nowMs) });
    });
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}

const dnsCodes = ['ENOTFOUND', 'EAI_AGAIN', 'EAI_NODATA', 'EAI_NONAME', 'EAI_FAIL'];

function connectProblem(error: Error, where: string, reached: boolean): PeerError {
  const code = systemCodeOf(error) ?? '';
  const early: ReasonName = dnsCodes.includes(code) ? 'dns_failed' : 'connect_failed';
  return new PeerError(reached ? 'tls_failed' : early, `${where}: ${messageOf(error)}`, {
    cause: error,
  });
}

/**
 * Why the shown chain is not the pinned one; undefined when it is. Either the leaf's own key is
 * pinned, or some pinned authority in the chain signed its way down to a leaf for this name.
 */
export function pinProblem(leaf: X509Certificate, target: PinnedTarget): string | undefined {
  const { pins } = target;
  if (pins === 'content_is_pinned' || pins.includes(spkiPin(leaf))) return undefined;
  return chainProblem(leaf, pins) ?? nameProblem(leaf, target.host);
}

/** Whatever name it is for: the pins vouch for the key. */
export function isUnderPin(leaf: X509Certificate, pins: readonly string[]): boolean {
  return pins.includes(spkiPin(leaf)) || chainProblem(leaf, pins) === undefined;
}

function chainProblem(leaf: X509Certificate, pins: readonly string[]): string | undefined {
  let child = leaf;
  for (let depth = 1; depth < maxChainLength; depth += 1) {
    const parent = child.issuerCertificate;
    if (parent === undefined || parent.fingerprint256 === child.fingerprint256) break;
    if (!parent.ca || !child.checkIssued(parent) || !child.verify(parent.publicKey)) {
      return 'a certificate in its chain is not signed by the one above it';
    }
    if (pins.includes(spkiPin(parent))) return undefined;
    child = parent;
  }
  return `its key ${spkiPin(leaf)} is not pinned, nor is any authority above it`;
}

function nameProblem(leaf: X509Certificate, host: string): string | undefined {
  const matched = isIP(host) === 0 ? leaf.checkHost(host) : leaf.checkIP(host);
  if (matched !== undefined) return undefined;
  return `its certificate is for ${leaf.subjectAltName ?? 'no name'}, not for ${host}`;
}

export function spkiPin(certificate: X509Certificate): string {
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return `sha256/${createHash('sha256').update(spki).digest('base64')}`;
}

function dateWarnings(leaf: X509Certificate, nowMs: number): readonly string[] {
  if (nowMs >= Date.parse(leaf.validFrom) && nowMs <= Date.parse(leaf.validTo)) return [];
  return [
    `the publisher's certificate is valid ${leaf.validFrom} to ${leaf.validTo}, not now: ` +
      "a wrong clock here, or a certificate to renew (its key is pinned, so it's still trusted)",
  ];
}
