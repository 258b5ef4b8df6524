/** The commands of `cluster` with real parts, and the node that `run` starts beside the list. */
import { mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Clock, sleep } from '../clock.ts';
import type { ReadConfig } from '../cluster/config.ts';
import { type ClusterJson, parseClusterJson } from '../cluster/files/cluster-json.ts';
import { Master } from '../cluster/master/master.ts';
import type { ListDesk } from '../cluster/tasks/list-courier.ts';
import { NodeLog } from '../cluster/tasks/node-log.ts';
import { ConfigError, HostError } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';
import { HeldBookFile, PeerBookFile, readJson, writeJson } from '../host/cluster-books.ts';
import { ClusterLogFile, handOverLog, hasLogFolder } from '../host/cluster-log-file.ts';
import { ownPid } from '../host/cluster-pid-file.ts';
import { becomeAccount, findAccount, isRoot, ownAddresses } from '../host/manager-account.ts';
import { systemClock } from '../host/system-clock.ts';
import { buildLog, type Log, silentLog } from '../log.ts';
import type { NodeLags } from '../publisher/roster/view.ts';
import { editionOf, type ManagerEdition } from '../wazuh/manager-edition.ts';
import { parseManagerVersion } from '../wazuh/manager-version.ts';
import type { AgentData } from './build-agent-data.ts';
import { buildClusterNode, type ClusterNode } from './build-cluster.ts';
import { advertiseOf } from './build-cluster-addresses.ts';
import type { ClusterHost, ClusterStatus, NodeFlags, PeerLine } from './cluster-commands.ts';
import { type ClusterSection, defaultClusterSection, readNodeConfig } from './cluster-config.ts';
import { parsePublisherConfig } from './publisher-config.ts';

const clock: Clock = systemClock;
const statusEveryMs = 2_000;
const restartAfterMs = 10_000;
const statusName = 'cluster-status.json';

interface Prepared extends ReadConfig {
  readonly section: ClusterSection;
  readonly home: string;
  readonly version: string;
  readonly cluster: ClusterJson;
  readonly debugLevel: number;
}

export function buildClusterHost(): ClusterHost {
  return {
    async test(flags) {
      const { config, notes } = await prepareOrSay(flags);
      const end = config.disabled ? ['the cluster is disabled'] : [];
      return [...notes.map(({ level, text }) => `${level}: ${text}`), ...end];
    },
    async run(flags, signals, started) {
      const prepared = await prepareOrSay(flags);
      const onNode = (node: ClusterNode | undefined): void => {
        if (node !== undefined) started(ownPid());
      };
      const told = { events: buildLog('info'), onNode };
      await runPrepared(prepared, flags, told, signals.stop);
    },
    async version(flags) {
      const section = await sectionOf(flags);
      const home = resolve(flags.home ?? section.home);
      return `pilotfish-publisher, node of a Wazuh ${await versionOf(section, home)} cluster`;
    },
    status: async ({ dir }) =>
      readJson(join(dir, statusName), silentLog) as ClusterStatus | undefined,
    acceptDeletions: async ({ dir }, peer) => new HeldBookFile(dir, silentLog).accept(peer),
    forgetPeer: async ({ dir }, node) => new PeerBookFile(dir, silentLog).forget(node),
  };
}

/** For `run`: the node beside the list; what ends it is logged and it is started again. */
export async function runClusterBeside(
  section: ClusterSection,
  dir: string,
  log: Log,
  signal: AbortSignal,
  /** Told of the node that runs now. */
  onNode: (node: ClusterNode | undefined) => void = () => undefined,
  lists?: ListDesk,
): Promise<void> {
  const flags: NodeFlags = {
    dir,
    home: undefined,
    config: undefined,
    debugLevel: section.debug,
    isForeground: false,
    keepsRoot: true,
  };
  const told = { events: log, onNode, ...(lists === undefined ? {} : { lists }) };
  while (!signal.aborted) {
    try {
      await runPrepared(await prepare(section, flags), flags, told, signal);
      if (!signal.aborted) return; // disabled
    } catch (error) {
      if (signal.aborted) return;
      log.error('cluster.failed', { reason: messageOf(error) });
      await sleep(clock, restartAfterMs, signal).catch(() => undefined);
    }
  }
}

async function sectionOf({ dir }: NodeFlags): Promise<ClusterSection> {
  const path = join(dir, 'publisher.yml');
  const text = await readText(path);
  if (text === undefined) return defaultClusterSection;
  return parsePublisherConfig(text, path).cluster ?? defaultClusterSection;
}

