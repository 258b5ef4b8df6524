/**
 * One cycle of a sidecar: probe, judge, decide, remember, act, with the product's functions. A
 * sidecar to which nothing happens costs nothing: its rounds are only played while something about
 * it is unsettled, and whatever changes its world wakes it at the instant its next round would be.
 */
import { defaultJudgeSettings, type Health } from '../health/judge.ts';
import type { ProbeFailure, ProbeOutcome } from '../health/probe.ts';
import type { Decision, Step } from '../sidecar/step.ts';
import { apply } from './apply.ts';
import { agentState } from './fleet.ts';
import { condition } from './network.ts';
import { numberOf, publishedOf, situationOf } from './situation.ts';
import { addressOf, type World } from './world.ts';

const deadlineMs = 800;
const roundTripMs = 1;
/** Between two cycles while something is wrong. */
const fastMs = 1_000;
const slowestMs = 60_000;
/** A manager that was good for so long is like one that nobody ever suspected. */
const forgottenMs = 3_600_000;
const settleMs = 15 * 60_000;

/** However many agents: no manager gets more probes a second than the list allows. */
export function probeIntervalMs({ settings }: World): number {
  return Math.max(fastMs, (settings.agents * 1000) / settings.probeBudgetPerManager);
}

/** The pending instant of this sidecar has come. */
export function stepSidecar(world: World, agent: number): void {
  const { fleet, nowMs } = world;
  fleet.cycleAtMs[agent] = Number.NaN;
  const blockedUntilMs = Math.max(
    fleet.busyUntilMs[agent] ?? 0,
    fleet.downUntilMs[agent] ?? 0,
    fleet.pausedUntilMs[agent] ?? 0,
  );
  if (blockedUntilMs > nowMs) {
    fleet.hasProbed[agent] = 0;
    world.scheduleCycle(agent, blockedUntilMs);
    return;
  }
  if (fleet.hasProbed[agent] === 1) {
    fleet.hasProbed[agent] = 0;
    decideAndAct(world, agent);
    return;
  }
  world.stats.cycles += 1;
  const tookMs = probeAll(world, agent);
  if (tookMs < 1) {
    decideAndAct(world, agent);
    return;
  }
  world.scheduleCycle(agent, nowMs + tookMs);
  fleet.hasProbed[agent] = 1;
}

/** One round over all managers side by side; a failed probe is repeated at once. */
function probeAll(world: World, agent: number): number {
  const published = publishedOf(world, agent);
  let longestMs = 0;
  published?.byNumber.forEach((manager, number) => {
    if (manager === undefined) return;
    longestMs = Math.max(longestMs, probeOne(world, agent, number));
  });
  return longestMs;
}

function probeOne(world: World, agent: number, manager: number): number {
  const place = agent * world.fleet.width + manager;
  const before = world.fleet.health[place];
  const first = probe(world, agent, manager);
  if (first.kind === 'alive' && before === world.pristine[manager]) return 0;
  const health = judged(world, agent, before, first, first.tookMs);
  if (first.kind === 'alive') {
    world.fleet.health[place] = settled(world, agent, manager, health);
    return 0;
  }
  const second = probe(world, agent, manager);
  const tookMs = first.tookMs + second.tookMs;
  world.fleet.health[place] = judged(world, agent, health, second, tookMs);
  return tookMs;
}

/** By bad luck alone a probe is lost; it is repeated at once, with the same odds. */
export function suffer(world: World, agent: number, manager: number): number {
  const place = agent * world.fleet.width + manager;
  const lost = deadOutcome('silent', manager);
  const health = judged(world, agent, world.fleet.health[place], lost, deadlineMs);
  const second = probe(world, agent, manager);
  const tookMs = deadlineMs + second.tookMs;
  world.fleet.health[place] = judged(world, agent, health, second, tookMs);
  return tookMs;
}

function judged(
  world: World,
  agent: number,
  before: Health | undefined,
  outcome: ProbeOutcome,
  afterMs: number,
): Health {
  const atMs = world.wallMs(agent, world.nowMs + afterMs);
  return world.logic.judge(before, outcome, defaultJudgeSettings, atMs);
}

/** Long good: back to the shared value, which costs no memory. */
function settled(world: World, agent: number, manager: number, health: Health): Health {
  const goodForMs = world.wallMs(agent) - health.sinceAtMs;
  const pristine = world.pristine[manager];
  const isOld = health.verdict === 'up' && goodForMs > forgottenMs && health.streak > 3;
  return isOld && pristine !== undefined ? pristine : health;
}

function probe(world: World, agent: number, manager: number): ProbeOutcome {
  const { network, fleet, random } = world;
  const site = fleet.site[agent] ?? 0;
  const loss = network.loss[site] ?? 0;
  const isLost = loss > 0 && random.isHit(probeLossOf(world, agent, manager, loss));
  if (!isLost && network.answersProbes(site, manager)) {
    return { kind: 'alive', tookMs: roundTripMs, ips: [addressOf(manager)] };
  }
  const isRefused = network.at(site, manager) === condition.refused;
  return deadOutcome(isRefused ? 'refused' : 'silent', manager);
}

