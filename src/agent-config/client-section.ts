/** `<client>` as 4.x reads it (agent-side.md 1.5), and the little 5.x still takes from it (1.10). */
import { expandIpv6 } from './address.ts';
import { defaultPorts } from './dialect.ts';
import { contentOf, type Element } from './element.ts';
import { readEnrollment } from './enrollment.ts';
import {
  DEFAULT_MAX_RETRIES,
  DEFAULT_RETRY_INTERVAL_SEC,
  type Loaded,
  type LoadedServer,
} from './loaded.ts';
import { readServerBlock, unknownChild } from './server-block.ts';
import { checkValue, type Rule, toInt } from './values.ts';

const MAX_STORED_CHARS = 126;

const rules: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['local_ip', 'anything'],
  ['server-ip', 'ip'],
  ['server-hostname', 'host_name'],
  ['port', 'port'],
  ['protocol', 'protocol'],
  ['notify_time', 'count'],
  ['time-reconnect', 'count'],
  ['force_reconnect_interval', 'anything'],
  ['ip_update_interval', 'count'],
  ['disable-active-response', 'yes_no'],
  ['config-profile', 'anything'],
  ['auto_restart', 'yes_no'],
  ['crypto_method', 'crypto'],
]);

/** Servers are appended in document order over all blocks; scalars are overwritten. */
export function readClient(bytes: Uint8Array, section: Element, loaded: Loaded): void {
  let port = defaultPorts['4'];
  let protocol: 'tcp' | 'udp' = 'tcp';
  const servers: LoadedServer[] = [];
  for (const child of section.children) {
    if (child.name === 'server') {
      servers.push(readServerBlock(bytes, '4', child, section));
    } else if (child.name === 'enrollment') {
      readEnrollment(bytes, child, loaded, '4');
    } else {
      const value = readScalar(bytes, child);
      if (child.name === 'port') port = toInt(value);
      if (child.name === 'protocol') protocol = value === 'udp' ? 'udp' : 'tcp';
      if (child.name === 'notify_time') loaded.notifyTime = toInt(value);
      if (child.name === 'time-reconnect') loaded.timeReconnect = toInt(value);
      if (isDeprecatedEntry(child)) servers.push(deprecatedServer(child, section, value));
    }
  }
  // Block-level port and protocol belong to the deprecated entries of their own block only.
  for (const server of servers) {
    loaded.servers.push(server.form === 'server' ? server : { ...server, port, protocol });
  }
}

/** 5.x: the last address of the first block that has one, and only while no server is known. */
export function readClientFallback(bytes: Uint8Array, section: Element, loaded: Loaded): void {
  if (loaded.servers.length > 0) return;
  const entries = section.children.filter((child) => child.name === 'server');
  const found = entries.flatMap((element) =>
    element.children
      .filter((child) => child.name === 'address')
      .map((child) => ({ element, value: contentOf(bytes, child) })),
  );
  const last = found.at(-1);
  if (last === undefined) return;
  const server = deprecatedServer(last.element, section, expandIpv6(last.value));
  loaded.servers = [{ ...server, address: expandIpv6(last.value), form: 'client', port: 1517 }];
}

export function isDeprecatedEntry(element: Element): boolean {
  return element.name === 'server-ip' || element.name === 'server-hostname';
}

/** `server-ip` is stored as written; `server-hostname` gets a slash behind it, cut at 126 bytes. */
export function deprecatedServer(element: Element, section: Element, value: string): LoadedServer {
  const isIp = element.name === 'server-ip';
  return {
    address: isIp ? value : `${value}/`.slice(0, MAX_STORED_CHARS),
    port: defaultPorts['5'],
    protocol: 'tcp',
    maxRetries: DEFAULT_MAX_RETRIES,
    retryInterval: DEFAULT_RETRY_INTERVAL_SEC,
    interfaceIndex: 0,
    form: isIp ? 'server-ip' : 'server-hostname',
    element,
    section,
  };
}

function readScalar(bytes: Uint8Array, child: Element): string {
  const rule = rules.get(child.name);
  if (rule === undefined) throw unknownChild(child, 44);
  const value = contentOf(bytes, child);
  checkValue({ rule, name: child.name, value, offset: child.start });
  return value;
}