/** A configuration that will not do is told in cluster.log too, where stock tells it. */
async function prepareOrSay(flags: NodeFlags): Promise<Prepared> {
  const section = await sectionOf(flags);
  try {
    return await prepare(section, flags);
  } catch (error) {
    const home = resolve(flags.home ?? section.home);
    if (error instanceof ConfigError && hasLogFolder(home)) {
      const { isForeground } = flags;
      const options = { home, clock, events: silentLog, debugLevel: 0, isForeground };
      const log = new ClusterLogFile(options);
      new NodeLog(log, 'Cluster').error(error.message);
      log.close();
    }
    throw error;
  }
}

async function prepare(section: ClusterSection, flags: NodeFlags): Promise<Prepared> {
  const home = resolve(flags.home ?? section.home);
  const edition = await editionOfHome(section, home);
  const path = resolve(home, flags.config ?? section.config ?? edition.config);
  const text = section.node === undefined ? await readText(path) : undefined;
  const read = readNodeConfig(section, { path, text }, ownAddresses(), edition);
  const cluster = await clusterJsonOf(section, flags.dir, edition);
  const version = read.config.disabled ? '' : await versionOf(section, home);
  const debugLevel = (await internalDebugLevel(home, edition)) || flags.debugLevel;
  return { ...read, section, home, version, cluster, debugLevel };
}

/** `wazuh_clusterd.debug` of the manager's internal options, local ones first; it outranks `-d`. */
async function internalDebugLevel(home: string, edition: ManagerEdition): Promise<number> {
  for (const name of edition.internalOptions) {
    const text = (await readText(join(home, name))) ?? '';
    const [, level] = /^[ \t]*wazuh_clusterd\.debug[ \t]*=[ \t]*(\d+)[ \t]*$/m.exec(text) ?? [];
    if (level !== undefined) return /^0*[0-2]$/.test(level) ? Number(level) : 0;
  }
  return 0;
}

/** By the version that is configured or that the home tells. */
export async function editionOfHome(
  section: ClusterSection,
  home = section.home,
): Promise<ManagerEdition> {
  return editionOf((await findVersion(section, home)) ?? '');
}

async function findVersion(section: ClusterSection, home: string): Promise<string | undefined> {
  return section.version ?? parseManagerVersion((await readText(join(home, 'VERSION.json'))) ?? '');
}

async function versionOf(section: ClusterSection, home: string): Promise<string> {
  const version = await findVersion(section, home);
  if (version !== undefined) return version;
  const what = `${join(home, 'VERSION.json')} tells no version; set cluster.version, such as 4.14.8`;
  throw new ConfigError('config_invalid', what);
}

async function clusterJsonOf(
  { clusterJson }: ClusterSection,
  dir: string,
  edition: ManagerEdition,
): Promise<ClusterJson> {
  if (clusterJson === undefined) return parseClusterJson({}, edition.clusterJson);
  const path = resolve(dir, clusterJson);
  const text = await readText(path);
  if (text === undefined) throw new ConfigError('config_unreadable', `${path}: cannot be read`);
  try {
    return parseClusterJson(JSON.parse(text), edition.clusterJson);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError('config_invalid', `${path}: ${messageOf(error)}`);
  }
}

interface Told {
  readonly events: Log;
  readonly lists?: ListDesk;
  onNode(node: ClusterNode | undefined): void;
}

async function runPrepared(
  prepared: Prepared,
  flags: NodeFlags,
  { events, onNode, lists }: Told,
  signal: AbortSignal,
): Promise<void> {
  const { config, notes, home, version, cluster, section, debugLevel } = prepared;
  if (config.disabled) return;
  await mkdir(flags.dir, { recursive: true, mode: 0o700 });
  const user = section.user ?? editionOf(version).user;
  const owner = isRoot() ? findAccount(user) : undefined;
  if (isRoot() && owner === undefined) {
    throw new HostError('not_found', `no user ${user} on this host, see cluster.user`);
  }
  if (owner !== undefined) handOverLog(home, owner);
  if (!flags.keepsRoot && owner !== undefined) becomeAccount(owner);
  const { isForeground } = flags;
  const log = new ClusterLogFile({ home, clock, events, debugLevel, isForeground });
  const nodeLog = new NodeLog(log, 'Cluster');
  for (const { level, text } of notes) {
    if (level === 'INFO') nodeLog.info(text);
    else nodeLog.warning(text);
  }
  const { peers, maxConnectionsPerAddress, daemons, lameDuck: lameDuckMs } = section;
  const stateFolder = resolve(flags.dir);
  const node = buildClusterNode({
    ...{
      home,
      stateFolder,
      config,
      version,
      cluster,
      peers,
      maxConnectionsPerAddress,
      daemons,
      lameDuckMs,
    },
    owner: flags.keepsRoot ? owner : undefined,
    ...(section.database === 'none' ? {} : { database: section.database }),
    ...(lists === undefined ? {} : { lists }),
    ...advertiseOf(section),
    log,
    events,
  });
  onNode(node);
  const sayStop = (): void => nodeLog.info(stopText(config.nodeType, messageOf(signal.reason)));
  signal.addEventListener('abort', sayStop, { once: true });
  const ended = new AbortController(); // nothing is written of a node that could not start
  const either = AbortSignal.any([signal, ended.signal]);
  try {
    const running = node.run(signal).finally(() => ended.abort());
    await Promise.all([running, writeStatus(node, prepared, stateFolder, either)]);
  } catch (error) {
    if (!signal.aborted) nodeLog.error(messageOf(error));
    throw error;
  } finally {
    signal.removeEventListener('abort', sayStop);
    onNode(undefined);
    log.close();
  }
}

