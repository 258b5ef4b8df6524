/** pilotfish.yml: one schema gives defaults, units, limits, the reference in `--help`, JSON Schema. */
import * as z from 'zod';
import { tuningBounds } from '../agent-config/wish.ts';
import {
  type ApplierSettings,
  type ControlSettings,
  defaultSettings,
} from '../applier/settings.ts';
import { parseServer } from '../dns/resolv-conf.ts';
import { ConfigError } from '../errors.ts';
import { defaultJudgeSettings } from '../health/judge.ts';
import { isLoopback } from '../relay/loopback.ts';
import { defaultPolicy, type LocalPolicy } from '../sidecar/decide-view.ts';
import { parseWindows } from '../sidecar/decide-window.ts';
import type { Platform } from '../wazuh/agent-home.ts';
import { duration, parseConfig, parseDurationMs } from './config-file.ts';
import { eventsSection, sidecarMetricsSection } from './events-config.ts';

const whole = (min: number, max: number) => z.number().int().min(min).max(max);
const path = (text: string) => z.string().min(1).max(4096).describe(text);
const argv = (text: string) => z.array(z.string().min(1)).min(1).max(32).optional().describe(text);
const seconds = ([min, max]: readonly [number, number], text: string) =>
  whole(min, max).optional().describe(`${text}; unset: as the list says, or left alone`);
const optionalDuration = (text: string) =>
  z
    .string()
    .regex(/^\d+(\.\d+)?(ms|s|m|h|d)$/, 'expected a number with a unit, such as 5s or 2m')
    .optional()
    .describe(text);

const agent = z.strictObject({
  home: path("the agent's directory; unset: where its package puts it").optional(),
  config: path('its ossec.conf; unset: where its home has it').optional(),
  id: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,128}$/, 'expected 1 to 128 of A-Z a-z 0-9 _ . -')
    .optional()
    .describe('who it is for placement; unset: its id in client.keys, else the host name'),
});

const apply = z.strictObject({
  mode: z
    .enum(['agentd', 'service', 'relay'])
    .default('agentd')
    .describe(
      'how a move is made: restart agentd alone where that is safe, or the whole agent; relay: the agent dials this host and is led on, no restarts after the first',
    ),
  control: z
    .enum(['auto', 'systemd', 'wazuh-control', 'launchd', 'windows', 'command'])
    .default('auto')
    .describe('how the agent is stopped and started'),
  unit: z.string().default('wazuh-agent.service').describe('its systemd unit'),
  restart: argv('control: command: program and arguments that restart the whole agent'),
  restartAgentd: argv('control: command: program and arguments that restart agentd alone'),
  restartsPerHour: whole(1, 1_000)
    .default(defaultSettings.restartsPerHour)
    .describe('restarts that moves of the last hour may have cost'),
  restartsPerDay: whole(1, 10_000)
    .default(defaultSettings.restartsPerDay)
    .describe('restarts that moves of the last day may have cost'),
  urgentRestartsPerHour: whole(0, 1_000)
    .default(defaultSettings.urgentRestartsPerHour)
    .describe('further restarts an hour for leaving a dead manager or fetching a lost agent'),
  cooldown: optionalDuration(
    'least time between two moves of choice; unset: as the list says. Never delays leaving a dead manager',
  ),
  minInterval: optionalDuration('least time between two rewrites; unset: as the root says'),
  spread: optionalDuration('planned moves spread over this time; unset: as the list says'),
  minServers: whole(1, 16)
    .default(defaultSettings.minServers)
    .describe('a list with fewer usable managers is not applied'),
  confirm: duration(
    '180s',
    { min: '5s', max: '15m' },
    'longest wait for the agent to connect after a move',
  ),
  stable: duration(
    '1s',
    { min: '0s', max: '60s' },
    'a connection must stand so long before it is believed',
  ),
  freeze: z
    .boolean()
    .default(false)
    .describe('no move and no rewrite of choice; a dead manager is left all the same'),
  windows: z
    .array(
      z
        .string()
        .refine(
          (text) => parseWindows(text) !== undefined,
          'expected days and hours, such as mon-fri 22:00-04:00',
        ),
    )
    .max(16)
    .default([])
    .describe('moves of choice only within these, in UTC, such as mon-fri 22:00-04:00'),
  failBack: z
    .enum(['never', 'relay', 'always'])
    .default('relay')
    .describe(
      "back to this agent's first choice once it has long been up: over the relay, where that costs no restart",
    ),
  foreign: z
    .enum(['adopt', 'respect', 'reassert'])
    .default('reassert')
    .describe('when somebody else changes the server entries: take theirs, wait, or put ours back'),
  retargetEnrollment: z
    .boolean()
    .default(false)
    .describe('point enrollment elsewhere when it names a manager that left the list'),
  spool: path(
    'hand requests to a root applier through this directory; unset: spool in stateDir where the package made a directory for that applier (stateDir with -apply behind it), else the applier runs in this process',
  ).optional(),
  results: path(
    'where that applier leaves its results; unset: results in its directory',
  ).optional(),
});

