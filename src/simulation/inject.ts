/** Faults begin and end: what they do to the world, and whom that wakes. */
import type { ManagerList } from '../list/model.ts';
import { hearNews, meetEndlessSource } from './accept.ts';
import { forgetHealth } from './apply.ts';
import { type Fault, rogueKinds } from './fault.ts';
import { agentState, chanceOf } from './fleet.ts';
import { meetChange, startLoop } from './native.ts';
import { condition } from './network.ts';
import { probeLossOf, suffer } from './probing.ts';
import { archive, managerOf } from './published.ts';
import {
  catchUp,
  newestList,
  noticeManagers,
  publish,
  publishBadList,
  publishInStages,
  tell,
} from './publisher.ts';
import { beginAway, leaveDoor } from './session.ts';
import { react, wakeSidecar } from './sidecar.ts';
import { eventKind, fastMs, foreignAddress, type World } from './world.ts';

/** A calm sidecar looks that much more rarely. */
const calmLooks = 5;
/** A session outlives a sleep of its host that is shorter. */
const sessionOutlivesMs = 30_000;

export function beginFault(world: World, number: number): void {
  const fault = world.faults[number];
  if (fault === undefined) return;
  markChange(world);
  const before = world.network.snapshot();
  turn(world, fault, 1);
  meetNetwork(world, before);
  switch (fault.kind) {
    case 'kill':
      forShare(world, fault, (agent) => kill(world, agent, fault));
      return;
    case 'power_cut':
      forShare(world, fault, (agent) => cutPower(world, agent, fault));
      return;
    case 'pause':
      forShare(world, fault, (agent) => pause(world, agent, fault));
      return;
    case 'clock':
      forShare(world, fault, (agent) => jump(world, agent, fault.amount));
      return;
    case 'rogue':
      forShare(world, fault, (agent) => beServed(world, agent, fault));
      return;
    case 'loss':
      forSite(world, fault.site, (agent) => scheduleBlip(world, agent));
      return;
    case 'drain':
      publish(world, undefined);
      return;
    case 'join':
      publishInStages(world);
      return;
    case 'bad_list':
      publishBadList(world);
      return;
    default:
      noticeManagers(world);
      return;
  }
}

export function endFault(world: World, number: number): void {
  const fault = world.faults[number];
  if (fault === undefined) return;
  markChange(world);
  const before = world.network.snapshot();
  turn(world, fault, -1);
  meetNetwork(world, before);
  noticeManagers(world);
  if (fault.kind === 'drain') publish(world, undefined);
  if (fault.kind === 'publisher_down') {
    publish(world, undefined);
    for (let site = 0; site < world.settings.sites; site += 1)
      catchUp(world, site, fault.durationMs);
  }
  if (fault.kind === 'publisher_cut') catchUp(world, fault.site, fault.durationMs);
}

/** What is counted up at the start is counted down at the end. */
function turn(world: World, fault: Fault, by: 1 | -1): void {
  const { network } = world;
  const { manager, site } = fault;
  const pair = site * network.managers + manager;
  const add = (column: Uint8Array, place: number): void => {
    column[place] = (column[place] ?? 0) + by;
  };
  if (fault.kind === 'crash') add(network.crashed, manager);
  if (fault.kind === 'hang') add(network.hung, manager);
  if (fault.kind === 'hang' || fault.kind === 'crash') network.backlog[manager] = 0;
  if (fault.kind === 'blackhole') add(network.gone, manager);
  if (fault.kind === 'cut') add(network.cut, pair);
  if (fault.kind === 'delay') add(network.delayed, pair);
  if (fault.kind === 'drain') add(world.drained, manager);
  if (fault.kind === 'publisher_cut') add(network.publisherCut, site);
  if (fault.kind === 'publisher_down') network.publisherDown += by;
  if (fault.kind === 'loss') network.loss[site] = by === 1 ? fault.amount : 0;
  // The manager that it names is not there, then or later.
  if (fault.kind === 'bad_list' && by === 1) add(network.crashed, world.settings.managers);
  if (fault.kind === 'join' && by === 1) world.joined[world.settings.managers] = 1;
  if (fault.kind !== 'isolate') return;
  for (let one = 0; one < network.managers; one += 1)
    add(network.cut, site * network.managers + one);
}

/** The world is asked for peace (I6) only when nothing changed for long enough. */
export function markChange(world: World): void {
  if (world.lastChangeMs === world.nowMs && world.nowMs > 0) return;
  world.lastChangeMs = world.nowMs;
  world.queue.push(world.nowMs + world.settings.strandedMs, eventKind.check, 0);
}

