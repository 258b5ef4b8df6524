/** One seed, one world, one history: from the first event to the last or to a violation. */
import { newMemory } from '../sidecar/memory.ts';
import { hearNews, hearTogether } from './accept.ts';
import { confirm } from './apply.ts';
import type { SimEvent } from './event-queue.ts';
import type { Fault } from './fault.ts';
import { agentState } from './fleet.ts';
import { beginFault, blip, endFault, wakeHost } from './inject.ts';
import type { DiskOp, Logic } from './logic.ts';
import { stepAgent } from './native.ts';
import type { Outcome } from './outcome.ts';
import { checkFlap, checkPeace } from './peace.ts';
import { archive, nextList } from './published.ts';
import { publish, publishNoticed, tendStaged } from './publisher.ts';
import { startOfTimeMs, type WorldSettings } from './settings.ts';
import { playRound, stepSidecar } from './sidecar.ts';
import { rankAgent } from './situation.ts';
import { stagedOf } from './staged.ts';
import { addressOf, eventKind, World } from './world.ts';

export interface RunParts {
  readonly settings: WorldSettings;
  readonly faults: readonly Fault[];
  readonly logic: Logic;
  /** From `recordReplaceOps`. */
  readonly replaceOps: readonly DiskOp[];
  /** Default 1: a run ends at the first violation. */
  readonly maxViolations?: number;
  /** Told every so many events. */
  readonly onProgress?: (world: World) => void;
}

const progressEvery = 1 << 14;

export function runWorld(parts: RunParts): Outcome {
  const world = buildWorld(parts);
  const event: SimEvent = { atMs: 0, kind: 0, subject: 0, detail: 0 };
  let trace = 0x811c9dc5;
  while (!world.isOver && world.queue.pop(event)) {
    if (event.atMs > parts.settings.durationMs) break;
    world.nowMs = event.atMs;
    world.stats.events += 1;
    trace = mix(mix(mix(trace, event.kind), event.subject), Math.floor(event.atMs * 8));
    handle(world, event);
    if (world.stats.events % progressEvery === 0) parts.onProgress?.(world);
  }
  checkFlap(world);
  if (world.nowMs > 0) stagedOf(world)?.check(world);
  return outcomeOf(world, trace);
}

function mix(hash: number, value: number): number {
  return Math.imul(hash ^ (value | 0), 0x01000193) ^ (hash >>> 13);
}

function buildWorld(parts: RunParts): World {
  const { settings, logic, faults, replaceOps, maxViolations = 1 } = parts;
  const cidrs = Array.from({ length: settings.managers + 1 }, (_, n) => `${addressOf(n)}/32`);
  const constraints = {
    hosts: [],
    cidrs,
    ports: [1514],
    protocols: ['tcp'],
    minServers: 1,
    maxServers: 16,
    maxListValidFor: 365 * 86_400,
    maxRemovedPct: 34,
    minApplyInterval: 60,
  } as const;
  const world = new World({
    settings,
    logic,
    faults,
    replaceOps,
    constraints,
    maxViolations,
  });
  const staged = stagedOf(world);
  if (staged === undefined) archive(world, nextList(world, undefined), true);
  else staged.change(world, false);
  populate(world);
  faults.forEach(({ atMs, durationMs }, number) => {
    world.queue.push(atMs, eventKind.faultBegins, number);
    world.queue.push(atMs + durationMs, eventKind.faultEnds, number);
  });
  if (staged !== undefined) world.queue.push(0, eventKind.tend, 0);
  if (settings.sampleMs > 0) world.queue.push(0, eventKind.sample, 0);
  return world;
}

/** Everybody is connected to its first choice, and has been for long. */
function populate(world: World): void {
  const { fleet } = world;
  const [first] = world.lists;
  if (first === undefined) return;
  const nothing = new Uint8Array();
  const root = { envelope: nothing, hash: 'sha256:root' };
  const { epoch, term, version } = first.list;
  const list = {
    envelope: nothing,
    hash: first.hash,
    position: { epoch, term, version },
    root,
    acceptedAtMs: startOfTimeMs - 86_400_000,
  };
  const blank = { ...newMemory('token', { envelope: nothing, pin: root.hash }, 0), list };
  for (let agent = 0; agent < fleet.count; agent += 1) {
    fleet.memory[agent] = blank;
    fleet.restarts[agent] = blank.attempts as readonly never[];
    fleet.restarted[agent] = blank.attempts as readonly never[];
    rankAgent(world, agent);
    const start = agent * fleet.width;
    fleet.fileLength[agent] = fleet.rankingLength[agent] ?? 0;
    fleet.fileHasRelay[agent] = world.settings.hasRelay ? 1 : 0;
    fleet.isRelayed[agent] = world.settings.hasRelay ? 1 : 0;
    for (let place = 0; place < fleet.width; place += 1) {
      fleet.file[start + place] = fleet.ranking[start + place] ?? -1;
      fleet.health[start + place] = world.pristine[place];
    }
    fleet.load(agent);
    settle(world, agent, fleet.ranking[start] ?? 0);
  }
}

