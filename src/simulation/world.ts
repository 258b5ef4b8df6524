/** The state of one simulated world, and the words its parts share. */
import { defaultJudgeSettings, type Health, judgeOutcome } from '../health/judge.ts';
import type { ProbeOutcome } from '../health/probe.ts';
import type { Constraints } from '../list/model.ts';
import { defaultPolicy, type Policy } from '../sidecar/decide-view.ts';
import type { Memory } from '../sidecar/memory.ts';
import type { ServerSeen } from '../sidecar/seen.ts';
import type { Step } from '../sidecar/step.ts';
import { Cohorts, sortSites } from './cohorts.ts';
import { EventQueue } from './event-queue.ts';
import type { Fault } from './fault.ts';
import { Fleet } from './fleet.ts';
import type { DiskOp, Logic } from './logic.ts';
import { ManagerDoor } from './manager.ts';
import { InstantMemo } from './memo.ts';
import { Network } from './network.ts';
import { type Invariant, type Sample, Stats, type Violation } from './outcome.ts';
import { Prng } from './prng.ts';
import type { Published } from './published-list.ts';
import { startOfTimeMs, type WorldSettings } from './settings.ts';

export const eventKind = {
  faultBegins: 1,
  faultEnds: 2,
  agent: 3,
  cycle: 4,
  applied: 5,
  news: 6,
  publish: 7,
  check: 8,
  sample: 9,
  blip: 10,
  wakeHost: 11,
  stage: 12,
  round: 13,
  cohortNews: 14,
  tend: 15,
} as const;

/** Between two looks while something is wrong, and the least between two probes. */
export const fastMs = 1_000;

/** An apply under way: what was ordered, and until when its confirmation waits. */
export interface Applying {
  readonly step: Step;
  readonly listHash: string;
  readonly orderedAtMs: number;
  readonly deadlineMs: number;
  /** The target is asked beside the move; next time then. */
  askAtMs: number;
}

export interface WorldParts {
  readonly settings: WorldSettings;
  readonly logic: Logic;
  readonly faults: readonly Fault[];
  readonly replaceOps: readonly DiskOp[];
  readonly constraints: Constraints;
  /** Violations kept; the run ends at the first one beyond. */
  readonly maxViolations: number;
}

export class World {
  readonly settings: WorldSettings;
  readonly logic: Logic;
  readonly faults: readonly Fault[];
  readonly replaceOps: readonly DiskOp[];
  readonly constraints: Constraints;
  readonly queue = new EventQueue();
  readonly random: Prng;
  readonly fleet: Fleet;
  readonly network: Network;
  readonly cohorts: Cohorts;
  /** Between two questions of one agent to one manager, however many agents there are. */
  readonly intervalMs: number;
  readonly doors: readonly ManagerDoor[];
  readonly stats = new Stats();
  readonly violations: Violation[] = [];
  readonly samples: Sample[] = [];
  readonly lists: Published[] = [];
  readonly listByHash = new Map<string, number>();
  readonly applying = new Map<number, Applying>();
  /** A manager that nobody ever suspected, shared by all agents. */
  readonly pristine: readonly Health[];
  readonly judgements = new InstantMemo<Health | undefined, Health>();
  /** By what was offered and what was known: did the product take it? */
  readonly passed = new Map<string, boolean>();
  readonly memories = new InstantMemo<Memory, Memory>();
  /** How entries of the file read, by manager; a stranger's last. */
  readonly entries: readonly ServerSeen[];
  readonly stranger: ServerSeen;
  /** The relay's own entry: one retry, one second. */
  readonly relayEntry: ServerSeen;
  readonly policy: Policy;
  readonly drained: Uint8Array;
  readonly joined: Uint8Array;
  /** How the publisher sees the managers: since when each is alive (true) or not. */
  readonly publisherSees: boolean[];
  lastChangeMs = 0;
  nowMs = 0;
  readonly #maxViolations: number;

