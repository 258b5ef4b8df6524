/**
 * Who the publisher is to a sidecar: a short-lived server certificate under a private authority
 * whose key the root pins (trust-and-safety 6.4). Renewed long before it ends, without a restart.
 */

/** Both in PEM. */
export interface KeyedCertificate {
  readonly certificatePem: string;
  readonly keyPem: string;
}

export interface CertificateFacts {
  readonly notAfterMs: number;
  /** `DNS:p1.example`, `IP Address:10.0.0.1`, for people. */
  readonly names: readonly string[];
  covers(host: string): boolean;
  isUnder(authorityPem: string): boolean;
}

/** Port: makes and reads certificates. */
export interface CertificateMaker {
  makeAuthority(request: {
    readonly org: string;
    readonly validDays: number;
  }): KeyedCertificate & { /** `sha256/<base64>` of its key. */ readonly pin: string };
  /** With `keyPem` for that key, else for a new one. Throws HostError `state_unreadable`. */
  makeServer(request: {
    readonly authority: KeyedCertificate;
    readonly hosts: readonly string[];
    readonly validDays: number;
    readonly keyPem?: string;
  }): KeyedCertificate;
  /** Throws HostError `state_unreadable`. */
  inspect(certificatePem: string): CertificateFacts;
}

export const authorityValidDays = 3_650;
export const serverValidDays = 30;
/** A third of its life is left when a server certificate is replaced. */
const renewBeforeMs = 10 * 86_400_000;

/** Why a server certificate must be replaced now, or undefined while it is good. */
export function renewalReason(
  facts: CertificateFacts,
  wanted: { readonly authorityPem: string; readonly hosts: readonly string[] },
  nowMs: number,
): string | undefined {
  if (!facts.isUnder(wanted.authorityPem)) return 'it is not signed by the authority';
  const missing = wanted.hosts.find((host) => !facts.covers(host));
  if (missing !== undefined) return `it does not name ${missing}`;
  if (facts.notAfterMs - nowMs < renewBeforeMs) return 'it ends soon';
  return undefined;
}

/** The host names and addresses of `urls`, without brackets and ports. */
export function hostsOf(urls: readonly string[]): readonly string[] {
  const hosts = urls.map((url) => new URL(url).hostname.replace(/^\[|\]$/g, ''));
  return [...new Set(hosts)];
}
