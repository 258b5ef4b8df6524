/** Networks of a root's constraints, in one canonical spelling: `10.20.0.0/16`, `2001:db8:20::/48`. */
import { type Address, parseAddress } from './address.ts';

interface Network {
  readonly kind: 'ipv4' | 'ipv6';
  readonly bytes: Uint8Array;
  readonly prefixBits: number;
}

/** Canonical address, canonical prefix length, and no bit set beyond the prefix. */
export function isCidr(text: string): boolean {
  const network = parseCidr(text);
  if (network === undefined) return false;
  const { bytes, prefixBits } = network;
  return bytes.every((byte, index) => (byte & hostMask(prefixBits, index)) === 0);
}

/** Is a numeric address inside the network? IPv4 is never inside an IPv6 network or vice versa. */
export function isInside(address: Address, cidr: string): boolean {
  const network = parseCidr(cidr);
  if (network === undefined || address.kind !== network.kind) return false;
  const { bytes, prefixBits } = network;
  return bytes.every((byte, index) => {
    const differs = byte ^ (address.bytes[index] ?? 0);
    return (differs & ~hostMask(prefixBits, index) & 0xff) === 0;
  });
}

function parseCidr(text: string): Network | undefined {
  const [, host = '', prefix = ''] = /^([^/]+)\/(0|[1-9][0-9]{0,2})$/.exec(text) ?? [];
  const address = parseAddress(host);
  if (address === undefined || address.kind === 'name') return undefined;
  const prefixBits = Number(prefix);
  if (prefixBits > address.bytes.length * 8) return undefined;
  return { kind: address.kind, bytes: address.bytes, prefixBits };
}

/** The bits of byte `index` that lie after the prefix. */
function hostMask(prefixBits: number, index: number): number {
  const kept = Math.min(8, Math.max(0, prefixBits - index * 8));
  return 0xff >> kept;
}
