/** The master's role of one node from real parts: engine, files, hooks; and the node in each role. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClusterConfig } from '../cluster/config.ts';
import { Master } from '../cluster/master/master.ts';
import { masterTokenOf } from '../cluster/session/offer.ts';
import type { RoleFence } from '../cluster/tasks/node-ports.ts';
import { createSeal } from '../cluster/wire/seal.ts';
import { ConfigError } from '../errors.ts';
import { messageOf } from '../guards.ts';
import { bootClock } from '../host/boot-clock.ts';
import { openClientKeys } from '../host/client-keys-file.ts';
import { listenCluster } from '../host/cluster-listener.ts';
import { acquireLock } from '../host/lock.ts';
import { replaceFile } from '../host/replace-file.ts';
import { RoleBookFiles } from '../host/role-book.ts';
import { hookFault, runInOrder, runStop } from '../host/role-hooks.ts';
import { readWatchdogMs } from '../host/service-notice.ts';
import { systemRandom as random } from '../host/system-clock.ts';
import type { LeaseEngine } from '../leader/engine.ts';
import { buildEtcdEngine } from '../leader/etcd/etcd-engine.ts';
import type { Log } from '../log.ts';
import type { TextSeal } from '../promotion/keys-steps.ts';
import type { Assignment, PromotionSettings, RoleHooks, RolePorts } from '../promotion/ports.ts';
import type { WorkerSeen } from '../promotion/record.ts';
import { RoleKeeper } from '../promotion/role-keeper.ts';
import type { ManagerEdition } from '../wazuh/manager-edition.ts';
import { withNodeType } from '../wazuh/manager-node-type.ts';
import type { ClusterNode } from './build-cluster.ts';
import { openEtcdClient } from './build-etcd.ts';
import type { PromotionSection } from './promotion-config.ts';
import type { PublisherConfig } from './publisher-config.ts';

const clock = bootClock;

export interface PromotionGround {
  /** Of the publisher: its memories, relative paths of `leader.etcd`. */
  readonly directory: string;
  readonly home: string;
  readonly leader: PublisherConfig['leader'];
  readonly org: string;
  readonly section: PromotionSection;
  readonly config: ClusterConfig;
  readonly edition: ManagerEdition;
  /** The manager's own configuration; undefined: its options are in publisher.yml. */
  readonly configPath: string | undefined;
  readonly log: Log;
  readonly complaints: RolePorts['complaints'];
}

export interface OpenedRole {
  readonly keeper: RoleKeeper;
  close(): Promise<void>;
}