/** As the stock daemon takes its leave. */
function stopText(role: 'master' | 'worker', why: string): string {
  if (why.includes('SIGINT')) return 'SIGINT received. Bye!';
  const more = role === 'master' ? ' Closing cluster connections gracefully.' : '';
  return `SIGNAL [(15)-(SIGTERM)] received.${more} Exit...`;
}

async function writeStatus(
  node: ClusterNode,
  { config }: Prepared,
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const status: ClusterStatus = {
      writtenAtMs: clock.nowMs(),
      node: config.nodeName,
      role: config.nodeType,
      ...heirsOf(node),
      peers: peersOf(node),
    };
    writeJson(join(folder, statusName), status, silentLog);
    await sleep(clock, statusEveryMs, signal).catch(() => undefined);
  }
}

/** On a master with a store: connected workers that have every key given out. */
function heirsOf({ role, data }: ClusterNode): Pick<ClusterStatus, 'allKeysOn'> {
  if (!(role instanceof Master) || data?.book === undefined) return {};
  const connected = new Set(role.workers().map(({ name }) => name));
  return { allKeysOn: data.book.nodesWithAllKeys().filter((node) => connected.has(node)) };
}

function peersOf({ role, data }: ClusterNode): readonly PeerLine[] {
  if (role instanceof Master) {
    return role.workers().map((one) => ({
      node: one.name,
      role: one.type,
      address: one.address,
      peer: one.peer ?? '-',
      state: one.isIntegrityFree ? 'connected' : 'synchronising',
      behindS:
        one.behindSinceMs === undefined
          ? 0
          : Math.round((clock.nowMs() - one.behindSinceMs) / 1000),
      heldDeletions: one.heldDeletions,
      heldReason: one.heldReason,
      ...lagsOf(one.name, data),
    }));
  }
  const { master, peer, isConnected, heldDeletions, heldReason } = role.status();
  return [
    {
      ...{ node: 'master', role: 'master', address: master, peer: peer ?? '-' },
      state: isConnected ? 'connected' : 'not connected',
      behindS: 0,
      heldDeletions,
      heldReason,
    },
  ];
}

/** What readiness of a node is judged by, from the store of a master. */
function lagsOf(
  node: string,
  data: AgentData | undefined,
): Pick<PeerLine, 'keysBehindS' | 'groupsBehindS' | 'keysGeneration'> {
  const lags = nodeLags(node, data);
  if (lags === undefined) return {};
  return {
    keysBehindS: Math.round(lags.keysMs / 1000),
    groupsBehindS: Math.round(lags.groupsMs / 1000),
    keysGeneration: lags.keysGeneration,
  };
}

/** Undefined: no master of ours, or the node was never checked. */
export function nodeLags(node: string, data: AgentData | undefined): NodeLags | undefined {
  const lag = data?.book?.lagOf(node);
  if (lag === undefined) return undefined;
  const owedSinceMs = data?.master?.statusOf(node)?.groupsOwedSinceMs;
  const { keysMs, filesMs, files, keysGeneration, newestKeysGeneration } = lag;
  const groupsMs = owedSinceMs === undefined ? 0 : Math.max(0, clock.nowMs() - owedSinceMs);
  return { keysMs, groupsMs, filesMs, files, keysGeneration, newestKeysGeneration };
}

/** Undefined: absent or not to be read. */
async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (systemCodeOf(error) !== undefined) return undefined;
    throw error;
  }
}
