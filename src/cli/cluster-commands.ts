/** `pilotfish-publisher cluster`: the stock daemon's switches, and what stock has no command for. */
import type { Command } from 'commander';
import { ConfigError } from '../errors.ts';
import type { Signals } from './publisher-host.ts';
import type { Outcome } from './run-command.ts';
import { renderTable, show, type Terminal } from './terminal.ts';

/** What the commands need of the world; `build-cluster-host.ts` brings it. */
export interface ClusterHost {
  /** Throws `ConfigError`; returns what is worth saying, one line each. */
  test(flags: NodeFlags): Promise<readonly string[]>;
  /** Until SIGTERM; `started` is told who runs. Throws `ConfigError`, `HostError`. */
  run(flags: NodeFlags, signals: Signals, started: (pid: number) => void): Promise<void>;
  version(flags: NodeFlags): Promise<string>;
  /** The newest status the running node wrote; undefined: none. */
  status(flags: Pick<NodeFlags, 'dir'>): Promise<ClusterStatus | undefined>;
  acceptDeletions(flags: Pick<NodeFlags, 'dir'>, peer: string): Promise<void>;
  /** False: it was not known as ours. */
  forgetPeer(flags: Pick<NodeFlags, 'dir'>, node: string): Promise<boolean>;
}

export interface NodeFlags {
  /** Directory of the publisher: publisher.yml, if there is one, and our own memories. */
  readonly dir: string;
  readonly home: string | undefined;
  /** `-c`: configuration file of the manager. */
  readonly config: string | undefined;
  readonly debugLevel: number;
  readonly isForeground: boolean;
  /** `-r`: do not become the user of the manager. */
  readonly keepsRoot: boolean;
}

export interface PeerLine {
  readonly node: string;
  readonly role: string;
  readonly address: string;
  readonly peer: string;
  readonly state: string;
  readonly behindS: number;
  /** Since when it lacks keys of agents, and changes of their groups; 0: none. Masters with a store. */
  readonly keysBehindS?: number;
  readonly groupsBehindS?: number;
  /** Generation of client.keys that it has. */
  readonly keysGeneration?: number;
  readonly heldDeletions: number;
  readonly heldReason: string | undefined;
}

export interface ClusterStatus {
  readonly writtenAtMs: number;
  readonly node: string;
  readonly role: string;
  /** Workers that have every key of agents given out so far: as a master they would lose none. */
  readonly allKeysOn?: readonly string[];
  readonly peers: readonly PeerLine[];
}

export interface ClusterCommandParts {
  readonly terminal: Terminal;
  readonly outcome: Outcome;
  readonly host: ClusterHost;
  readonly defaultDirectory: string;
  signals(): Signals;
}

interface Words {
  readonly dir: string;
  readonly home?: string;
  readonly config?: string;
  readonly debug: number;
  readonly foreground: boolean;
  readonly root: boolean;
  readonly test: boolean;
  readonly version: boolean;
}

export function addCluster(program: Command, parts: ClusterCommandParts): void {
  const cluster = program
    .command('cluster')
    .description('run a node of the server cluster, with the switches of the stock daemon')
    .option('--dir <dir>', 'directory of the publisher', parts.defaultDirectory)
    .option('--home <dir>', 'home of the manager; default /var/ossec')
    .option('-f, --foreground', 'log to standard error too (it never forks)', false)
    .option(
      '-d, --debug',
      'DEBUG lines in cluster.log; twice: DEBUG2 too',
      (_, was: number) => was + 1,
      0,
    )
    .option('-c, --config <file>', 'configuration file of the manager; default etc/ossec.conf')
    .option('-t, --test', 'check the configuration and exit: 0 good or disabled, 1 not', false)
    .option('-r, --root', 'do not become the user of the manager', false)
    .option('-V, --version', 'print the version and exit', false)
    .addHelpText('after', help)
    .action((words: Words) => start(words, parts));
  addStatus(cluster, parts);
  addAccept(cluster, parts);
  addForget(cluster, parts);
}

const help = `
Examples:
  pilotfish-publisher cluster -t                 would the node start?
  pilotfish-publisher cluster -f -d              run it, DEBUG lines, also on standard error
  pilotfish-publisher cluster status             workers, lag, held deletions
  pilotfish-publisher cluster accept-deletions   what is held now may go
  pilotfish-publisher cluster forget-peer w2     w2 may be a stock node from now on

\`pilotfish-publisher run\` runs the node too when publisher.yml has a \`cluster:\` section.
`;

