/**
 * The servers of an existing HAProxy backend or nginx upstream, read so that a publisher can lead the
 * same managers. Reads what people write for Wazuh, names what it leaves out, guesses nothing. Pure.
 */
import { ConfigError } from '../errors.ts';

export interface ImportedServer {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** In the balancer's own scale. */
  readonly weight: number;
  readonly isBackup: boolean;
  /** Out of service for new sessions. */
  readonly isOut: boolean;
}

export interface ImportedPool {
  readonly kind: 'haproxy' | 'nginx';
  readonly name: string;
  /** HAProxy's algorithm, where it names one. */
  readonly balance?: string;
  readonly servers: readonly ImportedServer[];
  /** What was seen and not taken over. */
  readonly notes: readonly string[];
}

/** The one of that name, or the only one with servers. Throws ConfigError `config_invalid`. */
export function choosePool(
  pools: readonly ImportedPool[],
  wanted: string | undefined,
  where: string,
): ImportedPool {
  const named = pools.filter(({ name }) => wanted === undefined || name === wanted);
  const [only, ...more] = named.filter(({ servers }) => servers.length > 0);
  if (only !== undefined && more.length === 0) return only;
  const names = pools.map(({ name }) => name).join(', ') || 'none';
  const what = only === undefined ? 'no servers to take over' : 'several; name one';
  throw new ConfigError('config_invalid', `${where}: ${what}; it has: ${names}`);
}

/** `10.0.0.1:1514`, `[2001:db8::1]:1514`, `wm1.example`; undefined for sockets and variables. */
export function parseEndpoint(
  text: string,
  defaultPort: number,
): { readonly address: string; readonly port: number } | undefined {
  const found = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.-]+))(?::(\d{1,5}))?$/.exec(text);
  const address = found?.[1] ?? found?.[2];
  if (address === undefined) return undefined;
  const port = Number(found?.[3] ?? defaultPort);
  return port >= 1 && port <= 65_535 ? { address, port } : undefined;
}