const probe = z.strictObject({
  interval: duration(
    '1s',
    { min: '100ms', max: '1h' },
    'least time between two probes of the manager in use, and of one that died just now',
  ),
  others: duration('5s', { min: '100ms', max: '1h' }, 'the same for every other manager'),
  deadline: duration('800ms', { min: '50ms', max: '30s' }, 'time a manager has to answer'),
  rise: whole(1, 100)
    .default(defaultJudgeSettings.rise)
    .describe('answers in a row that bring a manager back'),
  fall: whole(1, 100)
    .default(defaultJudgeSettings.fall)
    .describe('failures in a row that make it dead; a failed probe is repeated at once'),
  doubt: duration(
    '30s',
    { min: '0s', max: '1h' },
    'how long this host doubts itself when most managers look dead at once',
  ),
  grace: duration(
    '20s',
    { min: '0s', max: '1h' },
    'how long a disconnected agent may look for a manager by itself',
  ),
  settle: duration(
    '15m',
    { min: '0s', max: '7d' },
    "all managers up for so long: the file goes back to this agent's own order",
  ),
});

const relay = z.strictObject({
  address: z
    .string()
    .refine(isLoopback, 'expected a loopback address')
    .default('127.0.0.1')
    .describe('where the agent dials the relay (apply.mode: relay)'),
  port: whole(1, 65_535)
    .default(840)
    .describe('its port; below 1024 no ordinary user can take it while the sidecar is down'),
  inheritedFd: whole(3, 1_023)
    .optional()
    .describe(
      'descriptor of a listening socket that somebody else keeps while we restart; one of systemd (LISTEN_FDS) is found by itself. Address and port must be its own',
    ),
  standby: z
    .boolean()
    .default(false)
    .describe('keep a spare connection to the manager that would be next'),
});

const dns = z.strictObject({
  servers: z
    .array(
      z
        .string()
        .refine(
          (text) => parseServer(text) !== undefined,
          'expected an address, such as 192.0.2.53, [2001:db8::53]:53 or tls://192.0.2.53#dns.example.org',
        ),
    )
    .max(8)
    .default([])
    .describe("name servers to ask; none: the system's. tls://ADDRESS#NAME asks over TLS"),
  tlsCa: path(
    'PEM file of an authority that vouches for tls:// servers, beside the usual ones',
  ).optional(),
  minTtl: duration('1s', { min: '1s', max: '1h' }, 'answers are kept at least so long'),
  maxTtl: duration('1h', { min: '1s', max: '7d' }, 'and at most so long, whatever their TTL'),
  maxStale: duration(
    '1d',
    { min: '0s', max: '30d' },
    'how long after its TTL an answer still serves while no name server answers',
  ),
});

const tuning = z.strictObject({
  maxRetries: seconds(tuningBounds.maxRetries, 'max_retries of every entry'),
  retryInterval: seconds(tuningBounds.retryInterval, 'retry_interval of every entry, seconds'),
  notifyTime: seconds(tuningBounds.notifyTime, 'notify_time, seconds'),
  timeReconnect: seconds(tuningBounds.timeReconnect, 'time-reconnect, seconds'),
});

export const sidecarSchema = z.strictObject({
  agent: agent.prefault({}),
  stateDir: path('where trust, memory and backups are kept; unset: the usual place').optional(),
  joinToken: z
    .string()
    .max(8192)
    .optional()
    .describe(
      '`run` joins with this token as long as this host has not joined; it holds no secret',
    ),
  zone: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, 'expected 1 to 64 of A-Z a-z 0-9 _ -')
    .optional()
    .describe(
      "managers of this zone come first, and managers' addresses for this zone are dialled",
    ),
  apply: apply.prefault({}),
  probe: probe.prefault({}),
  relay: relay.prefault({}),
  dns: dns.prefault({}),
  sources: z
    .strictObject({
      files: z
        .array(z.string().min(1))
        .max(8)
        .default([])
        .describe(
          'signed list files that something else delivers, such as etc/shared/pilotfish.list of the ' +
            'agent; roots beside them as root/N or FILE.root.N',
        ),
      publishers: z
        .array(
          z.string().regex(/^https:\/\/[^\s/@]+\/?$/, 'expected https://HOST or https://HOST:PORT'),
        )
        .max(16)
        .default([])
        .describe('asked in place of the publishers that token and root name; the pins stay'),
      proxy: z
        .string()
        .regex(/^http:\/\/[^\s/@]+\/?$/, 'expected http://HOST:PORT')
        .optional()
        .describe(
          'HTTP proxy (CONNECT) on the way to publishers; unset: none, whatever the environment says',
        ),
    })
    .prefault({}),
  poll: z
    .strictObject({
      wait: duration(
        '55s',
        { min: '0s', max: '55s' },
        'how long a publisher may hold a question back; 0s: plain polling',
      ),
      interval: optionalDuration('time between two plain polls; unset: as the list says'),
    })
    .prefault({}),
  report: z
    .strictObject({
      enabled: z
        .boolean()
        .default(true)
        .describe(
          "tell the publisher the version held, the manager in use and errors, authenticated with the agent's own key",
        ),
      interval: duration(
        '5m',
        { min: '10s', max: '1h' },
        'time between two reports while nothing changes; the publisher may ask for another',
      ),
    })
    .prefault({}),
  tuning: tuning.prefault({}),
  status: z
    .strictObject({
      every: duration(
        '20s',
        { min: '1s', max: '50s' },
        'status.json is rewritten at every change, and after so long without one, so that its age shows a dead sidecar',
      ),
    })
    .prefault({}),
  metrics: sidecarMetricsSection,
  events: eventsSection('stateDir'),
  log: z
    .strictObject({
      level: z
        .enum(['debug', 'info', 'warn', 'error', 'silent'])
        .default('info')
        .describe('to stderr'),
    })
    .prefault({}),
});

