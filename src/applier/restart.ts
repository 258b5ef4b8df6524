/**
 * Which steps restart this agent, per platform, version and control (agent-side.md 4.2, 4.3).
 * Planning is pure; `runRestart` performs the steps through the `AgentControl` port.
 *
 * Rules behind the table: a reload never applies servers (4.14); processes never start in our own
 * cgroup; agentd alone is restarted only on 4.x, and modulesd with it when a module would lose the
 * queue for good; a wedged agentd ignores SIGTERM; 5.x and Windows restart as a whole.
 */
import { HostError } from '../errors.ts';
import type { AgentFacts } from '../wazuh/agent-facts.ts';
import type { AgentHome } from '../wazuh/agent-home.ts';
import { parseAgentVersion } from '../wazuh/agent-version.ts';
import type { Restart } from './budget.ts';
import type { ApplierSettings, ControlSettings } from './settings.ts';

export type Daemon = 'agentd' | 'modulesd';

export type RestartStep =
  /** Run to its end; another exit code than 0 fails the restart unless `mayFail`. */
  | { readonly kind: 'run'; readonly argv: readonly string[]; readonly mayFail?: boolean }
  /** SIGTERM, wait; SIGKILL after `killAfterMs`; wait until the last process is gone. */
  | { readonly kind: 'stop'; readonly daemon: Daemon; readonly killAfterMs: number }
  /** Wait until every process of the agent is gone. */
  | { readonly kind: 'await_exit'; readonly timeoutMs: number }
  /** Wait until the daemon has a process. */
  | { readonly kind: 'await_start'; readonly daemon: Daemon; readonly timeoutMs: number }
  /** Move the daemon's processes into the cgroup of `unit`. */
  | { readonly kind: 'join_cgroup'; readonly daemon: Daemon; readonly unit: string }
  /** 5.x on macOS: ask the launcher by file, atomically. */
  | { readonly kind: 'request'; readonly path: string; readonly text: string };

export interface RestartPlan {
  readonly kind: Restart['kind'];
  readonly steps: readonly RestartStep[];
  /** Why agentd alone is not restarted although configured. */
  readonly note?: string;
}

export interface RestartQuestion {
  readonly facts: AgentFacts;
  readonly home: AgentHome;
  readonly settings: ApplierSettings;
  /** Configured modules that open the agent's queue once and never again. */
  readonly deafModules: readonly string[];
  /** Makes the names of transient units unique. */
  readonly tag: string;
}

const startTimeoutMs = 15_000;
const stopTimeoutMs = 180_000;

/** Pure. */
export function planRestart(question: RestartQuestion): RestartPlan {
  const { settings } = question;
  if (settings.mode === 'service') return planService(question);
  const obstacle = obstacleToAgentd(question);
  if (obstacle !== undefined) return { ...planService(question), note: obstacle };
  const { control } = settings;
  if (control.kind === 'command' && control.restartAgentd !== undefined) {
    return { kind: 'agentd', steps: [{ kind: 'run', argv: control.restartAgentd }] };
  }
  return planAgentd(question);
}

function obstacleToAgentd({ facts, home, settings }: RestartQuestion): string | undefined {
  const { control } = settings;
  if (control.kind === 'command' && control.restartAgentd === undefined) {
    return 'no program restarts agentd alone: the whole agent is restarted';
  }
  if (home.platform === 'windows') return 'on Windows the agent is one process';
  const version = parseAgentVersion(facts.version ?? '');
  if (control.kind === 'command' || version?.major === 4) return undefined;
  return `agentd alone is restarted on 4.x only, this is ${facts.version ?? 'of unknown version'}`;
}

/** Stop, start outside our cgroup, back into the agent's; then modulesd if it would stay deaf. */
function planAgentd(question: RestartQuestion): RestartPlan {
  const deaf = question.deafModules.length > 0;
  const steps = [
    ...restartDaemon(question, 'agentd'),
    ...(deaf ? restartDaemon(question, 'modulesd') : []),
  ];
  const note = `modulesd too, because of ${question.deafModules.join(', ')}`;
  return { kind: 'agentd', steps, ...(deaf ? { note } : {}) };
}

function restartDaemon(question: RestartQuestion, daemon: Daemon): readonly RestartStep[] {
  const { settings } = question;
  return [
    { kind: 'stop', daemon, killAfterMs: settings.killAfterMs },
    ...startAwaited(question, daemon),
  ];
}

