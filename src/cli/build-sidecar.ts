/** The sidecar put together from real parts. */
import { access, readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { parseMemory } from '../applier/memory.ts';
import { endRestore, restore } from '../applier/restore.ts';
import { defaultSettings } from '../applier/settings.ts';
import { applySpool } from '../applier/spool.ts';
import type { ApplierWorld, RootPin } from '../applier/world.ts';
import { type AgentTimes, defaultAgentTimes } from '../dns/failover-lint.ts';
import { ConfigError, HostError } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';
import { refuseExposed } from '../host/exposed-folder.ts';
import { acquireLock, type Lock } from '../host/lock.ts';
import { dpkgLock } from '../host/package-lock.ts';
import { asOwnerOf } from '../host/privilege.ts';
import { buildProber } from '../host/probe-socket.ts';
import {
  openSidecarFiles,
  readAgentFile,
  readAgentId,
  type SidecarFiles,
} from '../host/sidecar-files.ts';
import { openSpool, sharedMemory } from '../host/spool-directory.ts';
import { systemClock as clock, systemRandom as random } from '../host/system-clock.ts';
import { openTwoGenerationFile, writeDurably } from '../host/two-generation-file.ts';
import type { JoinToken } from '../list/model.ts';
import { parseToken } from '../list/token.ts';
import { buildLog, type Log } from '../log.ts';
import { fileSeenOf } from '../sidecar/file-seen.ts';
import type { StatusReport } from '../sidecar/report.ts';
import { type AgentHome, agentHome, type Platform } from '../wazuh/agent-home.ts';
import { buildApplierWorld, withoutNetwork } from './build-sidecar-applier.ts';
import { joinHost, joinHostByDns } from './build-sidecar-join.ts';
import { buildNames, resolveBy } from './build-sidecar-names.ts';
import type { ApplierApart, Rooms } from './build-sidecar-rooms.ts';
import { cycleOnce, knownList, planOnce, runForever } from './build-sidecar-world.ts';
import { applierSettingsOf, parseSidecarConfig, type SidecarConfig } from './sidecar-config.ts';
import type { SidecarHost, SidecarOffice } from './sidecar-host.ts';

const platforms: Readonly<Partial<Record<NodeJS.Platform, Platform>>> = {
  darwin: 'macos',
  win32: 'windows',
};
const platform: Platform = platforms[process.platform] ?? 'linux';

const places: Readonly<Record<Platform, { readonly config: string; readonly state: string }>> = {
  linux: { config: '/etc/pilotfish/pilotfish.yml', state: '/var/lib/pilotfish' },
  macos: {
    config: '/Library/Application Support/Pilotfish/pilotfish.yml',
    state: '/Library/Application Support/Pilotfish/state',
  },
  windows: {
    config: 'C:\\ProgramData\\Pilotfish\\pilotfish.yml',
    state: 'C:\\ProgramData\\Pilotfish\\state',
  },
};

/** `version`: what this host says of itself in its reports. */
export function buildSidecarHost(version: string): SidecarHost {
  return {
    clock,
    prober: buildProber(clock),
    names: async (path) => buildNames(await readConfig(path)),
    agentTimes: async (path) => readAgentTimes(await homeOf(await readConfig(path))),
    open: (path) => openOffice(path, version),
    async readFile(path) {
      try {
        return await readFile(path);
      } catch (error) {
        throw new HostError('not_found', `${path}: ${messageOf(error)}`, { cause: error });
      }
    },
    writeFile: (path, bytes) => writeDurably(resolve(path), bytes),
  };
}

async function openOffice(configPath: string | undefined, version: string): Promise<SidecarOffice> {
  const config = await readConfig(configPath);
  const rooms = await openRooms(config, version);
  const { apart } = rooms;
  /** The sidecar's own state is its user's, also when root types the command. */
  const own = <T>(work: () => Promise<T>): Promise<T> => asOwnerOf(rooms.stateDirectory, work);
  return {
    config,
    agentId: rooms.place.agentId,
    join: (flags) => own(() => locked(rooms, () => joinHost(rooms, flags))),
    joinByDns: (flags) => own(() => locked(rooms, () => joinHostByDns(rooms, flags))),
    once: () => own(() => locked(rooms, () => cycleOnce(rooms))),
    run: (stop) => own(() => locked(rooms, () => runForever(rooms, stop))),
    plan: () => own(() => planOnce(rooms)),
    list: () => own(() => knownList(rooms)),
    status: () => own(() => readStatus(rooms.files)),
    async restore(target, { restart, isPackageRemoval }) {
      const world = await applierOf(rooms);
      return restore(isPackageRemoval ? besidePackageLock(world) : world, target, restart);
    },
    async applySpool(directory) {
      const results = config.apply.results ?? apart?.results ?? directory;
      const spool = openSpool(resolve(directory), resolve(results));
      return applySpool(withoutNetwork(await applierOf(rooms)), spool);
    },
    async pause(pause) {
      const nowMs = clock.nowMs();
      const ended = { untilMs: nowMs, reason: 'resumed', endedAtMs: nowMs };
      await own(() => rooms.files.writePause(pause ?? ended));
      const mayReachApplier = apart === undefined || config.apply.spool === undefined;
      if (pause !== undefined || !mayReachApplier) return;
      const hasJoined = await own(() => rooms.files.readToken());
      if (hasJoined !== undefined) await endRestore(await applierOf(rooms));
    },
  };
}

/** The lock of dpkg is held by whoever runs us; every other sign of an upgrade counts. */
function besidePackageLock(world: ApplierWorld): ApplierWorld {
  const { agent } = world;
  return {
    ...world,
    agent: {
      async readFacts() {
        const facts = await agent.readFacts();
        return facts.upgrade === dpkgLock ? { ...facts, upgrade: undefined } : facts;
      },
    },
  };
}

async function readConfig(path: string | undefined): Promise<SidecarConfig> {
  const file = path ?? places[platform].config;
  try {
    return parseSidecarConfig(await readFile(file, 'utf8'), file);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    if (path === undefined && systemCodeOf(error) === 'ENOENT') return parseSidecarConfig('', file);
    throw new ConfigError('config_unreadable', `${file}: ${messageOf(error)}`, { cause: error });
  }
}

async function openRooms(config: SidecarConfig, version: string): Promise<Rooms> {
  const home = await homeOf(config);
  const stateDirectory = resolve(config.stateDir ?? places[platform].state);
  await refuseExposed(stateDirectory);
  const keys = join(home.home, home.platform === 'windows' ? 'client.keys' : 'etc/client.keys');
  const apart = await apartOf(config, stateDirectory);
  const applierDirectory =
    apart === undefined ? join(stateDirectory, 'applier') : `${stateDirectory}-apply`;
  await refuseExposed(applierDirectory);
  const agentId = config.agent.id ?? (await readAgentId(keys)) ?? hostname();
  const log: Log = buildLog(config.log.level);
  return {
    config,
    home,
    version,
    keysPath: keys,
    hasSystemd: await isThere('/run/systemd/system'),
    stateDirectory,
    applierDirectory,
    ...(apart === undefined ? {} : { apart }),
    log,
    place: {
      agentId,
      os: home.platform,
      ...(config.zone === undefined ? {} : { zone: config.zone }),
    },
    prober: buildProber(clock, resolveBy(await buildNames(config))),
    files: openSidecarFiles(stateDirectory),
    memoryFile: openTwoGenerationFile(join(stateDirectory, 'memory'), (path, why) =>
      log.warn('state.damaged', { path, why }),
    ),
  };
}

/** Where the package made a directory for a root applier, requests go through the spool. */
async function apartOf(
  { apply: { spool, results } }: SidecarConfig,
  stateDirectory: string,
): Promise<ApplierApart | undefined> {
  const directory = `${stateDirectory}-apply`;
  const isPackaged = await isThere(directory);
  if (!isPackaged) {
    return spool === undefined || results === undefined ? undefined : { spool, results };
  }
  return {
    spool: spool ?? join(stateDirectory, 'spool'),
    results: results ?? join(directory, 'results'),
  };
}

function isThere(path: string | undefined): Promise<boolean> {
  if (path === undefined) return Promise.resolve(false);
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Agents up to 4.1 call their programs `ossec-*`. */
async function homeOf({ agent }: SidecarConfig): Promise<AgentHome> {
  const plain = agentHome(platform, agent.home);
  const legacy = agentHome(platform, agent.home, true);
  const isLegacy = (await isThere(legacy.controlPath)) && !(await isThere(plain.controlPath));
  const home = isLegacy ? legacy : plain;
  return agent.config === undefined ? home : { ...home, configPath: resolve(agent.config) };
}

/** Two sidecars would undo each other's work (E030). */
async function locked<T>({ stateDirectory }: Rooms, work: () => Promise<T>): Promise<T> {
  const path = join(stateDirectory, 'run.lock');
  const lock: Lock = await acquireLock({ path, reason: 'second_instance', clock, random });
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

/** From the applier's own state and configuration only: the sidecar's is not root's to believe. */
async function applierOf(rooms: Rooms): Promise<ApplierWorld> {
  const host = { platform: rooms.home.platform, hasSystemd: rooms.hasSystemd };
  const { joinToken } = rooms.config;
  const token = joinToken === undefined ? undefined : parseToken(joinToken);
  const own = openTwoGenerationFile(join(rooms.applierDirectory, 'memory'));
  const memory = rooms.apart === undefined ? own : sharedMemory(own, rooms.apart.results);
  const bytes = await memory.read();
  const audience = (bytes && parseMemory(bytes).audience) ??
    token ?? { group: defaultSettings.group, site: defaultSettings.site };
  const { group, site } = audience;
  return {
    ...buildApplierWorld({
      ...rooms,
      settings: applierSettingsOf(rooms.config, host, { group, site }),
      probeDeadlineMs: rooms.config.probe.deadline,
    }),
    memory,
    ...(token === undefined ? {} : { pin: pinOf(token) }),
  };
}

function pinOf({ org, rootHash, group, site }: JoinToken): RootPin {
  return { org, rootHash, audience: { group, site } };
}

async function readStatus(files: SidecarFiles): ReturnType<SidecarOffice['status']> {
  const report = await files.readStatus();
  if (typeof report !== 'object' || report === null || !('atMs' in report)) return undefined;
  if (typeof report.atMs !== 'number') return undefined;
  // Written by `run` of this very program; people only look at it.
  return { report: report as StatusReport, ageMs: Math.abs(clock.nowMs() - report.atMs) };
}

/** As the agent of this host has them; a file that is not there or not readable says nothing. */
async function readAgentTimes(home: AgentHome): Promise<AgentTimes> {
  const bytes = await readAgentFile(home.configPath);
  if (!(bytes instanceof Uint8Array)) return defaultAgentTimes;
  const seen = fileSeenOf(bytes, undefined);
  if (seen.kind !== 'readable') return defaultAgentTimes;
  const { notifyTime, timeReconnect, servers } = seen;
  const retryInterval = servers[0]?.retryInterval;
  return {
    ...defaultAgentTimes,
    ...(notifyTime === undefined ? {} : { notifyTime }),
    ...(timeReconnect === undefined ? {} : { timeReconnect }),
    ...(retryInterval === undefined ? {} : { retryInterval }),
  };
}
