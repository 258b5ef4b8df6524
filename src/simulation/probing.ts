/**
 * What one sidecar asks its managers and what the real `judge` makes of the answers. Agents that
 * see the same at the same instant share the result (and its memory): a verdict on a manager that
 * nobody ever suspected is one object for a million of them.
 */
import { defaultJudgeSettings, type Health } from '../health/judge.ts';
import type { ProbeFailure, ProbeOutcome } from '../health/probe.ts';
import { defaultRelaySettings } from '../relay/settings.ts';
import { agentState } from './fleet.ts';
import { condition } from './network.ts';
import { publishedOf } from './situation.ts';
import { addressOf, type World } from './world.ts';

/** For one answer; a failed probe is repeated at once, so silence is known after two. */
const deadlineMs = 800;
const silenceMs = 2 * deadlineMs;
const roundTripMs = 1;
const { keepLookMs: relayLookMs } = defaultRelaySettings;
/** A manager that was good for so long is like one that nobody ever suspected. */
const forgottenMs = 3_600_000;

export interface Round {
  /** A verdict became another one. */
  readonly hasChanged: boolean;
  /** Some verdict is not yet what the network says. */
  readonly isUnsettled: boolean;
  /** A manager became dead. */
  readonly hasFallen: boolean;
  /** When the silence of a manager will be known; 0 when nothing is waited for. */
  readonly knownAtMs: number;
}

/** One round over all managers side by side. */
export function askAll(world: World, agent: number, mayLose: boolean): Round {
  const { fleet, nowMs } = world;
  fleet.askedAtMs[agent] = nowMs;
  let [hasChanged, isUnsettled, knownAtMs] = [false, false, 0];
  const byNumber = publishedOf(world, agent)?.byNumber ?? [];
  for (let manager = 0; manager < byNumber.length; manager += 1) {
    if (byNumber[manager] === undefined) continue;
    const asked = ask(world, agent, manager, mayLose);
    hasChanged ||= asked.hasChanged;
    isUnsettled ||= asked.isUnsettled;
    if (asked.hasFallen) hearWitnesses(world, agent);
    if (asked.knownAtMs > knownAtMs) knownAtMs = asked.knownAtMs;
  }
  wakeKept(world, agent);
  return { hasChanged, isUnsettled, knownAtMs, hasFallen: false };
}

/** One death makes the others answer again: it tells whether the fault is here. */
function hearWitnesses(world: World, agent: number): void {
  const { fleet, network, nowMs } = world;
  const site = fleet.site[agent] ?? 0;
  const byNumber = publishedOf(world, agent)?.byNumber ?? [];
  for (let manager = 0; manager < byNumber.length; manager += 1) {
    if (byNumber[manager] === undefined || !network.answersProbes(site, manager)) continue;
    const place = agent * fleet.width + manager;
    const { judge } = world.logic;
    const before = fleet.health[place];
    const offsetMs = fleet.clockOffsetMs[agent] ?? 0;
    const variant = offsetMs === 0 ? -1 - manager : `witness ${manager} ${offsetMs}`;
    fleet.health[place] = world.judgements.take(nowMs, variant, before, () =>
      judge(before, outcomeOf('alive', manager), defaultJudgeSettings, world.wallMs(agent) + 1),
    );
  }
}

/** Its relay keeps the agent, and looks at what the probes say now at its next look. */
function wakeKept(world: World, agent: number): void {
  const { fleet, nowMs } = world;
  if (fleet.state[agent] !== agentState.kept) return;
  const lookMs = nowMs + relayLookMs - ((nowMs - (fleet.attemptAtMs[agent] ?? 0)) % relayLookMs);
  if (lookMs < (fleet.agentAtMs[agent] ?? 0)) world.scheduleAgent(agent, lookMs);
}

const calm: Round = { hasChanged: false, isUnsettled: false, knownAtMs: 0, hasFallen: false };

/** A question to one manager, and its repetition when it fails. */
export function askOne(world: World, agent: number, manager: number, mayLose: boolean): Round {
  const round = ask(world, agent, manager, mayLose);
  if (round.hasFallen) hearWitnesses(world, agent);
  wakeKept(world, agent);
  return round;
}

function ask(world: World, agent: number, manager: number, mayLose: boolean): Round {
  const { fleet, network, nowMs } = world;
  const place = agent * fleet.width + manager;
  const before = fleet.health[place];
  const site = fleet.site[agent] ?? 0;
  const isAlive = network.answersProbes(site, manager);
  const isLost = mayLose && isAlive && isProbeLost(world, agent, manager);
  if (isAlive && !isLost) {
    if (before === world.pristine[manager]) return calm;
    const health = settled(world, agent, manager, judged(world, agent, manager, before, 'alive'));
    return put(world, place, before, health, 'up');
  }
  if (isLost) return suffer(world, agent, manager);
  const failure = network.at(site, manager) === condition.refused ? 'refused' : 'silent';
  const sinceMs = network.sinceMs[site * network.managers + manager] ?? 0;
  if (failure === 'silent' && nowMs - sinceMs < silenceMs) {
    return { ...calm, isUnsettled: true, knownAtMs: sinceMs + silenceMs };
  }
  const first = judged(world, agent, manager, before, failure);
  return put(world, place, before, judged(world, agent, manager, first, failure), 'down');
}

