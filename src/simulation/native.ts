/**
 * The agent's own loop as measured on real agents (real-agent-lab.md 3, 3b; agent-side.md 2.2): it
 * notices, tries the entry it is on, retries, walks on, wraps, never goes back by itself, and can
 * wedge. It works with the sidecar dead.
 */
import { agentState, chanceOf, fates } from './fleet.ts';
import { condition } from './network.ts';
import { noteLost, suspect } from './relay.ts';
import { dialOn, endHold, enterRelay, lookAgain, meetSilence } from './relay-walk.ts';
import { arriveAt, beginAway, endAway, leaveDoor } from './session.ts';
import type { World } from './world.ts';

/** Seconds after the first SYN (tcp_syn_retries=6); then the kernel gives up. */
const synSec = [0, 1, 3, 7, 15, 31, 63];
const wedgeSalt = 0x3b;
/** The relay's own entry. */
const relayTuning = { maxRetries: 1, retryIntervalSec: 1 };

/** The session broke: `.wait` is there, the loop starts with the current entry. */
export function startLoop(world: World, agent: number, atMs: number): void {
  const { fleet } = world;
  fleet.tries[agent] = 0;
  beginAttempt(world, agent, atMs);
}

function beginAttempt(world: World, agent: number, atMs: number): void {
  const { fleet } = world;
  fleet.state[agent] = agentState.connecting;
  fleet.synStep[agent] = 0;
  fleet.hasKnocked[agent] = 0;
  fleet.attemptAtMs[agent] = atMs;
  fleet.on[agent] = fleet.entryInUse(agent);
  fleet.isRelayed[agent] = fleet.isAtRelay(agent) ? 1 : 0;
  fleet.tried[agent] = undefined;
  world.scheduleAgent(agent, atMs);
}

/** The pending instant of the agent's loop has come. */
export function stepAgent(world: World, agent: number): void {
  const { fleet } = world;
  switch (fleet.state[agent]) {
    case agentState.doomed:
    case agentState.wedged:
    case agentState.connected:
      startLoop(world, agent, world.nowMs);
      return;
    case agentState.connecting:
      if (fleet.isRelayed[agent] !== 1) dial(world, agent);
      else if (!enterRelay(world, agent)) failAttempt(world, agent, condition.refused);
      return;
    case agentState.held:
      if (!endHold(world, agent)) failAttempt(world, agent, condition.refused);
      return;
    case agentState.led:
      meetLed(world, agent);
      return;
    case agentState.kept:
      if (!lookAgain(world, agent)) failAttempt(world, agent, condition.refused);
      return;
    case agentState.waiting:
      failAttempt(world, agent, condition.hung);
      return;
    case agentState.queued:
      finishHandshake(world, agent);
      return;
    case agentState.enrolling:
      sleepThenNext(world, agent);
      return;
    case agentState.sleeping:
      beginAttempt(world, agent, world.nowMs);
      return;
    case agentState.stopped:
      startProcess(world, agent);
      return;
    default:
      throw new RangeError(`agent ${agent} is in state ${fleet.state[agent]}`);
  }
}

/** A started process begins with the first entry of the file. */
function startProcess(world: World, agent: number): void {
  const { fleet } = world;
  fleet.load(agent);
  fleet.isUnfinished[agent] = 0;
  startLoop(world, agent, world.nowMs);
}

function dial(world: World, agent: number): void {
  const { fleet, network, nowMs } = world;
  const manager = fleet.on[agent] ?? -1;
  const seen = network.at(fleet.site[agent] ?? 0, manager);
  if ((fleet.synStep[agent] ?? 0) >= synSec.length) {
    failAttempt(world, agent, seen);
    return;
  }
  if (seen === condition.refused) {
    failAttempt(world, agent, seen);
    return;
  }
  if (seen === condition.gone) {
    waitForSyn(world, agent);
    return;
  }
  if (seen === condition.hung) {
    meetHung(world, agent, manager);
    return;
  }
  knock(world, agent, manager, nowMs);
}

/** Nobody accepts, but a kernel holds so many; it drops the SYNs of all others. */
function meetHung(world: World, agent: number, manager: number): void {
  const { backlog } = world.network;
  const held = backlog[manager] ?? 0;
  if (held >= world.settings.manager.queue) {
    waitForSyn(world, agent);
    return;
  }
  backlog[manager] = held + 1;
  waitForAnswer(world, agent);
}

