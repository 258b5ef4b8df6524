/** The tables of `cluster_control`, character by character as stock prints them. Pure. */
import type { ClusterHealth, MomentSpan, NodeHealth } from '../cluster/local/node-health.ts';
import type { NodeLine } from '../cluster/local/node-list.ts';
import { printable } from './terminal.ts';

/** Upper-case header, every column two wider than its widest cell, padding kept at line ends. */
export function controlTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const table = [
    header.map((name) => name.toUpperCase()),
    ...rows.map((row) => row.map(printable)),
  ];
  const widths = header.map((_, column) =>
    Math.max(...table.map((row) => [...(row[column] ?? '')].length + 2)),
  );
  const lines = table.map((row) =>
    row.map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - [...cell].length)).join(''),
  );
  return `${lines.join('\n')}\n`;
}

export function nodesTable(nodes: readonly NodeLine[]): string {
  const rows = nodes.map(({ name, type, version, address }) => [name, type, version, address]);
  return controlTable(['Name', 'Type', 'Version', 'Address'], rows);
}

/** One agent as the cluster told it; what is missing is `unknown`. */
export type AgentLine = Readonly<Record<string, string>>;

const agentColumns = [
  ['id', 'ID'],
  ['name', 'Name'],
  ['ip', 'IP'],
  ['status', 'Status'],
  ['version', 'Version'],
  ['node_name', 'Node name'],
] as const;

/** `hasNodes`: false for 5.0, whose agents have no node of their own. */
export function agentsTable(agents: readonly AgentLine[], hasNodes: boolean): string {
  const columns = agentColumns.filter(([member]) => hasNodes || member !== 'node_name');
  const rows = agents.map((agent) => columns.map(([member]) => agent[member] ?? 'unknown'));
  return controlTable(
    columns.map(([, title]) => title),
    rows,
  );
}

export function healthShort(cluster: string, { connectedNodes, nodes }: ClusterHealth): string {
  const lines = sorted(nodes).flatMap((node) => (node.sync === undefined ? [] : [shortLine(node)]));
  const head = `Last completed synchronization for connected nodes (${connectedNodes}):\n`;
  return `Cluster name: ${printable(cluster)}\n\n${head}${lines.join('')}\n`;
}

function shortLine({ name, address, sync }: NodeHealth): string {
  const told = [
    `Integrity check: ${sync?.integrityCheck.end}`,
    `Integrity sync: ${sync?.integritySync.end}`,
    `Agents-info: ${sync?.agentInfo.end}`,
    `Agent-groups: ${sync?.agentGroups.end}`,
    `Agent-groups full: ${sync?.allAgentGroups.end}`,
    `Last keep alive: ${sync?.lastKeepAlive}.`,
  ];
  return `    ${printable(name)} (${printable(address)}): ${told.map(printable).join(' | ')}\n`;
}

export function healthLong(cluster: string, { connectedNodes, nodes }: ClusterHealth): string {
  const head = `Cluster name: ${printable(cluster)}\n\nConnected nodes (${connectedNodes}):\n`;
  return `${head}${sorted(nodes).map(longText).join('')}\n`;
}

function longText(node: NodeHealth): string {
  const { activeAgents } = node;
  const agents = activeAgents === undefined ? '' : `        Active agents: ${activeAgents}\n`;
  return (
    `\n    ${printable(node.name)} (${printable(node.address)})\n` +
    `        Version: ${printable(node.version)}\n` +
    `        Type: ${printable(node.type)}\n${agents}${statusText(node)}`
  );
}

function statusText({ sync }: NodeHealth): string {
  if (sync === undefined) return '';
  const { shared, missing, extra } = sync.integritySync;
  const part = (title: string, lines: readonly string[]): string =>
    `            ${title}:\n${lines.map((line) => `                ${printable(line)}.\n`).join('')}`;
  return [
    '        Status:\n',
    part('Last keep Alive', [`Last received: ${sync.lastKeepAlive}`]),
    part('Integrity check', [
      `Last integrity check: ${spanText(sync.integrityCheck)}`,
      `Permission to check integrity: ${pythonBool(sync.isIntegrityFree)}`,
    ]),
    part('Integrity sync', [
      `Last integrity synchronization: ${spanText(sync.integritySync)}`,
      `Synchronized files: Shared: ${shared} | Missing: ${missing} | Extra: ${extra}`,
    ]),
    part('Agents-info', [
      `Last synchronization: ${spanText(sync.agentInfo)}`,
      `Number of synchronized chunks: ${sync.agentInfo.chunks}`,
      `Permission to synchronize agent-info: ${pythonBool(sync.isAgentInfoFree)}`,
    ]),
    part('Agents-groups', [
      `Last synchronization: ${spanText(sync.agentGroups)}`,
      `Number of synchronized chunks: ${sync.agentGroups.chunks}`,
    ]),
    part('Agents-groups full', [
      `Last synchronization: ${spanText(sync.allAgentGroups)}`,
      `Number of synchronized chunks: ${sync.allAgentGroups.chunks}`,
    ]),
  ].join('');
}

function sorted(nodes: readonly NodeHealth[]): readonly NodeHealth[] {
  return [...nodes].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function pythonBool(value: boolean): string {
  return value ? 'True' : 'False';
}

function spanText({ start, end }: MomentSpan): string {
  return `${tookText(start, end)} (${start} - ${end})`;
}

/** Seconds with at most three decimals as Python prints them, at least `0.001s`; or `n/a`. */
function tookText(start: string, end: string): string {
  const [from, to] = [microseconds(start), microseconds(end)];
  if (from === undefined || to === undefined) return 'n/a';
  const seconds = (to - from) / 1e6;
  if (seconds < 0.0005) return '0.001s';
  const rounded = Number(seconds.toFixed(3));
  return `${Number.isInteger(rounded) ? `${rounded}.0` : rounded}s`;
}

function microseconds(moment: string): number | undefined {
  const [, second, fraction = ''] =
    /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?Z$/.exec(moment) ?? [];
  if (second === undefined) return undefined;
  return Date.parse(`${second}Z`) * 1000 + Number(fraction.padEnd(6, '0'));
}

export interface FileLine {
  readonly node: string;
  readonly file: string;
  readonly state: string;
  readonly since: string;
  readonly reason: string;
}

export function filesTable(files: readonly FileLine[]): string {
  const rows = files.map(({ node, file, state, since, reason }) => [
    node,
    file,
    state,
    since,
    reason,
  ]);
  return controlTable(['Node', 'File', 'State', 'Since', 'Reason'], rows);
}