async function start(
  words: Words,
  { host, terminal, outcome, signals }: ClusterCommandParts,
): Promise<void> {
  const flags = flagsOf(words);
  if (words.version) {
    terminal.out(`${await host.version(flags)}\n`);
    return;
  }
  const started = (pid: number): void => {
    if (words.foreground) terminal.out(`Starting cluster in foreground (pid: ${pid})\n`);
  };
  try {
    if (!words.test) return await host.run(flags, signals(), started);
    for (const line of await host.test(flags)) terminal.err(`${line}\n`);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    terminal.err(`${error.message}\n`);
    outcome.exit = 1; // the code of the stock daemon
  }
}

function flagsOf(words: Words): NodeFlags {
  return {
    dir: words.dir,
    home: words.home,
    config: words.config,
    debugLevel: Math.min(2, words.debug),
    isForeground: words.foreground,
    keepsRoot: words.root,
  };
}

function addStatus(
  cluster: Command,
  { host, terminal, outcome, defaultDirectory }: ClusterCommandParts,
): void {
  cluster
    .command('status')
    .description('the node as it last wrote it: peers, lag, held deletions')
    .option('--dir <dir>', 'directory of the publisher', defaultDirectory)
    .option('--json', 'print JSON', false)
    .action(async (flags: { readonly dir: string; readonly json: boolean }) => {
      const status = await host.status(flags);
      if (status === undefined) {
        outcome.exit = 3;
        terminal.err('no node has written its status here\n');
        return;
      }
      if (status.peers.some(({ heldDeletions }) => heldDeletions > 0)) outcome.exit = 3;
      show(terminal, flags.json, status, () => statusText(status));
    });
}

function statusText({ node, role, allKeysOn, peers }: ClusterStatus): string {
  const header = ['node', 'role', 'address', 'peer', 'state', 'behind s', 'held'];
  const rows = peers.map((one) => [
    one.node,
    one.role,
    one.address,
    one.peer,
    one.state,
    one.behindS,
    one.heldDeletions,
  ]);
  const reasons = peers.flatMap(({ node: name, heldReason }) =>
    heldReason === undefined ? [] : [`deletions on ${name} are held: ${heldReason}\n`],
  );
  const table = renderTable(header, rows);
  return `${node} (${role})\n${table}${reasons.join('')}${heirsText(allKeysOn)}`;
}

/** Who could take over as master without an agent's key being lost. */
function heirsText(allKeysOn: readonly string[] | undefined): string {
  if (allKeysOn === undefined) return '';
  if (allKeysOn.length === 0) return 'no worker has every key of agents: do not promote one now\n';
  return `every key of agents is on ${allKeysOn.join(', ')}: as a master none of them would lose one\n`;
}

function addAccept(
  cluster: Command,
  { host, terminal, defaultDirectory }: ClusterCommandParts,
): void {
  cluster
    .command('accept-deletions')
    .argument('[node]', 'on a master: the worker; on a worker: master', 'master')
    .description('held deletions may go with the next check that still wants them')
    .option('--dir <dir>', 'directory of the publisher', defaultDirectory)
    .action(async (node: string, flags: { readonly dir: string }) => {
      await host.acceptDeletions(flags, checkName(node));
      terminal.out(`accepted; it takes effect with the next check\n`);
    });
}

function addForget(
  cluster: Command,
  { host, terminal, outcome, defaultDirectory }: ClusterCommandParts,
): void {
  cluster
    .command('forget-peer')
    .argument('<node>', 'worker, or address of the master')
    .description('a node that was one of ours may be a stock one; it is let in when it comes again')
    .option('--dir <dir>', 'directory of the publisher', defaultDirectory)
    .action(async (node: string, flags: { readonly dir: string }) => {
      if (await host.forgetPeer(flags, node)) {
        terminal.out(`${node} is forgotten: it may be a stock node from now on\n`);
        return;
      }
      outcome.exit = 1;
      terminal.err(`${node} is not known as one of ours\n`);
    });
}

function checkName(node: string): string {
  if (/^[A-Za-z0-9_-]{1,64}$/.test(node)) return node;
  throw new ConfigError('usage', `${node}: expected the name of a node`);
}
