/**
 * One sidecar of the world: ask, judge, decide, remember, act, with the product's functions. A
 * sidecar to which nothing happens costs nothing: rounds are only played while something is
 * unsettled, and whatever changes its world plays the next round of its cohort.
 */

import { isUrgent } from '../sidecar/act.ts';
import { askAheadMs } from '../sidecar/decide-moves.ts';
import { homeSlotAtMs } from '../sidecar/decide-slot.ts';
import type { Memory } from '../sidecar/memory.ts';
import type { Step } from '../sidecar/step.ts';
import { apply, lookForEscape } from './apply.ts';
import { classesOf } from './classes.ts';
import { agentIdOf, agentState } from './fleet.ts';
import { cutRelayed } from './native.ts';
import { askAll, askOne, type Round, tellSign } from './probing.ts';
import { avoid, noteLost } from './relay.ts';
import { isInRelay } from './relay-seen.ts';
import { noteConnected, numberOf, publishedOf, rankedListOf, situationOf } from './situation.ts';
import { fastMs, type World } from './world.ts';

const slowestMs = 60_000;
const settleMs = 15 * 60_000;
const homeLookMs = 120_000;
/** Rounds of a cohort and of its agents' own cycles are never exactly one interval apart. */
const aboutOne = 0.9;

/** The pending instant of this sidecar has come. */
export function stepSidecar(world: World, agent: number): void {
  const { fleet, nowMs } = world;
  fleet.cycleAtMs[agent] = Number.NaN;
  const asleepMs = asleepUntilMs(world, agent);
  if (asleepMs <= nowMs && fleet.suspects[agent] !== 0) askSuspects(world, agent);
  const blockedUntilMs = Math.max(fleet.busyUntilMs[agent] ?? 0, asleepMs);
  if (blockedUntilMs > nowMs) {
    world.scheduleCycle(agent, blockedUntilMs);
    return;
  }
  world.stats.cycles += 1;
  const { knownAtMs } = ask(world, agent);
  if (knownAtMs > nowMs) world.scheduleCycle(agent, knownAtMs);
  else react(world, agent);
}

/** Whom its relay dialled in vain: the prober is rung for each of them, also during an apply. */
function askSuspects(world: World, agent: number): void {
  const { fleet } = world;
  const suspects = fleet.suspects[agent] ?? 0;
  fleet.suspects[agent] = 0;
  for (let manager = 0; manager < fleet.width; manager += 1) {
    if ((suspects & (1 << manager)) !== 0) askOne(world, agent, manager, true);
  }
}

function asleepUntilMs({ fleet }: World, agent: number): number {
  return Math.max(fleet.downUntilMs[agent] ?? 0, fleet.pausedUntilMs[agent] ?? 0);
}

/** All managers when their time has come, else the one that a sign of the agent's speaks against. */
function ask(world: World, agent: number): Round {
  const { fleet, nowMs } = world;
  const suspect = readSign(world, agent);
  const isDue = nowMs - (fleet.askedAtMs[agent] ?? 0) >= aboutOne * world.intervalMs;
  if (isDue || fleet.askedAtMs[agent] === 0) return askAll(world, agent, true);
  const asked = suspect >= 0 ? suspect : leavingSoon(world, agent);
  return asked >= 0 ? askOne(world, agent, asked, true) : nothingAsked;
}

/** As the daemon does it: its slot is near, so the manager that it leaves is asked again. */
function leavingSoon({ fleet, nowMs }: World, agent: number): number {
  const slotAtMs = fleet.slotAtMs[agent] ?? Number.NaN;
  const isNear = nowMs >= slotAtMs - askAheadMs && nowMs < slotAtMs + askAheadMs;
  return isNear ? numberOf(fleet.memory[agent]?.lastManager ?? '') : -1;
}

const nothingAsked: Round = {
  hasChanged: false,
  isUnsettled: false,
  hasFallen: false,
  knownAtMs: 0,
};
const signs = ['', 'the agent lost its connection to it', "the agent's last ack is late"] as const;

/** The manager that the agent itself speaks against, told once; -1 when there is none. */
function readSign(world: World, agent: number): number {
  const { fleet, nowMs, settings } = world;
  const isLate = nowMs - lastHeardMs(world, agent) > (2 * settings.native.notifySec + 5) * 1000;
  const late = isLate ? 2 : 0;
  const kind = isLooking(world, agent) ? 1 : late;
  const isNew = kind !== 0 && fleet.told[agent] !== kind;
  fleet.told[agent] = kind;
  if (!isNew) return -1;
  const manager = numberOf(fleet.memory[agent]?.lastManager ?? '');
  if (manager < 0) return -1;
  tellSign(world, agent, manager, signs[kind]);
  return manager;
}

function lastHeardMs({ fleet, nowMs }: World, agent: number): number {
  return fleet.isAway(agent) ? (fleet.lastHeardMs[agent] ?? nowMs) : nowMs;
}

