/**
 * Performs the steps of a restart plan. Processes are found anew at each look, by pid file and
 * program (Unix) or image name (Windows), so a recycled pid is never signalled.
 */
import { open, rename, rm, writeFile } from 'node:fs/promises';
import type { AgentControl, Daemon, RestartStep } from '../applier/restart.ts';
import { type Clock, sleep } from '../clock.ts';
import { HostError } from '../errors.ts';
import { messageOf, never } from '../guards.ts';
import type { Log } from '../log.ts';
import type { AgentHome } from '../wazuh/agent-home.ts';
import { findDaemons } from './daemon-pids.ts';
import { runProgram } from './run-program.ts';

export interface ControlOptions {
  readonly home: AgentHome;
  readonly clock: Clock;
  readonly log: Log;
  /** Living processes of a daemon; default: by pid files. */
  readonly findPids?: (name: string) => Promise<readonly number[]>;
}

const pollMs = 10;
/** After SIGKILL only the kernel can hold a process (uninterruptible sleep). */
const killedMs = 5_000;

export function openAgentControl(options: ControlOptions): AgentControl {
  const control = new StepRunner(options);
  return {
    isRunning: (daemon) => control.isRunning(daemon),
    perform: (step, timeoutMs) => control.perform(step, timeoutMs),
  };
}

class StepRunner {
  readonly #options: ControlOptions;

  constructor(options: ControlOptions) {
    this.#options = options;
  }

  async isRunning(daemon: Daemon): Promise<boolean> {
    return (await this.#pids(daemon)).length > 0;
  }

  perform(step: RestartStep, timeoutMs: number): Promise<void> {
    switch (step.kind) {
      case 'run':
        return this.#run(step.argv, timeoutMs, step.mayFail ?? false);
      case 'stop':
        return this.#stop(step.daemon, step.killAfterMs);
      case 'await_exit':
        return this.#awaitExit(step.timeoutMs);
      case 'await_start':
        return this.#awaitStart(step.daemon, step.timeoutMs);
      case 'join_cgroup':
        return this.#joinCgroup(step.daemon, step.unit);
      case 'request':
        return this.#request(step.path, step.text);
      default:
        return never(step);
    }
  }

  async #run(argv: readonly string[], timeoutMs: number, mayFail: boolean): Promise<void> {
    const { exit, timedOut, stderr, stdout, startError } = await runProgram({ argv, timeoutMs });
    if (exit === 0 || mayFail) return;
    const said = `${stderr}${stdout}`.trim().split('\n').at(-1)?.slice(0, 300) ?? '';
    const why = timedOut ? `no end within ${timeoutMs} ms` : (startError ?? `exit code ${exit}`);
    throw failed(`${argv.join(' ')}: ${why}${said === '' ? '' : ` (${said})`}`);
  }

  async #stop(daemon: Daemon, killAfterMs: number): Promise<void> {
    const pids = await this.#pids(daemon);
    for (const pid of pids) signal(pid, 'SIGTERM');
    if (await this.#gone(daemon, pids, killAfterMs)) return;
    this.#options.log.warn('agent.killed', { daemon, afterMs: killAfterMs });
    for (const pid of await this.#survivors(daemon, pids)) signal(pid, 'SIGKILL');
    if (await this.#gone(daemon, pids, killedMs)) return;
    throw failed(`${daemon} (${pids.join(', ')}) does not end, not even by SIGKILL`);
  }

  async #awaitExit(timeoutMs: number): Promise<void> {
    const gone = await this.#until(timeoutMs, async () => {
      const agentd = await this.#pids('agentd');
      return agentd.length === 0 && (await this.#pids('modulesd')).length === 0;
    });
    if (!gone) throw failed(`the agent did not end within ${timeoutMs} ms`);
  }

  async #awaitStart(daemon: Daemon, timeoutMs: number): Promise<void> {
    const up = await this.#until(timeoutMs, async () => (await this.#pids(daemon)).length > 0);
    if (!up) throw failed(`${daemon} did not start within ${timeoutMs} ms`);
  }

  /** Back among the agent's own processes, so that `systemctl stop` and accounting find it. */
  async #joinCgroup(daemon: Daemon, unit: string): Promise<void> {
    const argv = ['systemctl', 'show', '--property=ControlGroup', '--value', unit];
    const { stdout } = await runProgram({ argv, timeoutMs: 10_000 });
    const group = stdout.toString().trim();
    if (!group.startsWith('/')) return; // the unit has no processes: the transient one stays
    for (const pid of await this.#pids(daemon)) {
      const joined = await joinFirst(
        [`/sys/fs/cgroup${group}`, `/sys/fs/cgroup/systemd${group}`],
        pid,
      );
      if (!joined) this.#options.log.warn('agent.cgroup_not_joined', { daemon, unit });
    }
  }

  async #request(path: string, text: string): Promise<void> {
    try {
      await rm(`${path}.pf`, { force: true });
      await writeFile(`${path}.pf`, text, { flag: 'wx', mode: 0o600 });
      await rename(`${path}.pf`, path);
    } catch (error) {
      throw failed(`${path}: ${messageOf(error)}`);
    }
  }

  #pids(daemon: Daemon): Promise<readonly number[]> {
    const { home, findPids } = this.#options;
    const name = daemon === 'agentd' ? home.agentdName : home.modulesdName;
    return findPids?.(name) ?? findDaemons(home, name);
  }

  async #survivors(daemon: Daemon, pids: readonly number[]): Promise<readonly number[]> {
    return (await this.#pids(daemon)).filter((pid) => pids.includes(pid));
  }

  #gone(daemon: Daemon, pids: readonly number[], timeoutMs: number): Promise<boolean> {
    return this.#until(timeoutMs, async () => (await this.#survivors(daemon, pids)).length === 0);
  }

  async #until(timeoutMs: number, isDone: () => Promise<boolean>): Promise<boolean> {
    const { clock } = this.#options;
    const endMs = clock.monotonicMs() + timeoutMs;
    for (;;) {
      if (await isDone()) return true;
      if (clock.monotonicMs() >= endMs) return false;
      await sleep(clock, pollMs);
    }
  }
}

/** Version 2 and version 1 hosts keep their groups in different places. */
async function joinFirst(groups: readonly string[], pid: number): Promise<boolean> {
  for (const group of groups) {
    if (await join(group, pid).catch(() => false)) return true;
  }
  return false;
}

async function join(group: string, pid: number): Promise<boolean> {
  const procs = await open(`${group}/cgroup.procs`, 'r+');
  await procs.write(`${pid}\n`).finally(() => procs.close());
  return true;
}

function signal(pid: number, name: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, name);
  } catch {
    return; // gone already; the caller looks again anyway
  }
}

function failed(what: string): HostError {
  return new HostError('restart_failed', what);
}
