/**
 * Where agents reach the manager of this host, by zone: addresses that are written down, that an
 * interface of this host has in a network, or that a file of labels names (the Kubernetes downward
 * API writes such files: `KEY="VALUE"` a line).
 */
import { networkInterfaces } from 'node:os';
import { parseAddress } from '../list/address.ts';
import { isInside } from '../list/cidr.ts';
import type { ZoneAddress } from '../list/model.ts';
import { isInnerInterface } from '../publisher/addresses/odd-address.ts';
import { readLinked } from './read-bounded.ts';

export interface AddressSources {
  readonly named: readonly ZoneAddress[];
  /** The one address that an interface of this host has in the network. */
  readonly networks: readonly {
    readonly zone: string;
    readonly network: string;
    readonly port?: number | undefined;
  }[];
  /** File of labels or annotations. */
  readonly labels?: string | undefined;
}

export interface OwnAddresses {
  readonly addresses: readonly ZoneAddress[];
  /** What could not be told, for people. */
  readonly faults: readonly string[];
}

export type Interfaces = ReturnType<typeof networkInterfaces>;

const maxLabelBytes = 256 * 1024;

/** Sources in order: what is written down goes before what is discovered, that before labels. */
export async function readOwnAddresses(
  sources: AddressSources,
  interfaces: Interfaces = networkInterfaces(),
): Promise<OwnAddresses> {
  const faults: string[] = [];
  const all: ZoneAddress[] = [...sources.named];
  for (const { zone, network, port } of sources.networks) {
    const found = addressesIn(interfaces, network);
    const [address] = found;
    if (address !== undefined && found.length === 1) {
      all.push({ zone, address, ...(port === undefined ? {} : { port }) });
    } else {
      const seen =
        found.length === 0 ? 'no address' : `${found.length} addresses (${found.join(', ')})`;
      faults.push(`zone ${zone}: this host has ${seen} in ${network}; expected: one`);
    }
  }
  if (sources.labels !== undefined) {
    const text = await readLinked(sources.labels, maxLabelBytes);
    if (text === undefined) faults.push(`${sources.labels} cannot be read`);
    else all.push(...labelledAddresses(text.toString('utf8'), faults));
  }
  const zones = new Set(all.map(({ zone }) => zone));
  return { addresses: all.filter(({ zone }) => zones.delete(zone)), faults };
}

/** Of bridges, containers and tunnels none counts, whatever their network. */
function addressesIn(interfaces: Interfaces, network: string): readonly string[] {
  return Object.entries(interfaces)
    .filter(([name]) => !isInnerInterface(name))
    .flatMap(([, list = []]) => list.map(({ address }) => address))
    .filter((text) => {
      const address = parseAddress(text);
      return address !== undefined && isInside(address, network);
    });
}

const labelShape = /^address\.pilotfish\/([A-Za-z0-9_-]{1,64})="(.*)"$/;
/** `HOST`, `HOST:PORT`, `[IPV6]:PORT`, `IPV6`. */
const endpointShape = /^(?:\[([0-9a-f:]+)\]|([^:[\]]+))(?::([1-9][0-9]{0,4}))?$/;

function labelledAddresses(text: string, faults: string[]): readonly ZoneAddress[] {
  return text.split('\n').flatMap((line) => {
    const [, zone, value = ''] = labelShape.exec(line) ?? [];
    if (zone === undefined) return [];
    const [, inBrackets, plain, portText] = endpointShape.exec(value) ?? [];
    const address = inBrackets ?? plain ?? value;
    const port = portText === undefined ? undefined : Number(portText);
    if (parseAddress(address) !== undefined && (port ?? 1) <= 65_535) {
      return [{ zone, address, ...(port === undefined ? {} : { port }) }];
    }
    faults.push(`label address.pilotfish/${zone}: expected HOST or HOST:PORT`);
    return [];
  });
}
