/** `/etc/resolv.conf` as resolv.conf(5) describes it; what is not understood is skipped, as libc does. */
import { isIP } from 'node:net';
import { parseName } from './name.ts';
import type { NameServer } from './servers.ts';

export interface ResolverConfig {
  readonly servers: readonly NameServer[];
  readonly search: readonly string[];
  readonly ndots: number;
}

/** glibc's MAXNS and MAXDNSRCH; more are ignored there and would surprise here. */
const limits = { servers: 3, search: 6, ndots: 15 } as const;

/** No server at all means the one on this host, as in libc. */
export function parseResolvConf(text: string): ResolverConfig {
  const servers: NameServer[] = [];
  let search: readonly string[] = [];
  let ndots = 1;
  for (const line of text.split('\n')) {
    const [word = '', ...rest] = line
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/);
    if (word === 'nameserver') servers.push(...serverOf(rest[0]));
    if (word === 'search' || word === 'domain') {
      search = rest.flatMap((domain) => parseName(domain) ?? []).slice(0, limits.search);
    }
    if (word === 'options') ndots = ndotsOf(rest) ?? ndots;
  }
  const own: NameServer = { address: '127.0.0.1', port: 53, transport: 'udp' };
  return {
    servers: servers.length === 0 ? [own] : servers.slice(0, limits.servers),
    search,
    ndots,
  };
}

/** A zone index (`fe80::1%eth0`) belongs to the address for connecting. */
function serverOf(text: string | undefined): readonly NameServer[] {
  if (text === undefined || isIP(text.replace(/%.*$/, '')) === 0) return [];
  return [{ address: text, port: 53, transport: 'udp' }];
}

function ndotsOf(options: readonly string[]): number | undefined {
  const found = options.map((one) => /^ndots:(\d+)$/.exec(one)?.[1]).findLast((one) => one);
  return found === undefined ? undefined : Math.min(Number(found), limits.ndots);
}

/**
 * `192.0.2.1`, `192.0.2.1:5353`, `[2001:db8::1]:53`, `tls://192.0.2.1#dns.example`, as configured.
 * Undefined when it is none of these.
 */
export function parseServer(text: string): NameServer | undefined {
  const match =
    /^(?<tls>tls:\/\/)?(?:\[(?<six>[^\]]+)\]|(?<four>[0-9.]+)|(?<bare>[0-9a-fA-F:]+))(?::(?<port>\d{1,5}))?(?:#(?<name>\S+))?$/.exec(
      text,
    );
  const { tls, six, four, bare, port, name } = match?.groups ?? {};
  const address = six ?? four ?? bare ?? '';
  const usualPort = tls === undefined ? 53 : 853;
  const number = port === undefined ? usualPort : Number(port);
  if (isIP(address) === 0 || number < 1 || number > 65_535) return undefined;
  if (tls === undefined) {
    return name === undefined ? { address, port: number, transport: 'udp' } : undefined;
  }
  const tlsName = name === undefined ? undefined : parseName(name);
  if (name !== undefined && tlsName === undefined) return undefined;
  return {
    address,
    port: number,
    transport: 'tls',
    ...(tlsName === undefined ? {} : { tlsName }),
  };
}
