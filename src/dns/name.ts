/**
 * DNS names as text: lower case, no trailing dot, at most 253 characters. What passes `parseName`
 * may be asked for; what an answer carries is normalised the same way, or the answer is refused.
 */

const label = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/;
const maxNameLength = 253;

/** The name in its one form, or undefined when no host or service can have it (RFC 1035 2.3.1, RFC 2782). */
export function parseName(text: string): string | undefined {
  const bare = text.endsWith('.') ? text.slice(0, -1) : text;
  if (bare.length === 0 || bare.length > maxNameLength) return undefined;
  return bare.split('.').every((part) => label.test(part)) ? bare.toLowerCase() : undefined;
}

/** Each letter in upper or lower case by one bit of `bits` (draft-vixie-dnsext-dns0x20). */
export function mixCase(name: string, bits: Uint8Array): string {
  let index = 0;
  return name.replace(/[a-z]/g, (letter) => {
    const bit = ((bits[index >> 3] ?? 0) >> (index & 7)) & 1;
    index += 1;
    return bit === 1 ? letter.toUpperCase() : letter;
  });
}

/** How many random bytes `mixCase` uses up for a name of any length. */
export const mixCaseBytes = 32;

/**
 * What to ask for `text`, in order: a name that ends in a dot or has `ndots` dots as it is first,
 * others with each search domain first (resolv.conf(5)).
 */
export function candidateNames(
  text: string,
  search: readonly string[],
  ndots: number,
): readonly string[] {
  const name = parseName(text);
  if (name === undefined) return [];
  if (text.endsWith('.')) return [name];
  const below = search.flatMap((domain) => parseName(`${name}.${domain}`) ?? []);
  return name.split('.').length - 1 >= ndots ? [name, ...below] : [...below, name];
}
