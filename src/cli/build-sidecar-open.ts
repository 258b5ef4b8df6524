/** This host opened for the sidecar's commands: configuration, places, the agent's home. */
import { access, readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { type AgentTimes, defaultAgentTimes } from '../dns/failover-lint.ts';
import { ConfigError } from '../errors.ts';
import { messageOf, systemCodeOf } from '../guards.ts';
import { withJournal } from '../host/event-journal.ts';
import { refuseExposed } from '../host/exposed-folder.ts';
import { buildProber } from '../host/probe-socket.ts';
import {
  openSidecarFiles,
  readAgentFile,
  readAgentId,
  type SidecarFiles,
} from '../host/sidecar-files.ts';
import { systemClock as clock } from '../host/system-clock.ts';
import { openTwoGenerationFile } from '../host/two-generation-file.ts';
import { buildLog, type Log } from '../log.ts';
import { fileSeenOf } from '../sidecar/file-seen.ts';
import { isStatusReport } from '../sidecar/report.ts';
import { type AgentHome, agentHome, type Platform } from '../wazuh/agent-home.ts';
import { buildNames, resolveBy } from './build-sidecar-names.ts';
import type { ApplierApart, Rooms } from './build-sidecar-rooms.ts';
import { parseSidecarConfig, type SidecarConfig } from './sidecar-config.ts';
import type { SidecarOffice } from './sidecar-host.ts';

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

/** The usual place where none is named. */
export function configPathOf(path: string | undefined): string {
  return path ?? places[platform].config;
}

export async function readConfig(path: string | undefined): Promise<SidecarConfig> {
  const file = configPathOf(path);
  try {
    return parseSidecarConfig(await readFile(file, 'utf8'), file);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    if (path === undefined && systemCodeOf(error) === 'ENOENT') return parseSidecarConfig('', file);
    throw new ConfigError('config_unreadable', `${file}: ${messageOf(error)}`, { cause: error });
  }
}

export async function openRooms(config: SidecarConfig, version: string): Promise<Rooms> {
  const home = await homeOf(config);
  const stateDirectory = resolve(config.stateDir ?? places[platform].state);
  await refuseExposed(stateDirectory);
  const keys = join(home.home, home.platform === 'windows' ? 'client.keys' : 'etc/client.keys');
  const apart = await apartOf(config, stateDirectory);
  const applierDirectory =
    apart === undefined ? join(stateDirectory, 'applier') : `${stateDirectory}-apply`;
  await refuseExposed(applierDirectory);
  const names = await buildNames(config);
  const agentId = config.agent.id ?? (await readAgentId(keys)) ?? hostname();
  const log: Log = buildLog(config.log.level);
  const journal = { folder: stateDirectory, program: 'sidecar', clock };
  return {
    config,
    home,
    version,
    keysPath: keys,
    hasSystemd: await isThere('/run/systemd/system'),
    stateDirectory,
    applierDirectory,
    ...(apart === undefined ? {} : { apart }),
    log: config.events.enabled ? withJournal(log, journal) : log,
    place: {
      agentId,
      os: home.platform,
      ...(config.zone === undefined ? {} : { zone: config.zone }),
    },
    names,
    prober: buildProber(clock, resolveBy(names)),
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
export async function homeOf({ agent }: SidecarConfig): Promise<AgentHome> {
  const plain = agentHome(platform, agent.home);
  const legacy = agentHome(platform, agent.home, true);
  const isLegacy = (await isThere(legacy.controlPath)) && !(await isThere(plain.controlPath));
  const home = isLegacy ? legacy : plain;
  return agent.config === undefined ? home : { ...home, configPath: resolve(agent.config) };
}

export async function readStatus(files: SidecarFiles): ReturnType<SidecarOffice['status']> {
  const report = await files.readStatus();
  if (!isStatusReport(report)) return undefined;
  return { report, ageMs: Math.abs(clock.nowMs() - report.atMs) };
}

/** As the agent of this host has them; a file that is not there or not readable says nothing. */
export async function readAgentTimes(home: AgentHome): Promise<AgentTimes> {
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
