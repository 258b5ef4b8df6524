/** `cluster_control`: asks the local node and prints stock's tables, or JSON, once or again. */
import type { Command } from 'commander';
import type { LocalClient } from '../cluster/local/local-client.ts';
import { type ClusterHealth, healthJson } from '../cluster/local/node-health.ts';
import { faultText } from '../cluster/wire/fault.ts';
import { ConfigError, PeerError } from '../errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../guards.ts';
import { editionOf } from '../wazuh/manager-edition.ts';
import {
  type ControlAction,
  type ControlWish,
  controlHelp,
  controlUsage,
  parseControl,
} from './control-arguments.ts';
import {
  type AgentLine,
  agentsTable,
  type FileLine,
  filesTable,
  healthLong,
  healthShort,
  nodesTable,
} from './control-tables.ts';
import type { Signals } from './publisher-host.ts';
import type { Outcome } from './run-command.ts';
import { printable, renderJson, type Terminal } from './terminal.ts';

/** What it needs of the world. */
export interface ControlHost {
  /** `home` undefined: where a manager is usually installed. */
  client(home: string | undefined): LocalClient;
  /** Rejects when `signal` aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export interface ControlParts {
  readonly terminal: Terminal;
  readonly outcome: Outcome;
  readonly host: ControlHost;
  signals(): Signals;
}

/** A table for people and the same for programs. */
interface Shown {
  readonly text: string;
  readonly json: JsonValue;
}

/** As a command of `pilotfish-publisher`; its arguments are read by our own parser. */
export function addControl(program: Command, parts: ControlParts): void {
  program
    .command('cluster-control')
    .description('nodes, agents and health of the cluster, as the stock cluster_control shows them')
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .argument('[arguments...]', 'those of cluster_control; -h explains them')
    .action((argv: readonly string[]) => runControl(argv, parts));
}

/** Never throws: a failure is one line `ERROR: …` and exit 1, a wrong word exit 2. */
export async function runControl(argv: readonly string[], parts: ControlParts): Promise<void> {
  const { terminal, outcome } = parts;
  try {
    await perform(parseControl(argv), parts);
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof PeerError)) throw error;
    outcome.exit = error instanceof ConfigError ? 2 : 1;
    const isAbsent = error.reason === 'not_found';
    terminal.err(`ERROR: ${isAbsent ? 'Cluster is not running.' : printable(error.message)}\n`);
    if (error instanceof ConfigError) terminal.err(controlUsage);
    else if (argv.includes('-d') || argv.includes('--debug')) terminal.err(`${error.stack}\n`);
  }
}

async function perform(wish: ControlWish, parts: ControlParts): Promise<void> {
  const { terminal } = parts;
  if (wish.action.kind === 'help') return terminal.out(controlHelp);
  if (wish.action.kind === 'usage') return terminal.out(controlUsage);
  const client = parts.host.client(wish.home);
  if (wish.watchS === undefined) {
    print(await look(client, wish), wish, terminal);
    return;
  }
  await watch(client, wish, wish.watchS, parts);
}

async function watch(
  client: LocalClient,
  wish: ControlWish,
  everyS: number,
  { terminal, host, signals }: ControlParts,
): Promise<void> {
  const { stop } = signals();
  while (!stop.aborted) {
    const shown = await look(client, wish);
    if (terminal.isTty && !wish.isJson) terminal.out('\u001b[H\u001b[2J');
    print(shown, wish, terminal);
    await host.sleep(everyS * 1000, stop).catch(() => undefined);
  }
}

function print({ text, json }: Shown, { isJson, watchS }: ControlWish, terminal: Terminal): void {
  const indent = watchS === undefined ? 2 : undefined;
  terminal.out(isJson ? `${renderJson(json, indent)}\n` : text);
}

async function look(client: LocalClient, { action, nodes }: ControlWish): Promise<Shown> {
  switch (action.kind) {
    case 'nodes':
      return lookAtNodes(client, nodes);
    case 'health':
      return lookAtHealth(client, nodes, action.isLong);
    case 'agents':
      return lookAtAgents(client, nodes, action.statuses);
    case 'files':
      return lookAtFiles(client, nodes, action);
    case 'help':
    case 'usage':
      return { text: '', json: null };
  }
}

