/** The commands of `cluster` with real parts, and the node that `run` starts beside the list. */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Clock, sleep } from '../clock.ts';
import { type ClusterJson, parseClusterJson } from '../cluster/files/cluster-json.ts';
import { NodeLog } from '../cluster/tasks/node-log.ts';
import { ConfigError } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';
import { HeldBookFile, PeerBookFile, readJson } from '../host/cluster-books.ts';
import { ClusterLogFile, hasLogFolder } from '../host/cluster-log-file.ts';
import { ownPid } from '../host/cluster-pid-file.ts';
import { ownAddresses } from '../host/manager-account.ts';
import { systemClock } from '../host/system-clock.ts';
import { buildLog, silentLog } from '../log.ts';
import { editionOf, type ManagerEdition } from '../wazuh/manager-edition.ts';
import { parseManagerVersion } from '../wazuh/manager-version.ts';
import type { ClusterNode } from './build-cluster.ts';
import { type Prepared, runPrepared, type Told } from './build-cluster-run.ts';
import { statusName } from './build-cluster-status.ts';
import type { ClusterHost, ClusterStatus, NodeFlags } from './cluster-commands.ts';
import { type ClusterSection, defaultClusterSection, readNodeConfig } from './cluster-config.ts';
import { type PublisherConfig, parsePublisherConfig } from './publisher-config.ts';

const clock: Clock = systemClock;
const restartAfterMs = 10_000;

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
      const { section } = await sectionOf(flags);
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
  config: Pick<PublisherConfig, 'leader' | 'org'> & {
    readonly cluster?: ClusterSection | undefined;
  },
  dir: string,
  told: Told,
  signal: AbortSignal,
): Promise<void> {
  const { cluster: section, leader, org } = config;
  if (section === undefined) return;
  const flags: NodeFlags = {
    dir,
    home: undefined,
    config: undefined,
    debugLevel: section.debug,
    isForeground: false,
    keepsRoot: true,
  };
  while (!signal.aborted) {
    try {
      await runPrepared(
        await prepare({ section, seat: { leader, org } }, flags),
        flags,
        told,
        signal,
      );
      if (!signal.aborted) return; // disabled
    } catch (error) {
      if (signal.aborted) return;
      told.events.error('cluster.failed', { reason: messageOf(error) });
      await sleep(clock, restartAfterMs, signal).catch(() => undefined);
    }
  }
}

interface Sectioned {
  readonly section: ClusterSection;
  readonly seat: Prepared['seat'];
}

export async function sectionOf({ dir }: Pick<NodeFlags, 'dir'>): Promise<Sectioned> {
  const path = join(dir, 'publisher.yml');
  const text = await readText(path);
  if (text === undefined) return { section: defaultClusterSection, seat: undefined };
  const config = parsePublisherConfig(text, path);
  const { cluster: section = defaultClusterSection, leader, org } = config;
  return { section, seat: { leader, org } };
}

/** A configuration that will not do is told in cluster.log too, where stock tells it. */
async function prepareOrSay(flags: NodeFlags): Promise<Prepared> {
  const found = await sectionOf(flags);
  try {
    return await prepare(found, flags);
  } catch (error) {
    const home = resolve(flags.home ?? found.section.home);
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

export async function prepare(
  { section, seat }: Sectioned,
  flags: Pick<NodeFlags, 'dir' | 'home' | 'config' | 'debugLevel'>,
): Promise<Prepared> {
  const home = resolve(flags.home ?? section.home);
  const edition = await editionOfHome(section, home);
  const path = resolve(home, flags.config ?? section.config ?? edition.config);
  const isOwn = section.node !== undefined;
  const text = isOwn ? undefined : await readText(path);
  const read = readNodeConfig(section, { path, text }, ownAddresses(), edition);
  const cluster = await clusterJsonOf(section, flags.dir, edition);
  const version = read.config.disabled ? '' : await versionOf(section, home);
  const debugLevel = (await internalDebugLevel(home, edition)) || flags.debugLevel;
  const configPath = isOwn ? undefined : path;
  return { ...read, section, seat, home, configPath, version, edition, cluster, debugLevel };
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

/** Undefined: absent or not to be read. */
async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (systemCodeOf(error) !== undefined) return undefined;
    throw error;
  }
}