/** Agents and sidecars of every network that now sees some manager differently. */
function meetNetwork(world: World, before: Uint8Array): void {
  const { fleet, network } = world;
  const after = network.snapshot();
  const { managers } = network;
  const changed = Array.from({ length: network.sites }, (_, site) =>
    after
      .subarray(site * managers, (site + 1) * managers)
      .some((now, manager) => now !== before[site * managers + manager]),
  );
  if (!changed.includes(true)) return;
  after.forEach((now, pair) => {
    const was = before[pair] ?? 0;
    if (now !== was && (now === 0 || was === 0)) network.sinceMs[pair] = world.nowMs;
  });
  changed.forEach((isIt, site) => {
    if (isIt) playRounds(world, site);
  });
  for (let agent = 0; agent < fleet.count; agent += 1) {
    const site = fleet.site[agent] ?? 0;
    if (changed[site] !== true) continue;
    const on = fleet.on[agent] ?? -1;
    const pair = site * managers + on;
    const isConcerned = on >= 0 && after[pair] !== before[pair];
    const hasMoved = isConcerned && ((after[pair] ?? 0) & 3) !== ((before[pair] ?? 0) & 3);
    if (hasMoved && !isPaused(world, agent)) meetChange(world, agent, (after[pair] ?? 0) & 3);
    if (isConcerned) wakeSidecar(world, agent);
  }
}

/** Everybody there sees the change in the next round of its own. */
function playRounds(world: World, site: number): void {
  const { phases } = world.cohorts;
  for (let phase = 0; phase < phases; phase += 1) world.scheduleRound(site * phases + phase);
}

function isPaused(world: World, agent: number): boolean {
  return (world.fleet.pausedUntilMs[agent] ?? 0) > world.nowMs;
}

function forShare(world: World, fault: Fault, visit: (agent: number) => void): void {
  for (let agent = 0; agent < world.fleet.count; agent += 1) {
    if (chanceOf(agent, fault.atMs) < fault.share) visit(agent);
  }
}

function forSite(world: World, site: number, visit: (agent: number) => void): void {
  for (let agent = 0; agent < world.fleet.count; agent += 1) {
    if (world.fleet.site[agent] === site) visit(agent);
  }
}

/** Half of them at once, the others in the middle of their next write. */
function kill(world: World, agent: number, fault: Fault): void {
  const { fleet, nowMs } = world;
  if (chanceOf(agent, fault.atMs + 1) < 0.5) {
    fleet.cutNextWrite[agent] = 1;
    return;
  }
  stopSidecar(world, agent, nowMs + fault.durationMs);
}

function stopSidecar(world: World, agent: number, untilMs: number): void {
  const { fleet } = world;
  const isLeftStopped = fleet.state[agent] === agentState.stopped;
  if (isLeftStopped) fleet.agentAtMs[agent] = Number.NaN;
  fleet.downUntilMs[agent] = Math.max(fleet.downUntilMs[agent] ?? 0, untilMs);
  forgetHealth(world, agent);
  world.queue.push(untilMs, eventKind.wakeHost, agent);
}

function cutPower(world: World, agent: number, fault: Fault): void {
  const { fleet, nowMs } = world;
  if (chanceOf(agent, fault.atMs + 1) < 0.5) {
    fleet.cutNextWrite[agent] = 2;
    return;
  }
  const untilMs = nowMs + Math.min(fault.durationMs, 120_000);
  leaveDoor(world, agent);
  beginAway(world, agent, false);
  fleet.state[agent] = agentState.stopped;
  fleet.isUnfinished[agent] = 1; // its service manager starts the agent with the host
  fleet.pausedUntilMs[agent] = untilMs;
  stopSidecar(world, agent, untilMs);
}

/** The process, or the whole host, is there again. */
export function wakeHost(world: World, agent: number): void {
  const { fleet, nowMs, random } = world;
  markChange(world);
  const isLeftStopped =
    fleet.state[agent] === agentState.stopped && fleet.isUnfinished[agent] === 1;
  const untilMs = Math.max(fleet.downUntilMs[agent] ?? 0, fleet.pausedUntilMs[agent] ?? 0);
  if (untilMs > nowMs) {
    // What keeps it down for longer may have been a write that was cut: nothing else wakes it then.
    if (isLeftStopped) world.queue.push(untilMs, eventKind.wakeHost, agent);
    return;
  }
  if (isLeftStopped && Number.isNaN(fleet.agentAtMs[agent] ?? 0)) {
    world.scheduleAgent(agent, nowMs + random.between(200, 2_000));
  }
  if (fleet.lastHeardMs[agent] === -1) breakSession(world, agent);
  else meetPresent(world, agent);
  tell(world, agent, nowMs + random.between(500, 5_000));
  world.scheduleCycle(agent, nowMs + random.between(0, 2_000));
}

