/** Names as the sidecar resolves them: its own resolver over this host's servers and files. */
import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { untilAborted } from '../clock.ts';
import { AddressBook } from '../dns/address-book.ts';
import { type NameWorld, resolveAddresses } from '../dns/addresses.ts';
import { defaultCacheSettings } from '../dns/cache.ts';
import { parseServer, type ResolverConfig } from '../dns/resolv-conf.ts';
import { Resolver } from '../dns/resolver.ts';
import { ConfigError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import { hostsFile, resolverConfig, systemDnsFiles } from '../host/dns-files.ts';
import { buildDnsSockets } from '../host/dns-sockets.ts';
import type { Resolve } from '../host/probe-socket.ts';
import { systemClock as clock, systemRandom as random } from '../host/system-clock.ts';
import type { SidecarConfig } from './sidecar-config.ts';
import type { NameTools } from './sidecar-host.ts';

/** Throws ConfigError `config_unreadable` for `dns.tlsCa`. */
export async function buildNames({ dns }: Pick<SidecarConfig, 'dns'>): Promise<NameTools> {
  const system = resolverConfig(systemDnsFiles);
  const own = dns.servers.flatMap((text) => parseServer(text) ?? []);
  const config = async (): Promise<ResolverConfig> => {
    const found = await system();
    return own.length === 0 ? found : { ...found, servers: own };
  };
  const resolver = new Resolver({
    ...{ clock, random, config },
    transport: buildDnsSockets(dns.tlsCa === undefined ? [] : [await readCa(dns.tlsCa)]),
    cache: {
      ...defaultCacheSettings,
      minTtlSec: dns.minTtl / 1_000,
      maxTtlSec: dns.maxTtl / 1_000,
      maxStaleSec: dns.maxStale / 1_000,
    },
  });
  const world: NameWorld = { clock, resolver, hosts: hostsFile(systemDnsFiles), search: config };
  return { resolver, world, system: systemLookup };
}

/** Nobody answers at its addresses: a TTL that still runs is no reason to keep them. */
const suspectMaxAgeMs = 900;

/** For probes: every address of a name that counts now. */
export function resolveBy({ world }: NameTools): Resolve {
  const book = new AddressBook();
  return async (name, isSuspect) => {
    const wish = { isInHurry: true, ...(isSuspect ? { maxAgeMs: suspectMaxAgeMs } : {}) };
    return book.note(name, (await resolveAddresses(world, name, wish)).addresses);
  };
}

async function readCa(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const why = `dns.tlsCa ${path}: ${messageOf(error)}`;
    throw new ConfigError('config_unreadable', why, { cause: error });
  }
}

/** getaddrinfo, as the agent asks; it cannot be cut short, so a late answer is not awaited. */
async function systemLookup(name: string, signal: AbortSignal): Promise<readonly string[]> {
  const found = await untilAborted(lookup(name, { all: true, order: 'verbatim' }), signal);
  return found.map(({ address }) => address);
}