async function lookAtNodes(
  client: LocalClient,
  nodes: readonly string[] | undefined,
): Promise<Shown> {
  const { items } = await client.nodes({ names: nodes ?? null });
  const json = items.map(({ name, type, version, address }) => ({ name, type, version, address }));
  return { text: nodesTable(items), json };
}

/** Stock asks for all names first when none are given. */
async function lookAtHealth(
  client: LocalClient,
  nodes: readonly string[] | undefined,
  isLong: boolean,
): Promise<Shown> {
  const names = nodes ?? (await client.nodes()).items.map(({ name }) => name);
  const health: ClusterHealth = await client.health(names);
  const { name } = await client.config();
  const cluster = String(name ?? 'wazuh');
  const text = isLong ? healthLong(cluster, health) : healthShort(cluster, health);
  return { text, json: { cluster, ...healthJson(health) } };
}

const agentMembers = ['id', 'ip', 'name', 'status', 'node_name', 'version'];

async function lookAtAgents(
  client: LocalClient,
  nodes: readonly string[] | undefined,
  statuses: readonly string[],
): Promise<Shown> {
  const [master] = (await client.nodes()).items;
  const { hasAgentNodes } = editionOf(master?.version ?? '4');
  const all = (names: readonly string[] | undefined): string =>
    names === undefined || names.length === 0 ? 'all' : names.join(',');
  const filters = hasAgentNodes
    ? { status: all(statuses), node_name: all(nodes) }
    : { status: all(statuses) };
  const select = agentMembers.filter((name) => hasAgentNodes || name !== 'node_name');
  const document = await ask(client, 'wazuh.core.agent', 'Agent.get_agents_overview', {
    filters,
    limit: null,
    select,
  });
  const items = Array.isArray(document.items) ? document.items : [];
  const lines = items.map((item) => agentLine(item, select));
  return { text: agentsTable(lines, hasAgentNodes), json: lines };
}

function agentLine(item: JsonValue, members: readonly string[]): AgentLine {
  const row = isJsonObject(item) ? item : {};
  return Object.fromEntries(members.map((name) => [name, String(row[name] ?? 'unknown')]));
}

const filesPage = 500;
const mostFiles = 100_000;

async function lookAtFiles(
  client: LocalClient,
  nodes: readonly string[] | undefined,
  { states, names }: Extract<ControlAction, { kind: 'files' }>,
): Promise<Shown> {
  const lines: FileLine[] = [];
  for (let offset = 0; offset < mostFiles; offset += filesPage) {
    const document = await ask(client, 'pilotfish.cluster', 'file_states', {
      nodes: nodes ?? null,
      states: states.length > 0 ? states : null,
      offset,
      limit: filesPage,
    });
    const items = Array.isArray(document.items) ? document.items : [];
    lines.push(...items.map(fileLine));
    if (items.length < filesPage) break;
  }
  const wanted = lines.filter(({ file }) => names.length === 0 || names.includes(file));
  return { text: filesTable(wanted), json: wanted.map((line) => ({ ...line })) };
}

function fileLine(item: JsonValue): FileLine {
  const { node, file, state, since, reason } = isJsonObject(item) ? item : {};
  const text = (value: JsonValue | undefined): string => String(value ?? '-');
  return {
    node: text(node),
    file: text(file),
    state: text(state),
    since: text(since),
    reason: text(reason),
  };
}

/** A verb whose answer is one document. Throws `PeerError` with the fault's text. */
async function ask(
  client: LocalClient,
  module: string,
  qualname: string,
  kwargs: JsonObject,
): Promise<JsonObject> {
  const name = qualname.slice(qualname.lastIndexOf('.') + 1);
  const result = await client.call({
    f: {
      __callable__: {
        __name__: name,
        __module__: module,
        __qualname__: qualname,
        __type__: 'function',
      },
    },
    f_kwargs: kwargs,
    from_cluster: false,
    wait_for_complete: false,
  });
  if (result.kind === 'document') return result.document;
  const what = result.kind === 'fault' ? faultText(result.fault) : 'an unexpected answer';
  throw new PeerError('peer_refused', what);
}