function meetLed(world: World, agent: number): void {
  const { fleet, network, nowMs } = world;
  const manager = fleet.on[agent] ?? -1;
  const seen = network.at(fleet.site[agent] ?? 0, manager);
  if (manager >= 0 && seen === condition.alive) knock(world, agent, manager, nowMs);
  else if (!dialOn(world, agent)) failAttempt(world, agent, condition.refused);
}

/** A handshake reaches a live manager. */
function knock(world: World, agent: number, manager: number, nowMs: number): void {
  const { fleet } = world;
  const door = world.doors[manager];
  if (door === undefined) return;
  countKnock(world, agent);
  if (fleet.isDirected[agent] === 1) {
    fleet.isDirected[agent] = 0;
    const load = door.countDirected(nowMs);
    const allowed = 1.2 * 5 * door.settings.acceptRate;
    if (load > allowed) tellOverload(world, agent, `${load} moved to manager ${manager} in 5 s`);
  }
  const doneAtMs = door.arrive(nowMs);
  if (doneAtMs === undefined) {
    fleet.fate[agent] = fates.full;
    if (fleet.isRelayed[agent] === 1) meetSilence(world, agent, manager);
    else waitForSyn(world, agent);
    return;
  }
  fleet.fate[agent] = fates.none;
  fleet.state[agent] = agentState.queued;
  world.scheduleAgent(agent, doneAtMs + 1);
}

/** Every dial of a relay is a connection of its own. */
function countKnock({ fleet, stats }: World, agent: number): void {
  const attempts = fleet.attempts[agent] ?? 0;
  fleet.knocks[agent] = (fleet.knocks[agent] ?? 0) + 1;
  if (attempts > 0) stats.countRepeat(fleet.fate[agent] ?? 0);
  if (fleet.hasKnocked[agent] === 1 && fleet.isRelayed[agent] !== 1) return;
  fleet.hasKnocked[agent] = 1;
  fleet.attempts[agent] = attempts + 1;
}

/**
 * Without a publisher nobody knows how sessions have piled up, so slots cannot be exact: such loads
 * are counted, and are violations in a strict world.
 */
function tellOverload(world: World, agent: number, what: string): void {
  if (world.settings.hasPublisher || world.settings.isStrict) {
    world.violate('I9', agent, `${what}; ${reasonsOf(world)}`);
  } else {
    world.stats.overloads += 1;
  }
}

