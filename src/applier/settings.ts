/**
 * The applier's own, root-owned configuration: everything a request must not decide. Values are
 * checked where they are read (`cli`); here are their shapes, defaults and meaning.
 */

/** relay: the agent dials our loopback relay first; restarts as `agentd` where it is safe. */
export type ApplyMode = 'agentd' | 'service' | 'relay';

/** How the agent is stopped and started on this host (agent-side.md 4.2, 4.3). */
export type ControlSettings =
  /** Linux with systemd; `unit` as in `wazuh-agent.service`. */
  | { readonly kind: 'systemd'; readonly unit: string }
  /** `wazuh-control`: SysV and containers. */
  | { readonly kind: 'wazuh_control' }
  | { readonly kind: 'launchd'; readonly label: string; readonly plist: string }
  /** Windows service control manager. */
  | { readonly kind: 'scm'; readonly service: string }
  /** The operator's own programs, by argv: tests, demo, unusual installations. */
  | {
      readonly kind: 'command';
      /** Restarts the whole agent; returns when it is started. */
      readonly restart: readonly string[];
      /** Restarts agentd alone; without it `agentd` mode falls back to `restart`. */
      readonly restartAgentd?: readonly string[];
    };

/** What happens when somebody else changed the server entries (agent-side.md 7). */
export type ForeignPolicy =
  /** Their entries stay until the wanted list changes. */
  | 'adopt'
  /** Their entries stay until an operator decides. */
  | 'respect'
  /** Ours come back after a growing pause; an alarm after a few times a day. */
  | 'reassert';

export interface ApplierSettings {
  readonly mode: ApplyMode;
  readonly control: ControlSettings;
  /** A written list names at least so many managers, or as many as the verified list has up. */
  readonly minServers: number;
  readonly restartsPerHour: number;
  readonly restartsPerDay: number;
  /** On top of both: for an agent that lost its manager, or whose manager died. */
  readonly urgentRestartsPerHour: number;
  /** SIGKILL for an agentd that ignores SIGTERM so long: a wedged one never exits by itself. */
  readonly killAfterMs: number;
  /** One control program may take so long. */
  readonly commandTimeoutMs: number;
  readonly foreign: ForeignPolicy;
  /** Reverts by somebody else in a day before the alarm. */
  readonly alarmAfterReverts: number;
  /** The connection must stand so long before it is believed. */
  readonly stableMs: number;
  /** Longest wait for the connection, whatever the native walk takes. */
  readonly maxConfirmMs: number;
  /** Between two looks at the agent while confirming. */
  readonly pollMs: number;
  /** Audience of this host, from its join token or its operator. */
  readonly group: string;
  readonly site: string;
  /** Its own zone: which of a manager's addresses its agent dials. */
  readonly zone?: string;
  /** Written into manager entries when set; the agent's own defaults stay otherwise. */
  readonly maxRetries?: number;
  readonly retryInterval?: number;
  readonly notifyTime?: number;
  readonly timeReconnect?: number;
  /** Point `<enrollment><manager_address>` elsewhere when it names a manager that left. */
  readonly retargetEnrollment: boolean;
}

export const defaultSettings = {
  mode: 'agentd',
  control: { kind: 'systemd', unit: 'wazuh-agent.service' },
  minServers: 1,
  restartsPerHour: 3,
  restartsPerDay: 6,
  urgentRestartsPerHour: 12,
  killAfterMs: 2_000,
  commandTimeoutMs: 120_000,
  foreign: 'reassert',
  alarmAfterReverts: 3,
  stableMs: 1_000,
  maxConfirmMs: 180_000,
  pollMs: 100,
  group: 'default',
  site: '*',
  retargetEnrollment: false,
} as const satisfies ApplierSettings;