/** Every agent of the cohort asks its managers now. */
export function playRound(world: World, cohort: number): void {
  const { cohorts, fleet, nowMs } = world;
  cohorts.roundAtMs[cohort] = Number.NaN;
  let isUnsettled = false;
  for (const agent of cohorts.members(cohort)) {
    if (asleepUntilMs(world, agent) > nowMs) continue;
    const round = askAll(world, agent, false);
    isUnsettled ||= round.isUnsettled;
    if ((fleet.busyUntilMs[agent] ?? 0) > nowMs) {
      if (round.hasChanged) lookForEscape(world, agent);
      continue;
    }
    if (round.hasChanged) fleet.calm[agent] = 0;
    const hasOwnCycle = (fleet.cycleAtMs[agent] ?? Number.NaN) >= nowMs;
    if (hasOwnCycle && !round.hasChanged) continue;
    if (round.hasChanged || !isQuiet(world, agent)) react(world, agent);
  }
  if (isUnsettled) world.scheduleRound(cohort);
}

/** What changed may call for a step; after a write the next look is at once. */
export function react(world: World, agent: number): void {
  const first = takeStep(world, agent);
  if (first === undefined) return;
  const isWritten = first.kind === 'write' && (world.fleet.downUntilMs[agent] ?? 0) <= world.nowMs;
  const step = isWritten ? takeStep(world, agent) : first;
  if (step !== undefined) scheduleNext(world, agent, step);
}

/** decide -> remember -> act */
function takeStep(world: World, agent: number): Step | undefined {
  const { fleet } = world;
  const step = decideOne(world, agent);
  const memory = fleet.memory[agent];
  if (step === undefined || memory?.list === undefined) return undefined;
  fleet.memory[agent] = rememberStep(world, agent, memory, step);
  if (step.kind === 'move' || step.kind === 'switch') checkMove(world, agent, step);
  if (step.kind === 'switch') switchAway(world, agent, step);
  if (step.kind === 'move' || step.kind === 'write') apply(world, agent, step, memory.list.hash);
  return step;
}

/** The relay cuts the session: the agent dials it again and is led elsewhere. */
function switchAway(world: World, agent: number, step: Extract<Step, { kind: 'switch' }>): void {
  const { fleet, stats } = world;
  const from = numberOf(step.from);
  if (!isInRelay(world, agent) || fleet.on[agent] !== from) return;
  avoid(world, agent, from);
  if (isUrgent(step.reason)) noteLost(world, agent, from);
  stats.switches += 1;
  fleet.isDirected[agent] = 1;
  fleet.wasMoved[agent] = 1;
  fleet.knocks[agent] = 0;
  cutRelayed(world, agent, isUrgent(step.reason));
}

function decideOne(world: World, agent: number): Step | undefined {
  const { logic, stats, fleet } = world;
  const classes = classesOf(world);
  stats.decisions += 1;
  const known = classes.find(world, agent);
  if (known !== undefined) {
    noteConnected(world, agent); // who has a class is connected
    return known;
  }
  const situation = situationOf(world, agent);
  if (situation === undefined) return undefined;
  stats.asked += 1;
  const { step } = logic.decide(situation);
  fleet.memory[agent] = situation.memory;
  classes.note(world, agent, step);
  return step;
}

function rememberStep(world: World, agent: number, memory: Memory, step: Step): Memory {
  const { logic, nowMs, fleet } = world;
  if (step.kind !== 'move' && step.kind !== 'write') return memory;
  const to = step.kind === 'move' ? step.to : (step.order[0] ?? '');
  const variant = `${step.kind} ${to} ${fleet.clockOffsetMs[agent] ?? 0}`;
  return world.memories.take(nowMs, variant, memory, () =>
    logic.rememberStep(memory, step, world.wallMs(agent)),
  );
}

/** A move has a target that works, and a reason: oracles of the world, not of the product. */
function checkMove(
  world: World,
  agent: number,
  step: Extract<Step, { kind: 'move' | 'switch' }>,
): void {
  const { fleet, network, nowMs, stats } = world;
  const site = fleet.site[agent] ?? 0;
  const target = numberOf(step.to);
  const graceMs = 10_000 + world.intervalMs;
  const isFresh = nowMs - world.lastChangeMs < graceMs || (network.loss[site] ?? 0) > 0;
  if (!network.answersProbes(site, target) && !isFresh) {
    world.violate('target', agent, `moved to manager ${target}, which does not answer`);
  }
  if (step.reason !== 'manager_down' || fleet.isAway(agent)) return;
  const listed = publishedOf(world, agent)?.byNumber[fleet.on[agent] ?? -1];
  const works = network.answersProbes(site, fleet.on[agent] ?? -1);
  if (works && listed?.state !== 'down' && nowMs - world.lastChangeMs > 3_000) {
    stats.wrongMoves += 1;
  }
}