/** Throws ConfigError for files that cannot be read, HostError `second_instance`. */
export async function openRole(ground: PromotionGround): Promise<OpenedRole> {
  const { directory, home, log, complaints } = ground;
  const path = join(directory, 'promotion');
  const lock = await acquireLock({ path, reason: 'second_instance', clock, random });
  try {
    const { engine, close } = await openRoleEngine(ground);
    const ports: RolePorts = {
      ...{ engine, clock, random, log, complaints },
      keys: openClientKeys(home, clock),
      seal: sealOf(ground.config.key),
      book: new RoleBookFiles(directory, log),
      hooks: hooksOf(ground),
      watchdogMs: readWatchdogMs(),
    };
    return {
      keeper: new RoleKeeper(settingsOf(ground), ports),
      async close() {
        close();
        await lock.release();
      },
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** The seat of the cluster's master, apart from that of the writer of lists. */
export async function openRoleEngine({
  directory,
  leader,
  org,
  config,
}: Pick<PromotionGround, 'directory' | 'leader' | 'org' | 'config'>): Promise<{
  readonly engine: LeaseEngine;
  close(): void;
}> {
  const { client, door, prefix: base } = await openEtcdClient(directory, { leader, org });
  const prefix = `${base}cluster/${encodeURIComponent(config.name)}/`;
  const settings = { prefix, ttlMs: leader.ttl, name: config.nodeName, url: '' };
  return { engine: buildEtcdEngine(client, settings), close: () => door.close() };
}

export function settingsOf({ section, config }: PromotionGround): PromotionSettings {
  if (section.mode === 'off') throw new ConfigError('config_invalid', 'cluster.promotion is off');
  return {
    mode: section.mode,
    node: config.nodeName,
    isCandidate: section.candidate,
    isConfiguredMaster: config.nodeType === 'master',
    address: section.address ?? config.nodes[0] ?? '127.0.0.1',
    port: config.port,
    pauseMs: section.pause,
    minIntervalMs: section.minInterval,
  };
}

export function sealOf(key: string): TextSeal {
  const seal = createSeal(key);
  return {
    seal(plaintext) {
      const salt = { iv: random.bytes(16), unixSeconds: Math.floor(clock.nowMs() / 1_000) };
      return seal.seal(plaintext, salt).toString('latin1');
    },
    open: (sealed) => Buffer.from(seal.open(Buffer.from(sealed, 'latin1'))),
  };
}

/** Every program that the role runs, the firewall's first. */
export function commandsOf({ hooks, firewall }: PromotionSection) {
  return {
    stop: [...(firewall === undefined ? [] : [firewall.close]), ...hooks.stop],
    start: [...(firewall === undefined ? [] : [firewall.open]), ...hooks.start],
    follow: hooks.follow,
    timeoutMs: hooks.timeout,
  };
}

export function hooksOf(ground: PromotionGround): RoleHooks {
  const commands = commandsOf(ground.section);
  return {
    stop: () => runStop(commands),
    start: () => runInOrder(commands.start, commands.timeoutMs),
    follow: () => runInOrder(commands.follow, commands.timeoutMs),
    async writeRole(role) {
      const wrong = await writeNodeType(ground, role);
      return wrong === undefined ? [] : [wrong];
    },
    async fault() {
      for (const argv of [...commands.stop, ...commands.start, ...commands.follow]) {
        const wrong = await hookFault(argv);
        if (wrong !== undefined) return wrong;
      }
      return (await typeFault(ground)) ?? (await portFault(ground.config));
    },
  };
}

/** Undefined: the cluster port can be had. */
export async function portFault(config: ClusterConfig): Promise<string | undefined> {
  const { bindAddress: host, port } = config;
  try {
    const listening = await listenCluster({ host, port, onSocket: (socket) => socket.destroy() });
    await listening.close();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** Undefined: the type can be written there, or need not be. */
export async function typeFault(ground: PromotionGround): Promise<string | undefined> {
  const { configPath, section, edition } = ground;
  if (configPath === undefined || !section.writeNodeType) return undefined;
  const text = await readFile(configPath, 'utf8').catch(() => undefined);
  const isFine =
    text !== undefined && withNodeType(text, 'master', edition.configRoot) !== undefined;
  return isFine ? undefined : `${configPath}: <node_type> cannot be changed there`;
}

async function writeNodeType(
  { configPath, section, edition }: PromotionGround,
  role: 'master' | 'worker',
): Promise<string | undefined> {
  if (configPath === undefined || !section.writeNodeType) return undefined;
  try {
    const text = await readFile(configPath, 'latin1'); // byte for byte
    const changed = withNodeType(text, role, edition.configRoot);
    if (changed === undefined) return `${configPath}: <node_type> cannot be changed there`;
    if (changed !== text) await replaceFile(configPath, Buffer.from(changed, 'latin1'));
    return undefined;
  } catch (error) {
    return `${configPath}: ${messageOf(error)}`;
  }
}

/** What the node of this assignment is built with. */
export function nodeIn(
  assignment: Assignment,
  config: ClusterConfig,
  keeper: RoleKeeper,
): { readonly config: ClusterConfig; readonly fence: RoleFence } {
  const common = {
    saw: (token: number) => keeper.saw(token),
    keysNoted: () => keeper.keysNoted(),
  };
  if (assignment.kind === 'master') {
    const { token } = assignment;
    const fence = { ...common, token, holds: () => keeper.holds(token) };
    return { config: { ...config, nodeType: 'master' }, fence };
  }
  const { record } = assignment;
  const there = record === undefined ? {} : { nodes: [record.address], port: record.port };
  const fence: RoleFence = {
    ...common,
    get token() {
      return keeper.greatestToken; // at each connection
    },
    holds: () => true,
  };
  return { config: { ...config, nodeType: 'worker', ...there }, fence };
}

/** Which workers of this master would follow the role to another node. */
export function workersOf({ role }: ClusterNode): readonly WorkerSeen[] {
  if (!(role instanceof Master)) return [];
  return role.workers().map(({ name }) => {
    const features = role.find(name)?.features ?? new Set<string>();
    return { name, follows: masterTokenOf(features) !== undefined };
  });
}
