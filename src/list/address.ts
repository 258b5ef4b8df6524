/**
 * The only address forms a list may carry: what passes here goes into the agent's XML as it is, so
 * nothing is ever escaped. RFC 1123 names, dotted IPv4, RFC 5952 IPv6.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { listLimits } from './model.ts';

export type Address =
  | { readonly kind: 'name'; readonly labels: readonly string[] }
  | { readonly kind: 'ipv4' | 'ipv6'; readonly bytes: Uint8Array };

export const addressGrammar = `a host name (RFC 1123, at most ${listLimits.maxHostLength} characters) or a canonical IPv4 or IPv6 address`;

const label = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;
/** inet_aton reads such a last label as a number: `1`, `0x7f`. */
const numericLabel = /^(?:[0-9]+|0[xX][0-9A-Fa-f]*)$/;

/** The address in `text`, or undefined when it is none or not in its one canonical form. */
export function parseAddress(text: string): Address | undefined {
  if (text.length === 0 || text.length > listLimits.maxHostLength) return undefined;
  if (text.includes(':')) return parseIpv6(text);
  // isIPv4 takes four decimal numbers without leading zeros only: one spelling per address
  if (isIPv4(text)) return { kind: 'ipv4', bytes: Uint8Array.from(text.split('.').map(Number)) };
  return parseName(text);
}

function parseName(text: string): Address | undefined {
  const labels = text.split('.');
  if (!labels.every((one) => label.test(one))) return undefined;
  return numericLabel.test(labels.at(-1) ?? '') ? undefined : { kind: 'name', labels };
}

/**
 * Only what renders back to itself, so neither zone ids nor dotted tails. IPv4-mapped addresses are
 * refused: they would be a second spelling of an IPv4 address.
 */
function parseIpv6(text: string): Address | undefined {
  if (!isIPv6(text)) return undefined;
  const bytes = expandIpv6(text);
  const isMapped =
    bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  return isMapped || renderIpv6(bytes) !== text ? undefined : { kind: 'ipv6', bytes };
}

function expandIpv6(text: string): Uint8Array {
  const [head = '', tail] = text.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  const groups = [...before, ...zeros, ...after].map((group) => Number.parseInt(group, 16));
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

/** RFC 5952 section 4: lower case, no leading zeros, the first longest run of zeros compressed. */
function renderIpv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, index) =>
    (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16),
  );
  const zeroRuns = groups.map((_, start) => {
    const end = groups.findIndex((group, index) => index >= start && group !== '0');
    return (end === -1 ? groups.length : end) - start;
  });
  const longest = Math.max(...zeroRuns);
  if (longest < 2) return groups.join(':');
  const start = zeroRuns.indexOf(longest);
  return `${groups.slice(0, start).join(':')}::${groups.slice(start + longest).join(':')}`;
}