/** By bad luck alone a probe is lost; it is repeated at once, with the same odds. */
export function suffer(world: World, agent: number, manager: number): Round {
  const { fleet, network } = world;
  const place = agent * fleet.width + manager;
  const before = fleet.health[place];
  const first = judged(world, agent, manager, before, 'silent');
  const isAlive = network.answersProbes(fleet.site[agent] ?? 0, manager);
  const isAnswered = isAlive && !isProbeLost(world, agent, manager);
  const second = judged(world, agent, manager, first, isAnswered ? 'alive' : 'silent');
  return put(world, place, before, second, isAlive ? 'up' : 'down');
}

/** A sign from the agent itself: one bad answer, and a question at once. */
export function tellSign(world: World, agent: number, manager: number, sign: string): void {
  const { fleet, logic, nowMs } = world;
  const place = agent * fleet.width + manager;
  const before = fleet.health[place];
  if (before === undefined) return;
  const offsetMs = fleet.clockOffsetMs[agent] ?? 0;
  const variant = offsetMs === 0 ? sign : `${sign} ${offsetMs}`;
  fleet.health[place] = world.judgements.take(nowMs, variant, before, () =>
    logic.sign(before, sign, defaultJudgeSettings, world.wallMs(agent)),
  );
}

function put(
  world: World,
  place: number,
  before: Health | undefined,
  after: Health,
  truth: Health['verdict'],
): Round {
  world.fleet.health[place] = after;
  const hasChanged = before?.verdict !== after.verdict;
  const hasFallen = hasChanged && after.verdict === 'down';
  return { hasChanged, isUnsettled: after.verdict !== truth, knownAtMs: 0, hasFallen };
}

const answers = ['alive', 'refused', 'silent'] as const satisfies readonly (
  | 'alive'
  | ProbeFailure
)[];
type Answer = (typeof answers)[number];

function judged(
  world: World,
  agent: number,
  manager: number,
  before: Health | undefined,
  answer: Answer,
): Health {
  const { logic, nowMs, fleet } = world;
  const offsetMs = fleet.clockOffsetMs[agent] ?? 0;
  const number = manager * answers.length + answers.indexOf(answer);
  const variant = offsetMs === 0 ? number : `${number} ${offsetMs}`;
  return world.judgements.take(nowMs, variant, before, () =>
    logic.judge(before, outcomeOf(answer, manager), defaultJudgeSettings, world.wallMs(agent)),
  );
}

const outcomes = new Map<number, ProbeOutcome>();

/** One object for all that see the same. */
function outcomeOf(answer: Answer, manager: number): ProbeOutcome {
  const number = manager * answers.length + answers.indexOf(answer);
  const known = outcomes.get(number) ?? newOutcome(answer, manager);
  outcomes.set(number, known);
  return known;
}

function newOutcome(answer: Answer, manager: number): ProbeOutcome {
  const ips = [addressOf(manager)];
  if (answer === 'alive') return { kind: 'alive', tookMs: roundTripMs, ips };
  const tookMs = answer === 'refused' ? roundTripMs / 4 : deadlineMs;
  return { kind: 'dead', failure: answer, tookMs, ips, detail: 'simulated' };
}

/** Long good, and no witness of a death: back to the shared value, which costs no memory. */
function settled(world: World, agent: number, manager: number, health: Health): Health {
  const goodForMs = world.wallMs(agent) - health.sinceAtMs;
  const pristine = world.pristine[manager];
  const isOld = health.verdict === 'up' && goodForMs > forgottenMs && health.streak > 3;
  if (!isOld || pristine === undefined || seesDeath(world, agent)) return health;
  return pristine;
}

/** Whoever answers after a death tells that this host is well: when it answered must be kept. */
function seesDeath({ fleet }: World, agent: number): boolean {
  const start = agent * fleet.width;
  for (let place = start; place < start + fleet.width; place += 1) {
    if (fleet.health[place]?.verdict === 'down') return true;
  }
  return false;
}

function isProbeLost(world: World, agent: number, manager: number): boolean {
  const loss = world.network.loss[world.fleet.site[agent] ?? 0] ?? 0;
  return loss > 0 && world.random.isHit(probeLossOf(world, agent, manager, loss));
}

/**
 * A probe within 0.8 s: on a fresh connection a lost SYN is sent again only after 1 s; on the kept
 * one to the manager in use TCP repeats after 0.2 and 0.4 s.
 */
export function probeLossOf(world: World, agent: number, manager: number, loss: number): number {
  const oneWay = 1 - (1 - loss) ** 2;
  return world.fleet.on[agent] === manager ? oneWay ** 3 : 1 - (1 - oneWay) * (1 - oneWay ** 3);
}
