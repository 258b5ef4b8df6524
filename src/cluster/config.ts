/**
 * What a cluster node is: the stock `<cluster>` options with their defaults, checks and error
 * texts (cluster-protocol.md 7.2), older forms mapped with an explanation. Pure.
 */
import { ConfigError } from '../errors.ts';
import type { BlockValue, ClusterBlock } from '../wazuh/manager-cluster-block.ts';
import { type ClusterDefaults, editionOf } from '../wazuh/manager-edition.ts';
import { type HaproxyHelper, haproxyHelperOf } from './haproxy-helper.ts';

export interface ClusterConfig {
  readonly disabled: boolean;
  readonly nodeType: 'master' | 'worker';
  /** Name of the cluster. */
  readonly name: string;
  readonly nodeName: string;
  /** 32 characters `A-Z a-z 0-9 _`; never logged. */
  readonly key: string;
  readonly port: number;
  readonly bindAddress: string;
  /** Addresses of the master, to be tried in order; stock knows the first only. */
  readonly nodes: readonly string[];
  readonly hidden: string;
  /** The section of the HAProxy helper; undefined: not written. */
  readonly haproxyHelper: HaproxyHelper | undefined;
  /** Options we know nothing of, kept for `get_config`. */
  readonly extras: Readonly<Record<string, BlockValue>>;
}

/** A line for cluster.log and for `-t`. */
export interface ConfigNote {
  readonly level: 'INFO' | 'WARNING';
  readonly text: string;
}

export interface ReadConfig {
  readonly config: ClusterConfig;
  readonly notes: readonly ConfigNote[];
}

const known: ReadonlySet<string> = new Set([
  'disabled',
  'node_type',
  'name',
  'node_name',
  'key',
  'port',
  'bind_addr',
  'nodes',
  'hidden',
  'haproxy_helper',
]);
const allowedInNames = /^[!"#$%&'\-.0-9:<=>?A-Z[\]^_a-z{|}~]+$/;
const nameSet = '!"#$%&\'-.0-9:<=>?A-Z[\\]^_a-z{|}~';
const defaultsOfFour = editionOf('4').cluster;

/**
 * Checked in stock's order, so that of several faults the same one is told; what is wrong in a
 * block that is disabled matters to nobody, but for what stock cannot read either.
 * Throws `ConfigError` `config_invalid` with the stock text (3004).
 */
export function clusterConfigOf(
  block: ClusterBlock | undefined,
  ownAddresses: readonly string[] = [],
  defaults: ClusterDefaults = defaultsOfFour,
): ReadConfig {
  const notes: ConfigNote[] = [];
  const options = block?.options ?? (defaults.isAlwaysOn ? {} : { disabled: 'yes' });
  if ((block?.count ?? 0) > 1) notes.push(warning(manyBlocks));
  const port = readPort(options);
  const disabled = !defaults.isAlwaysOn && readDisabled(options);
  const type = readType(options, defaults, notes);
  const haproxyHelper = readHelper(options, notes);
  const listed = listedNodes(options, defaults);
  const key = textOf(options, 'key', defaults.key);
  if (!disabled) checkUsable({ key, type, port, listed, reserved: defaults.reserved });
  if (key !== '' && key === defaults.key) notes.push(warning(knownKey));
  const config: ClusterConfig = {
    disabled,
    nodeType: type === 'worker' ? 'worker' : 'master',
    name: textOf(options, 'name', 'wazuh'),
    nodeName: textOf(options, 'node_name', 'node01'),
    key,
    port,
    bindAddress: textOf(options, 'bind_addr', defaults.bindAddress),
    nodes: readNodes(options, listed, ownAddresses, notes),
    hidden: disabled ? 'yes' : textOf(options, 'hidden', 'no'),
    haproxyHelper,
    extras: Object.fromEntries(Object.entries(options).filter(([name]) => !known.has(name))),
  };
  if (options.interval !== undefined) notes.push(warning(oldInterval));
  for (const name of Object.keys(config.extras)) {
    if (!tolerated.has(name)) notes.push(warning(unknownText(name)));
  }
  if (!disabled) checkForOthers(options, config);
  return { config, notes };
}

/** Old options that every daemon of a manager takes without a word of complaint, or with its own. */
const tolerated: ReadonlySet<string> = new Set([
  'interval',
  'socket_timeout',
  'connection_timeout',
]);

function unknownText(name: string): string {
  const shown = name.slice(0, 80);
  return `Invalid element in the configuration: '${shown}'. Other daemons of a manager refuse it.`;
}

const manyBlocks = 'There are multiple cluster sections in configuration. Using only last section.';
const knownKey =
  'The key is the one that every manager is shipped with: whoever reaches the port may join. Set your own.';
const oldInterval =
  'Detected a deprecated configuration for cluster. Interval option is not longer available.';

interface Usable {
  readonly key: string;
  readonly type: string;
  readonly port: number;
  readonly listed: readonly string[];
  readonly reserved: readonly string[];
}

/** What stock checks before it starts a node. */
function checkUsable({ key, type, port, listed, reserved }: Usable): void {
  if (key === '') throw invalid('Unspecified key');
  if (!/^[A-Za-z0-9_]{32}$/.test(key)) {
    throw invalid('Key must be 32 characters long and only have alphanumeric characters');
  }
  if (type !== 'master' && type !== 'worker') {
    throw invalid(`Invalid node type ${type}. Correct values are master and worker`);
  }
  if (port <= 1024 || port >= 65_535) {
    throw invalid('Port must be higher than 1024 and lower than 65535.');
  }
  const bad = reserved.filter((node) => listed.includes(node));
  if (bad.length > 0) throw invalid(`Invalid elements in node fields: ${bad.join(', ')}.`);
}

/** What the other daemons of the same manager refuse: so the node never runs alone. */
function checkForOthers(options: Options, { name, nodeName, hidden }: ClusterConfig): void {
  if (options.node_type === '') throw invalid('Node type is empty in configuration');
  checkName(options.name === '' ? '' : name, 'Cluster');
  checkName(options.node_name === '' ? '' : nodeName, 'Node');
  // Whether alerts carry the names of cluster and node.
  if (hidden !== 'yes' && hidden !== 'no') {
    throw invalid(`Invalid value for element 'hidden': ${hidden.slice(0, 80)}.`);
  }
  // Stock starts with such a name and is refused at hello; say it where it can be mended.
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(nodeName)) {
    throw invalid(
      `Invalid node name format: ${JSON.stringify(nodeName.slice(0, 80))}. ${nodeForm}`,
    );
  }
}

