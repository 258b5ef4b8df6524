/**
 * Makes a home for the stand-in agent in a temporary directory: a realistic `ossec.conf`, a key of
 * its own, `VERSION.json`, and the two programs a sidecar would run.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ConfigTraits, configText } from './agent-home-config.ts';
import { agentdScript, controlScript, type ScriptPaths } from './agent-home-scripts.ts';
import { isAlive } from './life-line.ts';

export interface AgentHomeOptions extends ConfigTraits {
  /** Where to make it; default: a new directory under the system's temporary one. */
  readonly directory?: string;
  /** `001` without. */
  readonly agentId?: string;
  /** `4.14.8` without. */
  readonly version?: string;
  /** `agent.recv_timeout` in local_internal_options.conf; absent: no such line, 60 s. */
  readonly recvTimeoutS?: number;
  /** Flags of agent.ts for whatever `bin/wazuh-agentd` starts. */
  readonly agentFlags?: readonly string[];
  /** The agent dies with this process; `undefined` named explicitly lets it live on (demo --keep). */
  readonly ownerPid?: number | undefined;
}

/** A home on disk and what a test wants to know of it. */
export class StandInHome {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  get configPath(): string {
    return join(this.path, 'etc/ossec.conf');
  }

  get statePath(): string {
    return join(this.path, 'var/run/wazuh-agentd.state');
  }

  get waitPath(): string {
    return join(this.path, 'queue/sockets/.wait');
  }

  get logPath(): string {
    return join(this.path, 'logs/ossec.log');
  }

  get controlPath(): string {
    return join(this.path, 'bin/wazuh-control');
  }

  get agentdPath(): string {
    return join(this.path, 'bin/wazuh-agentd');
  }

  /** Live agents by their pid files. */
  get pids(): readonly number[] {
    return this.#pidFiles().filter(isAlive);
  }

  readConfig(): Buffer {
    return readFileSync(this.configPath);
  }

  writeConfig(text: string | Buffer): void {
    writeFileSync(this.configPath, text);
  }

  /** Log text so far; empty before the first line. */
  readLog(): string {
    try {
      return readFileSync(this.logPath, 'latin1');
    } catch {
      return '';
    }
  }

  /** `key` of the state file, undefined while there is none. */
  readState(key: string): string | undefined {
    try {
      const text = readFileSync(this.statePath, 'latin1');
      return new RegExp(`^${key}='([^']*)'$`, 'm').exec(text)?.[1];
    } catch {
      return undefined;
    }
  }

  /** Kills every agent of this home and deletes it. */
  remove(): void {
    for (const pid of this.pids) process.kill(pid, 'SIGKILL');
    rmSync(this.path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }

  #pidFiles(): readonly number[] {
    return readdirSync(join(this.path, 'var/run')).flatMap((name) => {
      const pid = /^wazuh-agentd-(\d+)\.pid$/.exec(name)?.[1];
      return pid === undefined ? [] : [Number(pid)];
    });
  }
}

const directories = ['etc/shared', 'var/run', 'var/upgrade', 'queue/sockets', 'logs', 'bin'];
const agentPath = fileURLToPath(new URL('agent.ts', import.meta.url));

export function makeAgentHome(options: AgentHomeOptions): StandInHome {
  const path = options.directory ?? mkdtempSync(join(tmpdir(), 'pilotfish-agent-'));
  for (const name of directories) mkdirSync(join(path, name), { recursive: true, mode: 0o770 });
  const put = (name: string, text: string, mode: number): void =>
    writeFileSync(join(path, name), text, { mode });
  const { agentId = '001', version = '4.14.8', recvTimeoutS } = options;
  put('etc/ossec.conf', configText(options), 0o660);
  put('etc/client.keys', `${agentId} standin any ${'5a'.repeat(32)}\n`, 0o640);
  const recvTimeout = recvTimeoutS === undefined ? '' : `agent.recv_timeout=${recvTimeoutS}\n`;
  put('etc/local_internal_options.conf', `# local overrides\n${recvTimeout}`, 0o640);
  put('VERSION.json', `${JSON.stringify({ version, stage: 'rc0', commit: 'standin' })}\n`, 0o644);
  const scripts = scriptPaths(path, options);
  put('bin/wazuh-agentd', agentdScript(scripts), 0o750);
  put('bin/wazuh-control', controlScript(scripts), 0o750);
  return new StandInHome(path);
}

function scriptPaths(home: string, options: AgentHomeOptions): ScriptPaths {
  const owner = 'ownerPid' in options ? options.ownerPid : process.pid;
  const tie = owner === undefined ? [] : ['--exit-with-pid', String(owner)];
  const flags = [...(options.agentFlags ?? []), ...tie];
  for (const text of [home, ...flags]) {
    if (/[^\w./:=@+-]/.test(text)) throw new TypeError(`needs quoting in sh: ${text}`);
  }
  return { home, node: process.execPath, agent: agentPath, flags };
}

/** Runs a verb of the home's wazuh-control; throws with its output when it fails. */
export function control(home: StandInHome, ...verb: readonly string[]): string {
  return execFileSync(home.controlPath, verb, { encoding: 'utf8', timeout: 60_000 });
}
