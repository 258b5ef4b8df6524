/** Which adapters serve which platform: the one place where the choice is made. */
import type { BackupStore, ConfigFile } from '../applier/config-file.ts';
import type { AgentControl } from '../applier/restart.ts';
import type { Clock, Random } from '../clock.ts';
import type { Log } from '../log.ts';
import type { AgentWorld } from '../wazuh/agent-facts.ts';
import type { AgentHome, Platform } from '../wazuh/agent-home.ts';
import { openAgentControl } from './agent-control.ts';
import { type AgentEyes, openUnixAgent } from './agent-files.ts';
import { findWindowsPids, openWindowsAgent, type SystemTool, systemTool } from './agent-windows.ts';
import { gnuAttributes, noAttributes } from './file-attributes.ts';
import { openUnixConfigFile, type UnixConfigFileOptions } from './unix-config-file.ts';
import { openWindowsConfigFile, type WindowsTools } from './windows-config-file.ts';
import { windowsTools } from './windows-tools.ts';

export interface FileParts {
  readonly home: AgentHome;
  readonly stateDirectory: string;
  readonly backups: BackupStore;
  readonly clock: Clock;
  readonly random: Random;
}

const maxConfigBytes = 8 * 1024 * 1024;

type Attributes = Pick<UnixConfigFileOptions, 'attributes' | 'onLostAttributes'>;

/** Linux can say whether an ACL or label was lost, so it refuses; macOS cannot look at them. */
const attributesOn: Readonly<Record<Exclude<Platform, 'windows'>, Attributes>> = {
  linux: { attributes: gnuAttributes, onLostAttributes: 'refuse' },
  macos: { attributes: noAttributes, onLostAttributes: 'warn' },
};

/** ossec.conf of this agent. */
export function openConfigFile(parts: FileParts, tools: WindowsTools = windowsTools): ConfigFile {
  const options = { ...parts, path: parts.home.configPath, maxBytes: maxConfigBytes };
  const { platform } = parts.home;
  if (platform === 'windows') return openWindowsConfigFile({ ...options, tools });
  return openUnixConfigFile({ ...options, ...attributesOn[platform] });
}

/** Facts of this agent. */
export function openAgent(
  home: AgentHome,
  clock: Clock,
  { tool, ...eyes }: AgentEyes & { readonly tool?: SystemTool } = {},
): AgentWorld {
  return home.platform === 'windows'
    ? openWindowsAgent(home, clock, tool)
    : openUnixAgent(home, clock, eyes);
}

/** Stops and starts this agent. */
export function openControl(
  parts: { readonly home: AgentHome; readonly clock: Clock; readonly log: Log },
  tool: SystemTool = systemTool,
): AgentControl {
  if (parts.home.platform !== 'windows') return openAgentControl(parts);
  return openAgentControl({ ...parts, findPids: (name) => findWindowsPids(name, tool) });
}