function scheduleNext(world: World, agent: number, step: Step): void {
  const { fleet, logic, nowMs, random } = world;
  if (step.kind === 'stay' && isConnected(world, agent)) {
    fleet.calm[agent] = 0;
    fleet.lastChoice[agent] = 0;
    if (!isQuiet(world, agent)) world.scheduleRound(cohortOf(world, agent));
    scheduleTidying(world, agent);
    return;
  }
  const choice = choiceOf(step);
  const isSame = fleet.lastChoice[agent] === choice;
  fleet.lastChoice[agent] = choice;
  fleet.calm[agent] = isSame ? Math.min(40, (fleet.calm[agent] ?? 0) + 1) : 0;
  const jitter = logic.cycleJitter(random.next());
  const untilMs = step.kind === 'hold' ? step.untilMs : undefined;
  fleet.slotAtMs[agent] = Number.NaN;
  if (untilMs !== undefined) {
    const waitMs = Math.max(50, untilMs - world.wallMs(agent));
    if (scheduleQuestion(world, agent, step, waitMs)) return;
    world.scheduleCycle(agent, nowMs + Math.min(waitMs, slowestMs * jitter));
    return;
  }
  // Nothing new for long: the rounds between are left out, whatever changes wakes it in time.
  const gapMs = Math.min(slowestMs, fastMs * 1.3 ** (fleet.calm[agent] ?? 0));
  world.scheduleCycle(agent, nowMs + gapMs * jitter);
}

/** Before its slot, or in it, the manager is asked once more; true: the next look is for that. */
function scheduleQuestion(world: World, agent: number, step: Step, waitMs: number): boolean {
  const { fleet, nowMs } = world;
  const reason = step.kind === 'hold' ? step.reason : '';
  if (reason !== 'slot' && reason !== 'asking') return false;
  fleet.slotAtMs[agent] = reason === 'asking' ? nowMs : nowMs + waitMs;
  const aheadMs = reason === 'asking' ? 0 : Math.max(0, waitMs - askAheadMs);
  if (reason === 'slot' && aheadMs === 0) return false;
  world.scheduleCycle(agent, nowMs + Math.min(Math.max(50, aheadMs), slowestMs));
  return true;
}

/** The file goes back to its own order once all managers have long been up, the agent home in its slot. */
function scheduleTidying(world: World, agent: number): void {
  const { fleet, nowMs, random } = world;
  const isAway = world.settings.hasRelay && fleet.on[agent] !== fleet.ranking[agent * fleet.width];
  const isOwnOrder = fleet.isOwnOrder(agent);
  if (isOwnOrder && !isAway) return;
  // The real one looks every few seconds; what it sees changes with verdicts, lists and its slot.
  const lookMs = (isOwnOrder ? homeLookMs : settleMs) * (1 + 0.1 * random.next());
  world.scheduleCycle(
    agent,
    nowMs + Math.min(lookMs, isAway ? homeSlotInMs(world, agent) : lookMs),
  );
}

/** A moment after it has begun, whatever the numbers round to. */
function homeSlotInMs(world: World, agent: number): number {
  const list = rankedListOf(world, agent);
  const [home] = list?.ranking ?? [];
  if (list === undefined || home === undefined) return Number.POSITIVE_INFINITY;
  const wallMs = world.wallMs(agent);
  const question = { agentId: agentIdOf(agent), list, spreadMs: world.policy.failBackSpreadMs };
  const inMs = homeSlotAtMs(question, home, wallMs) - wallMs;
  return inMs > 0 ? inMs + 50 : Number.POSITIVE_INFINITY;
}

function choiceOf(step: Step): number {
  const reason = 'reason' in step ? step.reason : '';
  return (step.kind.length * 31 + reason.length * 7 + reason.charCodeAt(0)) & 0xff;
}

function isConnected({ fleet }: World, agent: number): boolean {
  return fleet.state[agent] === agentState.connected;
}

/** Everything this sidecar sees is settled and as it should be. */
function isQuiet(world: World, agent: number): boolean {
  const { fleet, network } = world;
  if (!isConnected(world, agent)) return false;
  const site = fleet.site[agent] ?? 0;
  const byNumber = publishedOf(world, agent)?.byNumber ?? [];
  for (let number = 0; number < byNumber.length; number += 1) {
    if (byNumber[number] === undefined) continue;
    const verdict = fleet.health[agent * fleet.width + number]?.verdict;
    if (verdict !== (network.answersProbes(site, number) ? 'up' : 'down')) return false;
  }
  return true;
}

/** Its manager looks different to the host: a look at the host alone shows that. */
export function wakeSidecar(world: World, agent: number): void {
  const { fleet, nowMs, random, settings } = world;
  fleet.calm[agent] = 0;
  // A lost connection is seen at once; silence by the age of the last ack.
  const staleMs = settings.native.notifySec * 2_250 + random.between(100, 5_000);
  const isClosing =
    fleet.state[agent] === agentState.doomed && (fleet.agentAtMs[agent] ?? 0) - nowMs < 100;
  const isLost = isClosing || isLooking(world, agent);
  world.scheduleCycle(agent, nowMs + (isLost ? random.between(50, fastMs) : staleMs));
}

function isLooking({ fleet }: World, agent: number): boolean {
  return (fleet.state[agent] ?? 0) >= agentState.connecting;
}

function cohortOf({ cohorts }: World, agent: number): number {
  return cohorts.of(agent);
}
