/**
 * Where the agent keeps its files, per operating system and age. Agents up to 4.1 call their
 * daemons and scripts `ossec-*` (modulesd excepted). Source: agent-side.md 3.1, 3.3, 4.1, 7.
 */
import { posix, win32 } from 'node:path';

export type Platform = 'linux' | 'macos' | 'windows';

export interface AgentHome {
  readonly platform: Platform;
  readonly home: string;
  /** The file we edit. */
  readonly configPath: string;
  /** Centralised configuration, read by the agent after its own. */
  readonly sharedConfigPath: string;
  readonly statePath: string;
  readonly waitPath: string;
  readonly logPath: string;
  /** Directory of `NAME-PID.pid` files; Windows has none. */
  readonly pidDirectory?: string;
  /** `wazuh-agentd`; Windows: `wazuh-agent.exe`. */
  readonly agentdName: string;
  readonly agentdPath: string;
  readonly modulesdName: string;
  readonly modulesdPath?: string;
  /** `bin/wazuh-control`; Windows has none. */
  readonly controlPath?: string;
  /** Newest form first; the first that exists tells the version. */
  readonly versionPaths: readonly string[];
  /** Something there, and young, means that an upgrade is under way. */
  readonly upgradeLocks: readonly string[];
}

const defaultHomes: Readonly<Record<Platform, string>> = {
  linux: '/var/ossec',
  macos: '/Library/Ossec',
  windows: 'C:\\Program Files (x86)\\ossec-agent',
};

/** `legacy` is an agent up to 4.1, known by its `bin/ossec-control` without `bin/wazuh-control`. */
export function agentHome(
  platform: Platform,
  home: string = defaultHomes[platform],
  legacy = false,
): AgentHome {
  return platform === 'windows'
    ? windowsHome(home, legacy)
    : unixHome(platform, home, legacy ? 'ossec' : 'wazuh');
}

function unixHome(platform: 'linux' | 'macos', home: string, prefix: string): AgentHome {
  const at = (path: string): string => posix.join(home, path);
  return {
    platform,
    home,
    configPath: at('etc/ossec.conf'),
    sharedConfigPath: at('etc/shared/agent.conf'),
    statePath: at(`var/run/${prefix}-agentd.state`),
    waitPath: at(prefix === 'ossec' ? 'queue/ossec/.wait' : 'queue/sockets/.wait'),
    logPath: at('logs/ossec.log'),
    pidDirectory: at('var/run'),
    agentdName: `${prefix}-agentd`,
    agentdPath: at(`bin/${prefix}-agentd`),
    modulesdName: 'wazuh-modulesd',
    modulesdPath: at('bin/wazuh-modulesd'),
    controlPath: at(`bin/${prefix}-control`),
    versionPaths: [at('VERSION.json'), at('VERSION')],
    upgradeLocks: upgradeLocks[platform].map(at),
  };
}

function windowsHome(home: string, legacy: boolean): AgentHome {
  const at = (path: string): string => win32.join(home, path);
  const name = legacy ? 'ossec-agent' : 'wazuh-agent';
  return {
    platform: 'windows',
    home,
    configPath: at('ossec.conf'),
    sharedConfigPath: at('shared\\agent.conf'),
    statePath: at(`${name}.state`),
    waitPath: at('.wait'),
    logPath: at('ossec.log'),
    agentdName: `${name}.exe`,
    agentdPath: at(`${name}.exe`),
    modulesdName: `${name}.exe`,
    versionPaths: [at('VERSION.json'), at('VERSION')],
    upgradeLocks: upgradeLocks.windows.map(at),
  };
}

const upgradeLocks: Readonly<Record<Platform, readonly string[]>> = {
  linux: ['var/upgrade/upgrade_in_progress_pid', 'packages_files'],
  macos: ['var/upgrade/upgrade_in_progress_pid', 'WAZUH_PKG_UPGRADE', 'config_files'],
  windows: ['upgrade\\upgrade_in_progress'],
};