/**
 * A probe within 0.8 s: on a fresh connection a lost SYN is sent again only after 1 s; on the kept
 * one to the manager in use TCP repeats after 0.2 and 0.4 s.
 */
export function probeLossOf(world: World, agent: number, manager: number, loss: number): number {
  const oneWay = 1 - (1 - loss) ** 2;
  return world.fleet.on[agent] === manager ? oneWay ** 3 : 1 - (1 - oneWay) * (1 - oneWay ** 3);
}

function deadOutcome(failure: ProbeFailure, manager: number): ProbeOutcome {
  const tookMs = failure === 'refused' ? roundTripMs / 4 : deadlineMs;
  return { kind: 'dead', failure, tookMs, ips: [addressOf(manager)], detail: 'simulated' };
}

function decideAndAct(world: World, agent: number): void {
  const { logic, stats, fleet } = world;
  const situation = situationOf(world, agent);
  if (situation === undefined) return;
  stats.decisions += 1;
  const decision = logic.admit(situation, logic.decide(situation));
  const { step } = decision;
  fleet.memory[agent] = logic.rememberStep(situation.memory, step, situation.nowMs);
  if (step.kind === 'move') checkMove(world, agent, step);
  if (step.kind === 'move' || step.kind === 'write') {
    apply(world, agent, step, situation.list.hash);
  }
  scheduleNext(world, agent, decision);
}

/** A move has a target that works, and a reason: oracles of the world, not of the product. */
function checkMove(world: World, agent: number, step: Extract<Step, { kind: 'move' }>): void {
  const { fleet, network, nowMs, stats } = world;
  const site = fleet.site[agent] ?? 0;
  const isFresh = nowMs - world.lastChangeMs < 10_000 || (network.loss[site] ?? 0) > 0;
  const target = numberOf(step.to);
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

function scheduleNext(world: World, agent: number, { step }: Decision): void {
  const { fleet, logic, nowMs, random } = world;
  const choice = choiceOf(step);
  const isSame = fleet.lastChoice[agent] === choice;
  fleet.lastChoice[agent] = choice;
  fleet.calm[agent] = isSame ? Math.min(40, (fleet.calm[agent] ?? 0) + 1) : 0;
  const jitter = logic.cycleJitter(random.next());
  const untilMs = step.kind === 'hold' ? step.untilMs : undefined;
  if (untilMs !== undefined) {
    const waitMs = Math.max(50, untilMs - world.wallMs(agent));
    world.scheduleCycle(agent, nowMs + Math.min(waitMs, slowestMs * jitter));
    return;
  }
  if (step.kind === 'stay' && isQuiet(world, agent)) {
    scheduleTidying(world, agent);
    return;
  }
  // Nothing new for long: the rounds between are left out, whatever changes wakes it in time.
  const gapMs = Math.min(slowestMs, fastMs * 1.3 ** (fleet.calm[agent] ?? 0));
  world.scheduleCycle(agent, nowMs + gapMs * jitter);
}

/** The file goes back to its own order once all managers have long been up. */
function scheduleTidying(world: World, agent: number): void {
  const { fleet } = world;
  const start = agent * fleet.width;
  const length = fleet.rankingLength[agent] ?? 0;
  for (let place = 0; place < length; place += 1) {
    if (fleet.entry(agent, place) === fleet.ranking[start + place]) continue;
    world.scheduleCycle(agent, world.nowMs + settleMs * (1 + 0.1 * world.random.next()));
    return;
  }
}

function choiceOf(step: Step): number {
  const reason = 'reason' in step ? step.reason : '';
  return (step.kind.length * 31 + reason.length * 7 + reason.charCodeAt(0)) & 0xff;
}

/** Everything this sidecar sees is settled and as it should be. */
function isQuiet(world: World, agent: number): boolean {
  const { fleet, network } = world;
  if (fleet.state[agent] !== agentState.connected) return false;
  const site = fleet.site[agent] ?? 0;
  const published = publishedOf(world, agent);
  if (published === undefined) return true;
  return published.byNumber.every((manager, number) => {
    if (manager === undefined) return true;
    const verdict = fleet.health[agent * fleet.width + number]?.verdict;
    return verdict === (network.answersProbes(site, number) ? 'up' : 'down');
  });
}

/** Something about a manager changed for the network of this host: its next round sees it. */
export function wakeSidecar(world: World, agent: number, isConcerned: boolean): void {
  const { fleet, nowMs, random, settings } = world;
  fleet.calm[agent] = 0;
  const roundMs = random.between(0, probeIntervalMs(world));
  const isLost = isNoticed(world, agent);
  // A lost connection is seen by a look at this host alone; silence by the age of the last ack.
  const staleMs = settings.native.notifySec * 2_250 + random.between(0, 5_000);
  const passiveMs = isLost ? random.between(50, fastMs) : staleMs;
  world.scheduleCycle(agent, nowMs + (isConcerned ? Math.min(roundMs, passiveMs) : roundMs));
}

function isNoticed(world: World, agent: number): boolean {
  const { fleet, nowMs } = world;
  const isClosing =
    fleet.state[agent] === agentState.doomed && (fleet.agentAtMs[agent] ?? 0) - nowMs < 100;
  return isClosing || (fleet.state[agent] ?? 0) >= agentState.connecting;
}