/** Why agents were moved in the last seconds, with counts. */
function reasonsOf(world: World): string {
  const counts = new Map<string, number>();
  for (const { step, orderedAtMs } of world.applying.values()) {
    if (step.kind !== 'move' || world.nowMs - orderedAtMs > 6_000) continue;
    const name = `${step.reason} to ${step.to}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => `${count} ${name}`).join(', ');
}

function waitForSyn(world: World, agent: number): void {
  const { fleet } = world;
  const step = (fleet.synStep[agent] ?? 0) + 1;
  fleet.synStep[agent] = step;
  const afterSec = synSec[step] ?? world.settings.native.connectSec;
  const jitter = 1 + 0.01 * world.random.next();
  const atMs = (fleet.attemptAtMs[agent] ?? 0) + afterSec * 1000 * jitter;
  world.scheduleAgent(agent, Math.max(world.nowMs, atMs));
}

function waitForAnswer(world: World, agent: number): void {
  world.fleet.state[agent] = agentState.waiting;
  world.scheduleAgent(agent, world.nowMs + world.settings.native.receiveTimeoutSec * 1000);
}

function finishHandshake(world: World, agent: number): void {
  const { fleet, network } = world;
  const manager = fleet.on[agent] ?? -1;
  const seen = network.at(fleet.site[agent] ?? 0, manager);
  if (seen !== condition.alive) fleet.fate[agent] = fates.diedInQueue;
  if (seen === condition.refused) {
    failAttempt(world, agent, seen);
    return;
  }
  if (seen !== condition.alive) {
    waitForAnswer(world, agent);
    return;
  }
  arriveAt(world, agent, manager);
}

function failAttempt(world: World, agent: number, seen: number): void {
  const { fleet, settings, nowMs } = world;
  const { connectSec, hasEnrollment } = settings.native;
  const { maxRetries, retryIntervalSec } = fleet.isAtRelay(agent) ? relayTuning : settings.native;
  const tries = (fleet.tries[agent] ?? 0) + 1;
  fleet.tries[agent] = tries;
  if (tries < maxRetries) {
    fleet.state[agent] = agentState.sleeping;
    world.scheduleAgent(agent, nowMs + retryIntervalSec * 1000);
    return;
  }
  if (hasEnrollment && seen === condition.gone) {
    fleet.state[agent] = agentState.enrolling;
    world.scheduleAgent(agent, nowMs + connectSec * 1000);
    return;
  }
  sleepThenNext(world, agent);
}

function sleepThenNext(world: World, agent: number): void {
  const { fleet } = world;
  const { retryIntervalSec } = fleet.isAtRelay(agent) ? relayTuning : world.settings.native;
  const length = Math.max(1, fleet.walkLength(agent));
  fleet.tries[agent] = 0;
  fleet.cursor[agent] = ((fleet.cursor[agent] ?? 0) + 1) % length;
  fleet.state[agent] = agentState.sleeping;
  world.scheduleAgent(agent, world.nowMs + retryIntervalSec * 1000);
}

/** What the agent is doing meets a manager that now looks different from its network. */
export function meetChange(world: World, agent: number, seen: number): void {
  const { fleet, nowMs } = world;
  const state = fleet.state[agent];
  const hasSession =
    state === agentState.connected || state === agentState.doomed || state === agentState.wedged;
  if (hasSession) {
    meetWithSession(world, agent, seen);
    return;
  }
  if (state !== agentState.waiting) return; // dialling and queued ones look when their time comes
  if (seen === condition.alive) knock(world, agent, fleet.on[agent] ?? -1, nowMs);
  else if (seen === condition.refused) failAttempt(world, agent, seen);
}

function meetWithSession(world: World, agent: number, seen: number): void {
  const { fleet, nowMs } = world;
  if (seen === condition.alive) {
    resume(world, agent);
    return;
  }
  leaveDoor(world, agent);
  beginAway(world, agent, true);
  if (seen === condition.refused) {
    if (fleet.isRelayed[agent] === 1) {
      noteLost(world, agent, fleet.on[agent] ?? -1);
      suspect(world, agent, fleet.on[agent] ?? -1);
      fleet.isDirected[agent] = 1; // from here on the relay leads it
    }
    fleet.state[agent] = agentState.doomed;
    world.scheduleAgent(agent, nowMs + world.random.between(0, 20));
    return;
  }
  const { wedgeShare, wedgeFreedSec, timeReconnectSec, notifySec } = world.settings.native;
  if (fleet.state[agent] === agentState.wedged) return;
  if (chanceOf(agent, wedgeSalt) < wedgeShare) {
    fleet.state[agent] = agentState.wedged;
    if (seen === condition.gone) world.scheduleAgent(agent, nowMs + wedgeFreedSec * 1000);
    else fleet.agentAtMs[agent] = Number.NaN;
    return;
  }
  if (fleet.state[agent] === agentState.doomed) return;
  fleet.state[agent] = agentState.doomed;
  const sec = world.random.between(timeReconnectSec - notifySec - 1, timeReconnectSec + 1);
  world.scheduleAgent(agent, nowMs + sec * 1000);
}

/** A short fault is over before the agent noticed: its session simply goes on. */
function resume(world: World, agent: number): void {
  const { fleet, stats } = world;
  if (fleet.state[agent] === agentState.connected) return;
  const door = world.doors[fleet.on[agent] ?? -1];
  if (door !== undefined) door.sessions += 1;
  fleet.state[agent] = agentState.connected;
  fleet.agentAtMs[agent] = Number.NaN;
  fleet.isFailover[agent] = 0;
  fleet.attempts[agent] = 0;
  fleet.knocks[agent] = 0;
  stats.survived += 1;
  endAway(world, agent);
}

/** Its relay goes away, or cuts it: it dials the same address again at once. */
export function cutRelayed(world: World, agent: number, isFailover: boolean): void {
  leaveDoor(world, agent);
  beginAway(world, agent, isFailover);
  startLoop(world, agent, world.nowMs + world.random.between(0, 20));
}
