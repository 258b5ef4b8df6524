/** `[ID=]HOST[:PORT]` as people type it, and the id that follows from it when none is given. */
import { ConfigError } from '../errors.ts';
import { addressGrammar, parseAddress } from '../list/address.ts';
import type { InitManager } from '../publisher/init.ts';

const defaultPort = 1514;

/**
 * `wm1.example`, `eu-1=10.0.0.1:1514`, `[2001:db8::1]:1514`, `2001:db8::1`.
 * Throws ConfigError `usage`.
 */
export function parseManagers(texts: readonly string[]): readonly InitManager[] {
  const parsed = texts.map(parseEndpoint);
  const names = [shortName, wholeName, nameWithPort].map((nameOf) =>
    parsed.map((endpoint) => endpoint.id ?? nameOf(endpoint)),
  );
  return parsed.map(({ address, port }, index) => {
    const candidates = names.map((column) => ({ id: column[index] ?? '', column }));
    const unique = candidates.find(
      ({ id, column }) => column.indexOf(id) === column.lastIndexOf(id),
    );
    if (unique !== undefined) return { id: unique.id, address, port };
    throw new ConfigError('usage', `--manager ${texts[index]} is named twice`);
  });
}

interface Endpoint {
  /** As typed before `=`. */
  readonly id?: string;
  readonly address: string;
  readonly port: number;
}

/** `wm1` of `wm1.acme.example`; an IP address has no short form. */
function shortName({ address }: Endpoint): string {
  const isName = parseAddress(address)?.kind === 'name';
  return (isName ? (address.split('.')[0] ?? '') : wholeName({ address, port: 0 })).toLowerCase();
}

function wholeName({ address }: Endpoint): string {
  return address
    .replace(/[^A-Za-z0-9_-]+/g, '-')
    .slice(0, 56)
    .toLowerCase();
}

function nameWithPort(endpoint: Endpoint): string {
  return `${wholeName(endpoint)}-${endpoint.port}`;
}

function parseEndpoint(typed: string): Endpoint {
  const [, id, text = typed] = /^([^=]*)=(.*)$/.exec(typed) ?? [];
  if (id === undefined) return parseAddressAndPort(text);
  if (/^[A-Za-z0-9_-]{1,64}$/.test(id)) return { id, ...parseAddressAndPort(text) };
  throw new ConfigError(
    'usage',
    `--manager ${typed}: expected an id of 1 to 64 of A-Z a-z 0-9 _ -`,
  );
}

function parseAddressAndPort(text: string): Endpoint {
  const isBareIpv6 = parseAddress(text)?.kind === 'ipv6';
  const shape = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/;
  const [, inBrackets, plain, portText] = isBareIpv6 ? [] : (shape.exec(text) ?? []);
  const address = isBareIpv6 ? text : (inBrackets ?? plain ?? '');
  const port = portText === undefined ? defaultPort : Number(portText);
  if (parseAddress(address) === undefined) {
    throw new ConfigError(
      'usage',
      `--manager ${text}: expected HOST[:PORT], HOST ${addressGrammar}`,
    );
  }
  if (port < 1 || port > 65_535) {
    throw new ConfigError('usage', `--manager ${text}: expected a port from 1 to 65535`);
  }
  return { address, port };
}
