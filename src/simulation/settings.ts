/** What a simulated world is made of; times in milliseconds unless the name says otherwise. */

import { defaultSettings } from '../applier/settings.ts';

/** How unmodified agents behave (real-agent-lab.md 3). */
export interface NativeSettings {
  readonly notifySec: number;
  readonly timeReconnectSec: number;
  readonly maxRetries: number;
  readonly retryIntervalSec: number;
  readonly receiveTimeoutSec: number;
  /** The kernel's own connect timeout. */
  readonly connectSec: number;
  readonly hasEnrollment: boolean;
  /** Share of the agents with so many events that a hung manager wedges them (section 3b). */
  readonly wedgeShare: number;
  /** A blackholed wedged agent is freed by tcp_retries2. */
  readonly wedgeFreedSec: number;
}

export const defaultNative: NativeSettings = {
  notifySec: 20,
  timeReconnectSec: 60,
  maxRetries: 5,
  retryIntervalSec: 10,
  receiveTimeoutSec: 60,
  connectSec: 135,
  hasEnrollment: true,
  wedgeShare: 0.2,
  wedgeFreedSec: 963,
};

export interface ManagerSettings {
  /** New sessions a second. */
  readonly acceptRate: number;
  /** Handshakes that wait; more are dropped, as a kernel drops a SYN. */
  readonly queue: number;
  /** A full queue slows the service down by this factor. */
  readonly overloadFactor: number;
}

export interface WorldSettings {
  readonly seed: number;
  readonly agents: number;
  readonly managers: number;
  /** Networks that agents sit in; faults of the network hit one of them. */
  readonly sites: number;
  readonly durationMs: number;
  readonly manager: ManagerSettings;
  readonly native: NativeSettings;
  /** False: the list stays what it is and nobody tells that a manager died. */
  readonly hasPublisher: boolean;
  /** The publisher rolls changes out in waves, judged by what sidecars report. */
  readonly hasRollouts: boolean;
  /** False: only the agents' own loop, for comparison. */
  readonly hasSidecar: boolean;
  /** Agents dial the sidecar's loopback relay, real managers stand behind it in their files. */
  readonly hasRelay: boolean;
  /** agentd: the daemon alone; service: the whole agent. */
  readonly restart: 'agentd' | 'service';
  readonly restartsPerHour: number;
  readonly restartsPerDay: number;
  /** On top of both, for an agent that lost its manager. */
  readonly urgentRestartsPerHour: number;
  readonly probeBudgetPerManager: number;
  /** After this long without any change of the world every agent must be connected. */
  readonly strandedMs: number;
  /** Agents that one of our own bounds keeps away count as stranded too. */
  readonly isStrict: boolean;
  /** Every agent decides for itself; else those of one class that stay are asked together. */
  readonly isExact: boolean;
  /** Between two points of the plot; 0: no series. */
  readonly sampleMs: number;
}

export const defaultWorld: WorldSettings = {
  seed: 1,
  agents: 400,
  managers: 4,
  sites: 3,
  durationMs: 3_600_000,
  manager: { acceptRate: 30, queue: 200, overloadFactor: 10 },
  native: defaultNative,
  hasPublisher: true,
  hasRollouts: false,
  hasSidecar: true,
  hasRelay: false,
  restart: 'agentd',
  restartsPerHour: defaultSettings.restartsPerHour,
  restartsPerDay: defaultSettings.restartsPerDay,
  urgentRestartsPerHour: defaultSettings.urgentRestartsPerHour,
  probeBudgetPerManager: 500,
  strandedMs: 120_000,
  isStrict: false,
  isExact: false,
  sampleMs: 0,
};

/** Wall clock at virtual time zero. */
export const startOfTimeMs = Date.UTC(2026, 10, 21);
