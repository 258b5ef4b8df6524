/** `/etc/hosts`: hosts(5). The first line that names a host wins for each family, as in libc. */
import { isIP } from 'node:net';
import { parseName } from './name.ts';

export interface HostsFile {
  /** Addresses of a name, in the order of the file; empty when it is not listed. */
  addressesOf(name: string): readonly string[];
}

/** Lines beyond this are not read: a block list of a million names is no host table. */
const maxLines = 20_000;

export function parseHostsFile(text: string): HostsFile {
  const found = new Map<string, string[]>();
  for (const line of text.split('\n', maxLines)) {
    const [address = '', ...names] = line.replace(/#.*$/, '').trim().split(/\s+/);
    if (isIP(address) === 0) continue;
    for (const text of names) {
      const name = parseName(text);
      if (name !== undefined) found.set(name, [...(found.get(name) ?? []), address]);
    }
  }
  return { addressesOf: (name) => found.get(name) ?? [] };
}