const nodeForm = 'Masters accept 1 to 64 of A-Z a-z 0-9 _ -';

function readDisabled(options: Options): boolean {
  const text = textOf(options, 'disabled', 'no');
  if (text === 'yes' || text === 'no') return text === 'yes';
  throw invalid(`Allowed values for 'disabled' field are 'yes' and 'no'. Found: '${text}'`);
}

function readType(options: Options, { knowsClient }: ClusterDefaults, notes: ConfigNote[]): string {
  const text = textOf(options, 'node_type', 'master');
  if (text !== 'client' || !knowsClient) return text;
  notes.push({ level: 'INFO', text: "Deprecated node type 'client'. Using 'worker' instead." });
  return 'worker';
}

function checkName(text: string, word: 'Cluster' | 'Node'): void {
  if (text === '') throw invalid(`${word} name is empty in configuration`);
  if (allowedInNames.test(text)) return;
  const what = `${word.toLowerCase()} name: "${text.slice(0, 80)}"`;
  throw invalid(`Detected a not allowed character in ${what}. Characters allowed: "${nameSet}".`);
}

function readPort(options: Options): number {
  const text = textOf(options, 'port', '1516');
  if (!/^\d+$/.test(text)) throw invalid('Cluster port must be an integer.');
  return Number(text);
}

function listedNodes({ nodes }: Options, defaults: ClusterDefaults): readonly string[] {
  const listed = Array.isArray(nodes) ? (nodes as readonly string[]) : [];
  const filled = listed.filter((node) => node !== '');
  return filled.length > 0 ? filled : defaults.nodes;
}

/**
 * Today the list names the master. In 3.0 it named every member, this host too: such a list is
 * known by its other old options, and this host's own addresses are left out of it.
 */
function readNodes(
  options: Options,
  listed: readonly string[],
  ownAddresses: readonly string[],
  notes: ConfigNote[],
): readonly string[] {
  const isOld = options.interval !== undefined || options.node_type === 'client';
  const others = isOld ? listed.filter((node) => !ownAddresses.includes(node)) : listed;
  const nodes = others.length > 0 ? others : listed;
  if (nodes.length < listed.length) {
    const own = listed.filter((node) => !nodes.includes(node)).join(', ');
    notes.push(warning(`Left out of the old list of all members, being this host: ${own}.`));
  }
  if (nodes.length <= 1) return nodes;
  notes.push(
    warning(
      'Found more than one node in configuration. Only master node should be specified. ' +
        `Using ${nodes[0]} as master.`,
    ),
  );
  return nodes.slice(0, 1);
}

/** Checked whole, though this node itself leaves the load balancer alone. */
function readHelper(options: Options, notes: ConfigNote[]): HaproxyHelper | undefined {
  const section = options.haproxy_helper;
  if (section === undefined || section === '') return undefined;
  const helper = haproxyHelperOf(section);
  if (!helper.disabled) notes.push(warning(helperUnused));
  return helper;
}

const helperUnused =
  'haproxy_helper is enabled: this node does not change HAProxy. Agents that run pilotfish need ' +
  'no load balancer; for the others keep the helper of a stock master.';

type Options = Readonly<Record<string, BlockValue>>;

/** An element that holds nothing is as good as none. */
function textOf(options: Options, name: string, fallback: string): string {
  const value = options[name];
  if (value === undefined || value === '') return fallback;
  if (typeof value === 'string') return value;
  throw invalid(`${name} must be one text`);
}

function warning(text: string): ConfigNote {
  return { level: 'WARNING', text };
}

function invalid(text: string): ConfigError {
  const message = `Error 3004 - Error in cluster configuration: ${text}`;
  return new ConfigError('config_invalid', message);
}
