/** The sidecar put together from real parts. */
import { access, readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { endRestore, restore } from '../applier/restore.ts';
import { applySpool } from '../applier/spool.ts';
import type { ApplierWorld } from '../applier/world.ts';
import { type AgentTimes, defaultAgentTimes } from '../dns/failover-lint.ts';
import { ConfigError, HostError } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';
import { acquireLock, type Lock } from '../host/lock.ts';
import { buildProber } from '../host/probe-socket.ts';
import {
  openSidecarFiles,
  readAgentFile,
  readAgentId,
  type SidecarFiles,
} from '../host/sidecar-files.ts';
import { openSpool } from '../host/spool-directory.ts';
import { systemClock as clock, systemRandom as random } from '../host/system-clock.ts';
import { openTwoGenerationFile, writeDurably } from '../host/two-generation-file.ts';
import { buildLog, type Log } from '../log.ts';
import { fileSeenOf } from '../sidecar/file-seen.ts';
import type { StatusReport } from '../sidecar/report.ts';
import { type AgentHome, agentHome, type Platform } from '../wazuh/agent-home.ts';
import { buildApplierWorld } from './build-sidecar-applier.ts';
import { joinHost } from './build-sidecar-join.ts';
import { buildNames, resolveBy } from './build-sidecar-names.ts';
import type { Rooms } from './build-sidecar-rooms.ts';
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

export function buildSidecarHost(version: string): SidecarHost {
  return {
    clock,
    prober: buildProber(clock),
    version,
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
  return {
    config,
    agentId: rooms.place.agentId,
    join: (flags) => locked(rooms, () => joinHost(rooms, flags)),
    once: () => locked(rooms, () => cycleOnce(rooms)),
    run: (stop) => locked(rooms, () => runForever(rooms, stop)),
    plan: () => planOnce(rooms),
    list: () => knownList(rooms),
    status: () => readStatus(rooms.files),
    restore: async (target, restart) => restore(await applierOf(rooms), target, restart),
    async applySpool(directory) {
      const results = config.apply.results ?? directory;
      return applySpool(await applierOf(rooms), openSpool(resolve(directory), resolve(results)));
    },
    async pause(pause) {
      await rooms.files.writePause(pause);
      const isResume = pause === undefined && config.apply.spool === undefined;
      if (isResume && (await rooms.files.readToken()) !== undefined) {
        await endRestore(await applierOf(rooms));
      }
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
  const keys = join(home.home, home.platform === 'windows' ? 'client.keys' : 'etc/client.keys');
  const agentId = config.agent.id ?? (await readAgentId(keys)) ?? hostname();
  const log: Log = buildLog(config.log.level);
  return {
    config,
    home,
    version,
    keysPath: keys,
    hasSystemd: await isThere('/run/systemd/system'),
    stateDirectory,
    log,
    place: { agentId, ...(config.zone === undefined ? {} : { zone: config.zone }) },
    prober: buildProber(clock, resolveBy(await buildNames(config))),
    files: openSidecarFiles(stateDirectory),
    memoryFile: openTwoGenerationFile(join(stateDirectory, 'memory'), (path, why) =>
      log.warn('state.damaged', { path, why }),
    ),
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

async function applierOf(rooms: Rooms): Promise<ApplierWorld> {
  const { trust } = await knownList(rooms);
  const host = { platform: rooms.home.platform, hasSystemd: rooms.hasSystemd };
  const settings = applierSettingsOf(rooms.config, host, trust.audience);
  return buildApplierWorld({
    ...rooms,
    settings,
    probeDeadlineMs: rooms.config.probe.deadline,
  });
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