/** What happened to its manager while the host slept. */
function meetPresent(world: World, agent: number): void {
  const { fleet, network } = world;
  const seen = network.at(fleet.site[agent] ?? 0, fleet.on[agent] ?? -1);
  const isSession = (fleet.state[agent] ?? 0) <= agentState.wedged;
  const isBroken = seen !== condition.alive;
  const wasBroken = fleet.state[agent] !== agentState.connected;
  if (isSession && isBroken !== wasBroken) meetChange(world, agent, seen);
}

function breakSession(world: World, agent: number): void {
  world.fleet.lastHeardMs[agent] = world.nowMs;
  startLoop(world, agent, world.nowMs);
}

function pause(world: World, agent: number, fault: Fault): void {
  const { fleet, nowMs } = world;
  const untilMs = nowMs + fault.durationMs;
  fleet.pausedUntilMs[agent] = Math.max(fleet.pausedUntilMs[agent] ?? 0, untilMs);
  if (fleet.state[agent] === agentState.connected && fault.durationMs > sessionOutlivesMs) {
    leaveDoor(world, agent);
    beginAway(world, agent, true);
    fleet.state[agent] = agentState.doomed;
    fleet.lastHeardMs[agent] = -1;
  }
  world.queue.push(untilMs, eventKind.wakeHost, agent);
}

/** A clock set back or forth wakes nobody; the next look lives with it, and is seconds away. */
function jump(world: World, agent: number, byMs: number): void {
  const { fleet, nowMs } = world;
  fleet.clockOffsetMs[agent] = (fleet.clockOffsetMs[agent] ?? 0) + byMs;
  if (byMs > 0) fleet.hasJumped[agent] = 1;
  // As the loss watch has it; neither never nor not at all is changed by it.
  fleet.lostSinceMs[agent] = (fleet.lostSinceMs[agent] ?? Number.NaN) + byMs;
  const isCalm = fleet.state[agent] === agentState.connected;
  world.scheduleCycle(agent, nowMs + chanceOf(agent, nowMs) * fastMs * (isCalm ? calmLooks : 1));
}

function beServed(world: World, agent: number, fault: Fault): void {
  const kind = rogueKinds[fault.amount] ?? 'rollback';
  if (kind === 'endless' || kind === 'slow') {
    meetEndlessSource(world, agent, kind);
    return;
  }
  if ((world.fleet.downUntilMs[agent] ?? 0) > world.nowMs) return;
  const number = rogueList(world, kind);
  if (number >= 0) hearNews(world, agent, number);
}

/** -1 when there is nothing older to replay. */
function rogueList(world: World, kind: (typeof rogueKinds)[number]): number {
  const newest = world.lists[newestList(world)];
  if (newest === undefined) return -1;
  const { list } = newest;
  const next: ManagerList = { ...list, version: list.version + 1 };
  const [first] = list.managers;
  switch (kind) {
    case 'rollback':
      return newestList(world) > 0 ? 0 : -1;
    case 'foreign':
      return archive(
        world,
        {
          ...next,
          managers: [{ ...managerOf(99, 'up'), address: foreignAddress }, ...list.managers],
        },
        false,
      );
    case 'empty':
      return archive(world, { ...next, managers: [] }, false);
    case 'purge':
      return archive(world, { ...next, managers: first === undefined ? [] : [first] }, false);
    case 'equivocation':
      return archive(world, { ...list, managers: list.managers.toReversed() }, false);
    default:
      return archive(world, { ...next, version: list.version + 2_000_000 }, false);
  }
}

/** Next time that a probe of this agent is lost to some manager. */
export function scheduleBlip(world: World, agent: number): void {
  const { fleet, network, random, nowMs, settings } = world;
  const loss = network.loss[fleet.site[agent] ?? 0] ?? 0;
  if (loss === 0) return;
  const perRound =
    probeLossOf(world, agent, fleet.on[agent] ?? -1, loss) +
    (settings.managers - 1) * probeLossOf(world, agent, -1, loss);
  world.queue.push(nowMs + random.gap(world.intervalMs / perRound), eventKind.blip, agent);
}

export function blip(world: World, agent: number): void {
  const { fleet, network, random, settings } = world;
  const loss = network.loss[fleet.site[agent] ?? 0] ?? 0;
  if (loss === 0) return;
  const on = fleet.on[agent] ?? -1;
  const kept = probeLossOf(world, agent, on, loss);
  const fresh = (settings.managers - 1) * probeLossOf(world, agent, -1, loss);
  const manager = random.isHit(kept / (kept + fresh)) ? on : random.below(settings.managers);
  const isBlocked = Math.max(fleet.downUntilMs[agent] ?? 0, fleet.pausedUntilMs[agent] ?? 0);
  if (manager >= 0 && isBlocked <= world.nowMs) {
    const { hasChanged } = suffer(world, agent, manager);
    world.scheduleRound(world.cohorts.of(agent));
    if (hasChanged && (fleet.busyUntilMs[agent] ?? 0) <= world.nowMs) react(world, agent);
  }
  scheduleBlip(world, agent);
}
