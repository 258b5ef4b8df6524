/** `HOST[:PORT]` as people type it, and the id that follows from it. */
import { ConfigError } from '../errors.ts';
import { addressGrammar, parseAddress } from '../list/address.ts';
import type { InitManager } from '../publisher/init.ts';

const defaultPort = 1514;

/** `wm1.example`, `10.0.0.1:1514`, `[2001:db8::1]:1514`, `2001:db8::1`. Throws ConfigError `usage`. */
export function parseManagers(texts: readonly string[]): readonly InitManager[] {
  const parsed = texts.map(parseEndpoint);
  const names = [shortName, wholeName, nameWithPort].map((nameOf) => parsed.map(nameOf));
  return parsed.map((endpoint, index) => {
    const candidates = names.map((column) => ({ id: column[index] ?? '', column }));
    const unique = candidates.find(
      ({ id, column }) => column.indexOf(id) === column.lastIndexOf(id),
    );
    if (unique !== undefined) return { id: unique.id, ...endpoint };
    throw new ConfigError('usage', `--manager ${texts[index]} is named twice`);
  });
}

interface Endpoint {
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

function parseEndpoint(text: string): Endpoint {
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
