/**
 * What the stand-in agent takes from `ossec.conf`, judged as strictly as agentd judges it
 * (agent-side.md 1.4 to 1.7). It knows `<client>` thoroughly and lets every other section pass.
 */
import { isIP, isIPv6 } from 'node:net';
import { type Element, readElements, UnreadableConfig } from './ossec-reader.ts';

export interface ServerEntry {
  /** As written: never trimmed, never decoded. */
  readonly address: string;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
  readonly maxRetries: number;
  readonly retryIntervalS: number;
}

export interface AgentSettings {
  readonly servers: readonly ServerEntry[];
  readonly notifyS: number;
  /** Already raised to 3 x notify when it was not above it. */
  readonly reconnectS: number;
  readonly enrollment: boolean;
  readonly enrollmentPort: number;
}

/** Why agentd would not start. `code` is the number in the log line. */
export class RefusedConfig extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

const blocks = new Set([
  'client',
  'localfile',
  'labels',
  'remote',
  'global',
  'command',
  'active-response',
  'cluster',
  'socket',
  'anti_tampering',
  'agent-upgrade',
]);
/** Sections that may be empty, or that this reader does not look into. */
const otherSections = new Set([
  'syscheck',
  'rootcheck',
  'client_buffer',
  'wodle',
  'sca',
  'logging',
  'fluent-forward',
  'github',
  'office365',
  'ms-graph',
  'gcp-pubsub',
  'gcp-bucket',
  'osquery',
  'task-manager',
]);
const placeholders = new Set(['MANAGER_IP', '0.0.0.0', '']);

/** Mutable while reading: all `<client>` blocks of all roots add up, scalars: the last wins. */
interface Draft {
  readonly servers: ServerEntry[];
  notifyS: number;
  reconnectS: number;
  enrollment: boolean;
  enrollmentPort: number;
}

/** Reads the bytes of `ossec.conf`. Throws `RefusedConfig` with the number agentd would log. */
export function readSettings(bytes: Buffer, path: string): AgentSettings {
  const draft: Draft = {
    servers: [],
    notifyS: 0,
    reconnectS: 0,
    enrollment: true,
    enrollmentPort: 1515,
  };
  for (const root of parse(bytes, path).filter(isElement)) {
    if (root.name !== 'ossec_config') throw invalidElement(root.name);
    for (const section of elements(root)) readSection(draft, section);
  }
  return finish(draft);
}

function parse(bytes: Buffer, path: string): readonly Element[] {
  try {
    return readElements(bytes);
  } catch (error) {
    if (!(error instanceof UnreadableConfig)) throw error;
    const where = `Error reading XML file '${path}': ${error.message} (line ${error.line}).`;
    throw new RefusedConfig(1226, where);
  }
}

/** An element named `var` is a variable to the agent, and no element. */
function isElement({ name }: Element): boolean {
  return name.toLowerCase() !== 'var';
}

function elements(parent: Element): readonly Element[] {
  return parent.children.filter(isElement);
}

function readSection(draft: Draft, section: Element): void {
  const isBlock = blocks.has(section.name);
  if (isBlock && elements(section).length === 0) throw invalidElement(section.name);
  if (!isBlock && !otherSections.has(section.name)) throw invalidElement(section.name);
  if (section.name === 'client') readClient(draft, section);
}

/** What `port` and `protocol` beside `server-ip` mean for it. */
interface Legacy {
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
}

function readClient(draft: Draft, client: Element): void {
  const port = last(client, 'port');
  const legacy: Legacy = {
    port: port === undefined ? 1514 : portNumber('port', port),
    protocol: last(client, 'protocol') === 'udp' ? 'udp' : 'tcp',
  };
  for (const child of elements(client)) readClientChild(draft, child, legacy);
}

const ignored = new Set([
  'config-profile',
  'local_ip',
  'force_reconnect_interval',
  'port',
  'protocol',
]);
const choices: Readonly<Record<string, readonly string[]>> = {
  auto_restart: ['yes', 'no'],
  crypto_method: ['aes', 'blowfish'],
  'disable-active-response': ['yes', 'no'],
};

function readClientChild(draft: Draft, child: Element, legacy: Legacy): void {
  const { name } = child;
  const content = untilNul(child.content);
  if (name === 'server') draft.servers.push(readServer(child));
  else if (name === 'server-ip') draft.servers.push({ ...entry(literal(content)), ...legacy });
  else if (name === 'server-hostname') draft.servers.push({ ...entry(`${content}/`), ...legacy });
  else if (name === 'enrollment') readEnrollment(draft, child);
  else if (name === 'notify_time') draft.notifyS = digits(name, content);
  else if (name === 'time-reconnect') draft.reconnectS = digits(name, content);
  else if (name === 'ip_update_interval') digits(name, content);
  else if (choices[name] !== undefined) oneOf(name, content, choices[name]);
  else if (!ignored.has(name)) throw invalidElement(name);
}

function readServer(server: Element): ServerEntry {
  const children = elements(server);
  if (children.length === 0) throw invalidElement('server');
  let read: ServerEntry = entry('');
  for (const child of children) read = { ...read, ...readServerChild(child) };
  if (last(server, 'address') === undefined) throw invalidElement('server');
  return read;
}

