/** What the sidecar's commands need of the world; `build-sidecar.ts` brings it. */
import type { RestoreTarget } from '../applier/restore.ts';
import type { ApplyResult } from '../applier/result.ts';
import type { Clock } from '../clock.ts';
import type { LoggedEvent } from '../diagnosis/event-line.ts';
import type { Finding } from '../diagnosis/finding.ts';
import type { NameWorld } from '../dns/addresses.ts';
import type { AgentTimes } from '../dns/failover-lint.ts';
import type { Resolver } from '../dns/resolver.ts';
import type { Prober } from '../health/probe.ts';
import type { CycleReport } from '../sidecar/cycle.ts';
import type { Memory } from '../sidecar/memory.ts';
import type { StatusReport } from '../sidecar/report.ts';
import type { Pause, RankedList } from '../sidecar/seen.ts';
import type { News } from '../sidecar/source.ts';
import type { Trust } from '../sidecar/trust.ts';
import type { SidecarConfig } from './sidecar-config.ts';

export interface JoinFlags {
  readonly token: string;
  readonly rootFile: string | undefined;
  readonly listFile: string | undefined;
  /** Forget everything first, another organisation included. */
  readonly reset: boolean;
  /** By `run`, from `joinToken`: an applier that runs apart reads that key itself. */
  readonly isByConfiguration?: boolean;
}

/** Without a publisher: the list comes from DNS, within constraints that root wrote. */
export interface JoinDnsFlags {
  readonly dns: string;
  readonly constraints: string;
  readonly port: number;
}

export interface JoinedHost {
  readonly memory: Memory;
  readonly news: News;
  readonly trust: Trust;
}

export interface Plan {
  readonly report: CycleReport;
  /** Unified diff of ossec.conf; empty when the step leaves it as it is. */
  readonly diff: string;
}

export interface KnownList {
  readonly trust: Trust;
  readonly memory: Memory;
  readonly list: RankedList;
}

export interface RestoreOptions {
  readonly restart: boolean;
  /** A package's own script runs us: that dpkg holds its lock says nothing about the agent. */
  readonly isPackageRemoval: boolean;
}

/** This host's sidecar, its configuration read. */
export interface SidecarOffice {
  readonly config: SidecarConfig;
  readonly agentId: string;
  join(flags: JoinFlags): Promise<JoinedHost>;
  joinByDns(flags: JoinDnsFlags): Promise<JoinedHost>;
  /** One whole cycle: polls, probes, decides, acts. */
  once(): Promise<CycleReport>;
  /** Until `stop` aborts. */
  run(stop: AbortSignal): Promise<void>;
  /** Looks and decides, polls nothing, changes nothing. */
  plan(): Promise<Plan>;
  list(): Promise<KnownList>;
  /** Of the running sidecar; undefined when none has written one lately. */
  /** What the last cycle wrote, however long ago. */
  status(): Promise<{ readonly report: StatusReport; readonly ageMs: number } | undefined>;
  restore(target: RestoreTarget, options: RestoreOptions): Promise<ApplyResult>;
  applySpool(directory: string): Promise<readonly ApplyResult[]>;
  pause(pause: Pause | undefined): Promise<void>;
  /** What was written down of what happened, the applier's part where it may be read. */
  journal(): Promise<readonly LoggedEvent[]>;
}

/** What `resolve` asks: our own resolver, and the system's as the agent uses it. */
export interface NameTools {
  readonly resolver: Resolver;
  readonly world: NameWorld;
  system(name: string, signal: AbortSignal): Promise<readonly string[]>;
}

export interface SidecarHost {
  readonly clock: Clock;
  readonly prober: Prober;
  /** `undefined`: the usual place, where a missing file means the defaults. */
  open(configPath: string | undefined): Promise<SidecarOffice>;
  /** Everything `doctor` looks at; a part that is broken is a finding, never an error. */
  examine(configPath: string | undefined): Promise<readonly Finding[]>;
  /** The diagnostics archive, its files below `folder`. Throws HostError `secret_leak`. */
  diagnose(configPath: string | undefined, folder: string): Promise<Uint8Array>;
  names(configPath: string | undefined): Promise<NameTools>;
  /** Settings of the agent on this host that bear on failover; defaults for what it does not say. */
  agentTimes(configPath: string | undefined): Promise<AgentTimes>;
  readFile(path: string): Promise<Uint8Array>;
  /** Whole or not at all. */
  writeFile(path: string, bytes: Uint8Array): Promise<void>;
}
