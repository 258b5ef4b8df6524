/** What this system says about names: its resolver configuration and its table of hosts, re-read when they change. */

import { getServers } from 'node:dns';
import { stat } from 'node:fs/promises';
import { type HostsFile, parseHostsFile } from '../dns/hosts-file.ts';
import { parseResolvConf, parseServer, type ResolverConfig } from '../dns/resolv-conf.ts';
import { readLinked } from './read-bounded.ts';

const maxFileBytes = 1024 * 1024;

export interface DnsFiles {
  readonly resolvConf: string;
  readonly hosts: string;
}

export const systemDnsFiles: DnsFiles = {
  resolvConf: '/etc/resolv.conf',
  hosts:
    process.platform === 'win32'
      ? `${process.env.SystemRoot ?? 'C:\\Windows'}\\System32\\drivers\\etc\\hosts`
      : '/etc/hosts',
};

/** A file's parsed form, read again when size or time of change differ; an absent file is empty. */
export function cachedFile<T>(path: string, parse: (text: string) => T): () => Promise<T> {
  let stamp = '';
  let value: T | undefined;
  return async () => {
    const now = await stampOf(path);
    if (value !== undefined && now === stamp) return value;
    stamp = now;
    value = parse((await readLinked(path, maxFileBytes))?.toString('utf8') ?? '');
    return value;
  };
}

async function stampOf(path: string): Promise<string> {
  try {
    const { mtimeMs, size, ino } = await stat(path);
    return `${ino} ${size} ${mtimeMs}`;
  } catch {
    return 'absent'; // or not for us to read: both mean that nothing is known from it
  }
}

export function hostsFile({ hosts }: DnsFiles): () => Promise<HostsFile> {
  return cachedFile(hosts, parseHostsFile);
}

/** Systems without the file (Windows) tell their servers to the runtime's own resolver. */
export function resolverConfig({ resolvConf }: DnsFiles): () => Promise<ResolverConfig> {
  if (process.platform !== 'win32') return cachedFile(resolvConf, parseResolvConf);
  return async () => ({
    servers: getServers().flatMap((text) => parseServer(text) ?? []),
    search: [],
    ndots: 1,
  });
}