function readServerChild(child: Element): Partial<ServerEntry> {
  const { name } = child;
  const content = untilNul(child.content);
  switch (name) {
    case 'address':
      if (content.includes('/')) throw invalidValue(name, content);
      return { address: stored(content) };
    case 'port':
      return { port: portNumber(name, content) };
    case 'protocol':
      return { protocol: oneOf(name, content, ['tcp', 'udp']) === 'udp' ? 'udp' : 'tcp' };
    case 'max_retries':
      return { maxRetries: positive(name, content) };
    case 'retry_interval':
      return { retryIntervalS: positive(name, content) };
    case 'interface_index':
      positive(name, content);
      return {};
    default:
      throw invalidElement(name);
  }
}

const enrollmentTexts = new Set([
  'manager_address',
  'interface_index',
  'agent_name',
  'groups',
  'agent_address',
  'ssl_cipher',
  'server_ca_path',
  'agent_certificate_path',
  'agent_key_path',
  'authorization_pass_path',
  'auto_method',
  'delay_after_enrollment',
  'use_source_ip',
]);

function readEnrollment(draft: Draft, enrollment: Element): void {
  for (const { name, content } of elements(enrollment)) {
    if (name === 'enabled') draft.enrollment = oneOf(name, content, ['yes', 'no']) === 'yes';
    else if (name === 'port') draft.enrollmentPort = portNumber(name, content);
    else if (!enrollmentTexts.has(name)) throw invalidElement(name);
  }
}

function finish(draft: Draft): AgentSettings {
  if (draft.servers.length === 0) throw new RefusedConfig(4105, 'No valid server IP found.');
  if (draft.servers.every(({ address }) => placeholders.has(address))) {
    const first = draft.servers[0]?.address ?? '';
    throw new RefusedConfig(4112, `Invalid server address found: '${first}'`);
  }
  const notifyS = draft.notifyS === 0 ? 20 : draft.notifyS;
  const reconnectS = draft.reconnectS === 0 ? 60 : draft.reconnectS;
  return {
    servers: draft.servers,
    notifyS,
    reconnectS: reconnectS <= notifyS ? 3 * notifyS : reconnectS,
    enrollment: draft.enrollment,
    enrollmentPort: draft.enrollmentPort,
  };
}

function entry(address: string): ServerEntry {
  return { address, port: 1514, protocol: 'tcp', maxRetries: 5, retryIntervalS: 10 };
}

/** `server-ip` takes addresses only. */
function literal(content: string): string {
  if (isIP(content) === 0) throw new RefusedConfig(1237, `Invalid ip address: '${content}'.`);
  return stored(content);
}

/** A NUL ends a value silently. */
function untilNul(content: string): string {
  return content.split('\0', 1)[0] ?? '';
}

/** IPv6 is kept fully written out in upper case (so it stands in the log); names are cut at 126 bytes. */
function stored(address: string): string {
  if (address.includes('%') || !isIPv6(address)) return address.slice(0, 126);
  const plain = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...bytes: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = bytes.slice(0, 4).map(Number);
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
  const [head = '', tail] = plain.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const middle = Array.from({ length: 8 - left.length - right.length }, () => '0');
  const groups = [...left, ...middle, ...right];
  return groups.map((group) => group.padStart(4, '0').toUpperCase()).join(':');
}

function last(parent: Element, name: string): string | undefined {
  return parent.children.findLast((child) => child.name === name)?.content;
}

/** Digits only; empty counts as 0. */
function digits(name: string, content: string): number {
  if (!/^\d*$/.test(content)) throw invalidValue(name, content);
  return Number(BigInt.asIntN(32, BigInt(content === '' ? 0 : content))); // wraps as atoi does
}

function positive(name: string, content: string): number {
  const value = digits(name, content);
  if (value < 1) throw invalidValue(name, content);
  return value;
}

function portNumber(name: string, content: string): number {
  const value = positive(name, content);
  if (value > 65_535) throw invalidValue(name, content);
  return value;
}

function oneOf(name: string, content: string, allowed: readonly string[]): string {
  if (!allowed.includes(content)) throw invalidValue(name, content);
  return content;
}

function invalidElement(name: string): RefusedConfig {
  return new RefusedConfig(1230, `Invalid element in the configuration: '${name}'.`);
}

function invalidValue(name: string, content: string): RefusedConfig {
  return new RefusedConfig(1235, `Invalid value for element '${name}': ${content}.`);
}

/** `agent.recv_timeout` of `local_internal_options.conf`, milliseconds; 60 s without it. */
export function readRecvTimeoutMs(text: string): number {
  const found = [...text.matchAll(/^\s*agent\.recv_timeout\s*=\s*(\d+)\s*$/gm)].at(-1)?.[1];
  const seconds = found === undefined ? 60 : Number(found);
  if (seconds < 1 || seconds > 600) {
    throw new RefusedConfig(2302, `Invalid definition for agent.recv_timeout: '${found}'.`);
  }
  return seconds * 1000;
}
