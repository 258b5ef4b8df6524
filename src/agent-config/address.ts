/**
 * Addresses as the agent judges, stores and compares them (agent-side.md 1.6): literals by its own
 * patterns, IPv6 fully expanded in upper case, everything else a host name cut at 126 bytes.
 */

const IPV4 =
  '(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])';
const IPV4_MASK = `(?:3[0-2]|[1-2]?[0-9]|${IPV4})`;
const IPV6_PREFIX = '(?:12[0-8]|1[0-1][0-9]|[0-9]?[0-9])';
const GROUP = '[0-9a-fA-F]{1,4}';

/** The agent's patterns; like its engine they let one newline stand at the very end. */
const ipPatterns: readonly RegExp[] = [
  `(?:::[fF]{4}:)?${IPV4}(/${IPV4_MASK})?`,
  `(?:${GROUP}:){7}${GROUP}(/${IPV6_PREFIX})?`,
  ...[1, 2, 3, 4, 5, 6].map(
    (tail) => `(?:${GROUP}:){1,${7 - tail}}(?::${GROUP}){1,${tail}}(/${IPV6_PREFIX})?`,
  ),
  `(?:${GROUP}:){1,7}:(/${IPV6_PREFIX})?`,
  `:(?::${GROUP}){1,7}(/${IPV6_PREFIX})?`,
  '::',
].map((source) => new RegExp(`^${source}\\n?$`));

const plainIpv4 = new RegExp(`^${IPV4}$`);
const hostName = /^[A-Za-z0-9._-]{1,126}$/;
const MAX_STORED_CHARS = 126;

export type IpKind = 'none' | 'address' | 'network';

/** What the agent's validator takes this text for; a leading `!` is skipped, `any` is a network. */
export function ipKindOf(text: string): IpKind {
  const bare = text.startsWith('!') ? text.slice(1) : text;
  if (bare === 'any') return 'network';
  for (const pattern of ipPatterns) {
    const match = pattern.exec(bare);
    if (match !== null) return match[1] === undefined ? 'address' : 'network';
  }
  return 'none';
}

/** The stored form of a server address, undefined when the agent refuses it. */
export function storedAddress(text: string): string | undefined {
  if (ipKindOf(text) === 'address') return expandIpv6(text);
  return text.includes('/') ? undefined : expandIpv6(text.slice(0, MAX_STORED_CHARS));
}

/** `2001:db8::1` becomes `2001:0DB8:0000:…:0001`; what is no IPv6 literal stays as it is. */
export function expandIpv6(text: string): string {
  const groups = text.includes(':') ? parseIpv6(text) : undefined;
  if (groups === undefined) return text;
  return groups.map((group) => group.toString(16).toUpperCase().padStart(4, '0')).join(':');
}

/** One spelling for two addresses that mean the same: IPv6 expanded, host names in lower case. */
export function normalAddress(text: string): string {
  return expandIpv6(text).toLowerCase();
}

/** Whether we write this address: a plain host name or a plain IPv4 or IPv6 literal. */
export function isWritable(text: string): boolean {
  if (parseIpv6(text) !== undefined) return true;
  if (!hostName.test(text) || isPlaceholder(text) || text === 'any') return false;
  return !/^[0-9.]+$/.test(text) || plainIpv4.test(text);
}

/** An IPv4 or IPv6 literal, not a name. */
export function isLiteral(text: string): boolean {
  return plainIpv4.test(text) || parseIpv6(text) !== undefined;
}

/** Image placeholders the agent counts as no server at all. */
export function isPlaceholder(stored: string): boolean {
  return stored === '' || stored === 'MANAGER_IP' || stored === '0.0.0.0';
}

/** A stored address that only works with an `interface_index`. */
export function isLinkLocal(stored: string): boolean {
  return stored.startsWith('FE80:0000:0000:0000:');
}

/** Eight 16-bit groups, by the rules of `inet_pton`: no zone, no brackets, no leading zeros in a dotted tail. */
export function parseIpv6(text: string): readonly number[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] ?? '', halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? '', true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1) return missing === 0 ? head : undefined;
  return missing < 1 ? undefined : [...head, ...new Array<number>(missing).fill(0), ...tail];
}

function parseGroups(text: string, mayEndDotted: boolean): readonly number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const words = text.split(':');
  for (const [index, word] of words.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(word)) {
      groups.push(Number.parseInt(word, 16));
    } else if (mayEndDotted && index === words.length - 1 && plainIpv4.test(word)) {
      const [a = 0, b = 0, c = 0, d = 0] = word.split('.').map(Number);
      groups.push(a * 256 + b, c * 256 + d);
    } else {
      return undefined;
    }
  }
  return groups;
}
