/**
 * `<manager><endpoint>` of later 5.x: `[https://] host [:port] [/[prefix]]`, the host bracketed
 * when it is IPv6 (wazuh/wazuh#38624).
 */
import { isPlaceholder, normalAddress, parseIpv6 } from './address.ts';
import { defaultPorts } from './dialect.ts';
import { Refusal } from './refusal.ts';

export interface Endpoint {
  readonly scheme: string;
  /** As written, with brackets and zone. */
  readonly host: string;
  readonly address: string;
  readonly port: number;
  /** From the first slash on, as written; empty when there is none. */
  readonly prefix: string;
}

const MAX_PREFIX_CHARS = 128;
const grammar =
  /^(?<scheme>https:\/\/)?(?<host>\[(?<literal>[0-9A-Fa-f:.]+)(?:%25[A-Za-z0-9._-]+)?\]|(?<name>[A-Za-z0-9._-]*))(?::(?<port>[0-9]{1,5}))?(?<prefix>\/[A-Za-z0-9._/-]*)?$/;

/** Throws a `Refusal` pointing at `offset` when the agent would not accept the value. */
export function parseEndpoint(value: string, offset: number): Endpoint {
  const {
    scheme = '',
    host = '',
    literal,
    name,
    port,
    prefix = '',
  } = grammar.exec(value)?.groups ?? {};
  const address = literal ?? name;
  const number = port === undefined ? defaultPorts['5'] : Number(port);
  const isHost = literal === undefined ? name !== undefined : parseIpv6(literal) !== undefined;
  if (address === undefined || !isHost || number < 1 || number > 65_535 || !isPrefix(prefix)) {
    throw badEndpoint(value, offset);
  }
  if (address === '' && !isPlaceholder(value)) throw badEndpoint(value, offset);
  return { scheme, host, address, port: number, prefix };
}

/** The value for another manager or port; scheme and prefix stay, and so does the same host. */
export function renderEndpoint(kept: Endpoint, address: string, port: number): string {
  const bracketed = parseIpv6(address) === undefined ? address : `[${address}]`;
  const host = normalAddress(kept.address) === normalAddress(address) ? kept.host : bracketed;
  return `${kept.scheme}${host}:${port}${kept.prefix}`;
}

function isPrefix(prefix: string): boolean {
  if (prefix.length > MAX_PREFIX_CHARS || prefix.includes('//')) return false;
  return !prefix.split('/').some((segment) => segment === '.' || segment === '..');
}

function badEndpoint(value: string, offset: number): Refusal {
  return new Refusal({
    offset,
    said: `(1235): Invalid value for element 'endpoint': ${value}.`,
    fix: 'write host[:port][/prefix], IPv6 in brackets, for example manager-1.example:1517',
  });
}