  constructor(parts: WorldParts) {
    const { settings } = parts;
    this.settings = settings;
    this.logic = parts.logic;
    this.faults = parts.faults;
    this.replaceOps = parts.replaceOps;
    this.constraints = parts.constraints;
    this.#maxViolations = parts.maxViolations;
    this.random = new Prng(settings.seed, 0x0a11);
    // One manager more than the list names at first: `join` brings it in.
    const managers = settings.managers + 1;
    this.fleet = new Fleet(settings.agents, managers);
    this.network = new Network(settings.sites, managers);
    for (let agent = 0; agent < settings.agents; agent += 1) {
      this.fleet.site[agent] = this.random.below(settings.sites);
    }
    sortSites(this.fleet.site);
    this.cohorts = new Cohorts(this.fleet.site, settings.sites);
    this.intervalMs = Math.max(fastMs, (settings.agents * 1000) / settings.probeBudgetPerManager);
    this.doors = Array.from({ length: managers }, () => new ManagerDoor(settings.manager));
    this.pristine = this.doors.map((_, manager) => pristineHealth(manager));
    this.entries = this.doors.map((_, manager) => entryOf(addressOf(manager), settings));
    this.stranger = entryOf(foreignAddress, settings);
    this.relayEntry = { ...relayAt, protocol: 'tcp', maxRetries: 1, retryInterval: 1 };
    this.policy = { ...defaultPolicy, minApplyMs: parts.constraints.minApplyInterval * 1000 };
    this.drained = new Uint8Array(managers);
    this.joined = new Uint8Array(managers).fill(1, 0, settings.managers);
    this.publisherSees = this.doors.map(() => true);
  }

  get managers(): number {
    return this.doors.length;
  }

  get isOver(): boolean {
    return this.violations.length >= this.#maxViolations;
  }

  violate(invariant: Invariant, agent: number, what: string): void {
    if (this.isOver) return;
    this.violations.push({ invariant, atMs: this.nowMs, agent, what });
  }

  /** The host's own wall clock. */
  wallMs(agent: number, atMs: number = this.nowMs): number {
    return startOfTimeMs + atMs + (this.fleet.clockOffsetMs[agent] ?? 0);
  }

  scheduleAgent(agent: number, atMs: number): void {
    this.fleet.agentAtMs[agent] = atMs;
    this.queue.push(atMs, eventKind.agent, agent);
  }

  /** Never later than what is already pending. */
  scheduleCycle(agent: number, atMs: number): void {
    const { cycleAtMs } = this.fleet;
    const pending = cycleAtMs[agent] ?? Number.NaN;
    if (pending <= atMs || !this.settings.hasSidecar) return;
    cycleAtMs[agent] = atMs;
    this.queue.push(atMs, eventKind.cycle, agent);
  }

  /** The next instant at which this cohort asks its managers is played. */
  scheduleRound(cohort: number): void {
    const { cohorts, settings, nowMs } = this;
    if (!settings.hasSidecar || !Number.isNaN(cohorts.roundAtMs[cohort] ?? 0)) return;
    const atMs = cohorts.nextRoundMs(cohort, nowMs, this.intervalMs);
    cohorts.roundAtMs[cohort] = atMs;
    this.queue.push(atMs, eventKind.round, cohort);
  }
}

/** Where every relay listens. */
export const relayAt = { address: '127.0.0.1', port: 840 } as const;

/** No root of the world allows it. */
export const foreignAddress = '203.0.113.9';

function entryOf(address: string, { native }: WorldSettings): ServerSeen {
  const { maxRetries, retryIntervalSec: retryInterval } = native;
  return { address, port: 1514, protocol: 'tcp', maxRetries, retryInterval };
}

const addresses = Array.from({ length: 100 }, (_, manager) => `10.0.0.${manager + 1}`);

export function addressOf(manager: number): string {
  return addresses[manager] ?? '';
}

/** Made by the real judge, so that it is whatever the judge of today keeps. */
function pristineHealth(manager: number): Health {
  const outcome: ProbeOutcome = { kind: 'alive', tookMs: 1, ips: [addressOf(manager)] };
  const startMs = startOfTimeMs - 86_400_000;
  let health = judgeOutcome(undefined, outcome, defaultJudgeSettings, startMs);
  for (let round = 1; round < 20; round += 1) {
    health = judgeOutcome(health, outcome, defaultJudgeSettings, startMs + round * 60_000);
  }
  return health;
}