export type SidecarConfig = z.output<typeof sidecarSchema>;

/** Throws ConfigError `config_invalid` naming file, line and key. */
export function parseSidecarConfig(text: string, file: string): SidecarConfig {
  const config = parseConfig(sidecarSchema, text, file);
  const wrong = inconsistency(config);
  if (wrong === undefined) return config;
  throw new ConfigError('config_invalid', `${file}: ${wrong}`);
}

function inconsistency({ apply: { control, restart, spool, results } }: SidecarConfig) {
  if (control === 'command' && restart === undefined)
    return 'apply.control: command needs apply.restart';
  if ((spool === undefined) !== (results === undefined))
    return 'apply.spool and apply.results go together';
  return undefined;
}

export function policyOf({
  apply: applying,
  probe: probing,
  tuning: tuned,
}: SidecarConfig): LocalPolicy {
  return {
    ...defaultPolicy,
    cooldownMs: optionalMs(applying.cooldown),
    spreadMs: optionalMs(applying.spread),
    minApplyMs: optionalMs(applying.minInterval),
    minServers: applying.minServers,
    reconnectGraceMs: probing.grace,
    settleMs: probing.settle,
    doubtMs: probing.doubt,
    freeze: applying.freeze,
    windows: applying.windows.flatMap((text) => parseWindows(text) ?? []),
    failBack: applying.failBack,
    tuning: tuned,
  };
}

export function applierSettingsOf(
  config: SidecarConfig,
  host: HostTraits,
  audience: { readonly group: string; readonly site: string },
): ApplierSettings {
  const { apply: applying, tuning: tuned } = config;
  const { maxRetries, retryInterval, notifyTime, timeReconnect } = tuned;
  return {
    ...defaultSettings,
    ...audience,
    ...(config.zone === undefined ? {} : { zone: config.zone }),
    mode: applying.mode,
    control: controlOf(applying, host),
    minServers: applying.minServers,
    restartsPerHour: applying.restartsPerHour,
    restartsPerDay: applying.restartsPerDay,
    urgentRestartsPerHour: applying.urgentRestartsPerHour,
    foreign: applying.foreign,
    stableMs: applying.stable,
    maxConfirmMs: applying.confirm,
    retargetEnrollment: applying.retargetEnrollment,
    ...(maxRetries === undefined ? {} : { maxRetries }),
    ...(retryInterval === undefined ? {} : { retryInterval }),
    ...(notifyTime === undefined ? {} : { notifyTime }),
    ...(timeReconnect === undefined ? {} : { timeReconnect }),
  };
}

export interface HostTraits {
  readonly platform: Platform;
  /** systemd is the running init (sd_booted(3)); containers and SysV have none. */
  readonly hasSystemd: boolean;
}

const autoControl = { linux: 'systemd', macos: 'launchd', windows: 'windows' } as const;

function autoControlOf({ platform, hasSystemd }: HostTraits) {
  return platform === 'linux' && !hasSystemd ? 'wazuh-control' : autoControl[platform];
}

function controlOf(
  { control, unit, restart, restartAgentd }: SidecarConfig['apply'],
  host: HostTraits,
): ControlSettings {
  const kind = control === 'auto' ? autoControlOf(host) : control;
  if (kind === 'systemd') return { kind, unit };
  if (kind === 'wazuh-control') return { kind: 'wazuh_control' };
  if (kind === 'windows') return { kind: 'scm', service: 'WazuhSvc' };
  if (kind === 'launchd') {
    const label = 'com.wazuh.agent';
    return { kind, label, plist: `/Library/LaunchDaemons/${label}.plist` };
  }
  return {
    kind,
    restart: restart ?? [],
    ...(restartAgentd === undefined ? {} : { restartAgentd }),
  };
}

function optionalMs(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseDurationMs(text);
}