function settle(world: World, agent: number, manager: number): void {
  const { fleet } = world;
  fleet.state[agent] = agentState.connected;
  fleet.on[agent] = manager;
  const door = world.doors[manager];
  if (door !== undefined) door.sessions += 1;
  const memory = fleet.memory[agent];
  if (memory !== undefined) fleet.memory[agent] = withLast(world, memory, manager);
}

const lastKnown = new WeakMap<World, Map<number, World['fleet']['memory'][number]>>();

/** One object for all that begin with the same manager. */
function withLast(
  world: World,
  memory: World['fleet']['memory'][number],
  manager: number,
): World['fleet']['memory'][number] {
  const shared = lastKnown.get(world) ?? new Map();
  lastKnown.set(world, shared);
  const known = shared.get(manager) ?? { ...memory, lastManager: `m${manager}` };
  shared.set(manager, known);
  return known;
}

function handle(world: World, event: SimEvent): void {
  const { subject, detail } = event;
  switch (event.kind) {
    case eventKind.faultBegins:
      beginFault(world, subject);
      return;
    case eventKind.faultEnds:
      endFault(world, subject);
      return;
    case eventKind.agent:
      handleAgent(world, subject);
      return;
    case eventKind.cycle:
      if (world.fleet.cycleAtMs[subject] === world.nowMs) stepSidecar(world, subject);
      return;
    case eventKind.applied:
      confirm(world, subject);
      return;
    case eventKind.news:
      hearNews(world, subject, detail);
      return;
    case eventKind.publish:
      publishNoticed(world, subject, detail === 1);
      return;
    case eventKind.check:
      checkPeace(world);
      return;
    case eventKind.sample:
      sample(world);
      return;
    case eventKind.blip:
      blip(world, subject);
      return;
    case eventKind.wakeHost:
      wakeHost(world, subject);
      return;
    case eventKind.round:
      playRound(world, subject);
      return;
    case eventKind.cohortNews:
      hearTogether(world, subject, detail);
      return;
    case eventKind.tend:
      tendStaged(world);
      return;
    case eventKind.stage:
      publish(world, undefined);
      return;
    default:
      throw new RangeError(`event of kind ${event.kind}`);
  }
}

function handleAgent(world: World, agent: number): void {
  const { fleet, nowMs } = world;
  if (fleet.agentAtMs[agent] !== nowMs) return;
  const pausedUntilMs = fleet.pausedUntilMs[agent] ?? 0;
  if (pausedUntilMs > nowMs) {
    world.scheduleAgent(agent, pausedUntilMs);
    return;
  }
  stepAgent(world, agent);
}

function sample(world: World): void {
  const { settings, nowMs } = world;
  world.samples.push({
    atMs: nowMs,
    away: world.stats.away,
    sessions: world.doors.map(({ sessions }) => sessions),
    arrivals: world.doors.map((door) => {
      const { sinceSample } = door;
      door.sinceSample = 0;
      return sinceSample;
    }),
  });
  world.queue.push(nowMs + settings.sampleMs, eventKind.sample, 0);
}

function outcomeOf(world: World, trace: number): Outcome {
  const { settings, faults, violations, stats, samples } = world;
  return {
    seed: settings.seed,
    faults,
    violations,
    stats,
    samples,
    doors: world.doors.map((door) => ({
      sessions: door.sessions,
      arrived: door.arrived,
      dropped: door.dropped,
      peakLoad: door.peakDirected / (5 * door.settings.acceptRate),
      peakArrived: door.peakArrived / (5 * door.settings.acceptRate),
    })),
    traceHash: (trace >>> 0).toString(16).padStart(8, '0'),
  };
}