/**
 * modulesd alone, where an interrupted run stopped it and the agent itself is up again; undefined
 * where we never stop it alone.
 */
export function planModulesd(question: RestartQuestion): RestartPlan | undefined {
  const { settings } = question;
  const isOurs = settings.mode !== 'service' && settings.control.kind !== 'command';
  if (!isOurs || obstacleToAgentd(question) !== undefined) return undefined;
  return { kind: 'agentd', steps: startAwaited(question, 'modulesd') };
}

function startAwaited(question: RestartQuestion, daemon: Daemon): readonly RestartStep[] {
  const { settings } = question;
  return [
    ...startDaemon(question, daemon),
    { kind: 'await_start', daemon, timeoutMs: startTimeoutMs },
    ...(settings.control.kind === 'systemd'
      ? [{ kind: 'join_cgroup', daemon, unit: settings.control.unit } as const]
      : []),
  ];
}

function startDaemon(question: RestartQuestion, daemon: Daemon): readonly RestartStep[] {
  const { home, settings, tag } = question;
  const program = daemon === 'agentd' ? home.agentdPath : (home.modulesdPath ?? home.agentdPath);
  if (settings.control.kind !== 'systemd') return [{ kind: 'run', argv: [program] }];
  // Through PID 1 as a service of its own: a scope would inherit our namespaces and lifetime.
  const argv = [
    'systemd-run',
    '--quiet',
    '--collect',
    `--unit=pilotfish-${daemon}-${tag}`,
    '--property=Type=forking',
    '--property=KillMode=process',
    `--property=TimeoutStartSec=${startTimeoutMs / 1_000}`,
    program,
  ];
  return [{ kind: 'run', argv }];
}

function planService({ home, facts, settings }: RestartQuestion): RestartPlan {
  const major = parseAgentVersion(facts.version ?? '')?.major ?? 4;
  return { kind: 'service', steps: serviceSteps(settings.control, home, major) };
}

function serviceSteps(
  control: ControlSettings,
  home: AgentHome,
  major: number,
): readonly RestartStep[] {
  const exits = { kind: 'await_exit', timeoutMs: stopTimeoutMs } as const;
  switch (control.kind) {
    case 'systemd':
      return [{ kind: 'run', argv: ['systemctl', 'restart', control.unit] }];
    case 'wazuh_control':
      return [{ kind: 'run', argv: [requireControl(home), 'restart'] }];
    case 'launchd':
      // From 5.0 the launcher polls for a request; before, the job is booted out and in again, and
      // the daemons may outlive launchd's own time-out.
      if (major >= 5) {
        return [
          { kind: 'request', path: `${home.home}/var/run/wazuh-control.request`, text: 'restart' },
        ];
      }
      return [
        { kind: 'run', argv: ['launchctl', 'bootout', `system/${control.label}`], mayFail: true },
        exits,
        { kind: 'run', argv: ['launchctl', 'bootstrap', 'system', control.plist] },
      ];
    case 'scm':
      // 4.x says STOPPED before its process is gone.
      return [
        { kind: 'run', argv: ['sc.exe', 'stop', control.service], mayFail: true },
        exits,
        { kind: 'run', argv: ['sc.exe', 'start', control.service] },
      ];
    default:
      return [{ kind: 'run', argv: control.restart }];
  }
}

function requireControl(home: AgentHome): string {
  if (home.controlPath !== undefined) return home.controlPath;
  throw new HostError(
    'config_invalid',
    'wazuh-control exists on Unix only; choose another control',
  );
}

/** Port: performs a step. Throws HostError `restart_failed` that says what the program said. */
export interface AgentControl {
  isRunning(daemon: Daemon): Promise<boolean>;
  perform(step: RestartStep, timeoutMs: number): Promise<void>;
}

export async function runRestart(
  control: AgentControl,
  plan: RestartPlan,
  commandTimeoutMs: number,
): Promise<void> {
  for (const step of plan.steps) await control.perform(step, commandTimeoutMs);
}

/** Starting an agent that an interrupted restart of ours left stopped: the same, minus the stop. */
export function withoutStop(plan: RestartPlan): RestartPlan {
  return { ...plan, steps: plan.steps.filter(({ kind }) => kind !== 'stop') };
}
