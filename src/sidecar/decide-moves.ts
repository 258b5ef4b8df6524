/**
 * Rules that take the agent away from a manager that does not serve it. They wait for nothing but
 * the admission of a big fleet, and for what is faster or surer than a restart. Pure.
 */
import { judgeAgent } from '../health/passive.ts';
import type { Manager } from '../list/model.ts';
import { rankManagers } from '../list/select.ts';
import {
  againAtMs,
  isClockSet,
  isComingBack,
  type LeaveQuestion,
  leaveAtMs,
  slotsFromMs,
} from './decide-admission.ts';
import { isRelayEntry } from './decide-connection.ts';
import { nativeLoop } from './decide-native.ts';
import { restartWait } from './decide-planned.ts';
import { type Answer, go, hold, isRelayed, pass, type StepAnswer, seconds } from './decide-rule.ts';
import { isCrowd } from './decide-slot.ts';
import { happenedAfter, type View } from './decide-view.ts';
import type { Attempt } from './memory.ts';

/** An agent that its last restart did not bring to a manager is not left for a whole cooldown. */
const againMs = 60_000;
/** An order cut off in the middle may not have restarted anything. */
const cutOffMs = 10_000;

/** The list must leave this agent as many managers as the operator wants at least. */
export function enoughManagers({ list, policy }: View): Answer {
  const count = list.ranking.filter(({ state }) => state !== 'down').length;
  const total = list.list.managers.length;
  if (count >= Math.min(policy.minServers, total)) return pass(`${count} usable managers`);
  return hold('too_few_managers', `${count} usable managers; wanted: ${policy.minServers}`);
}

/** So long after the last move that did not end well a stopped agent may be one that we left so. */
const leftStoppedMs = 3_600_000;

/** Nobody else starts an agent that did not come up after a move. The applier knows, and starts no other. */
export function startAgain(view: View): Answer {
  const { seen, memory, candidates, nowMs } = view;
  if (seen.agent.running) return pass('runs');
  const last = memory.attempts.findLast(({ kind }) => kind === 'move');
  const isOver = last === undefined || last.outcome === 'done';
  if (isOver || !happenedAfter(last.atMs, nowMs - leftStoppedMs, nowMs)) return pass('not by us');
  const why = `down since a move to ${last.to} that did not end well`;
  const [target] = candidates;
  if (target === undefined) return hold('none_is_up', `${why}; no manager answers`);
  return restartWait(view, againMs) ?? go(view, target.id, 'agent_lost', why);
}

/** The manager in use is dead and another one answers: leave at once. */
export function leaveDead(view: View): Answer {
  const { connection, verdicts, seen, candidates, panic } = view;
  const current = connection.kind === 'listed' ? connection.manager : lastOf(view);
  if (!seen.agent.running || current === undefined) return pass('no manager is in use');
  const verdict = verdicts.get(current.id) ?? 'unknown';
  const health = seen.health.get(current.id);
  if (verdict !== 'down') return pass(`${current.id} is ${verdict}`);
  const why = `${current.id} is down: ${health?.seen ?? 'the list says so'}`;
  if (panic && current.state !== 'down') {
    return hold('panic', `${why}; most managers look dead at once: suspect this host`);
  }
  const target = candidates.find(({ id }) => id !== current.id);
  if (target === undefined) return hold('none_is_up', `${why}; no other manager answers`);
  if (connection.kind === 'listed' && current.state !== 'down' && isComingBack(health)) {
    return hold('coming_back', `${why}, and answers again: the agent still has its session there`);
  }
  const relaying = relayLeads(view);
  if (relaying !== undefined) return pass(`${why}; ${relaying}`);
  const deadSince = health?.verdict === 'down' ? health.sinceAtMs : view.list.acceptedAtMs;
  const early =
    admission(view, current, deadSince, why) ??
    nativeLoop(view, current, why) ??
    askedAgain(view, current, deadSince, why);
  return early ?? go(view, target.id, 'manager_down', why);
}

/**
 * Inside the relay that costs no write and no restart: neither an upgrade under way (any package
 * manager at work counts as one) nor a file that cannot be read is a reason to stay on a dead manager.
 */
export function leaveDeadInRelay(view: View): Answer {
  if (!isRelayed(view)) return pass('not in the relay');
  if (enoughManagers(view).kind === 'step') return pass('too few managers');
  const answer = leaveDead(view);
  return answer.kind === 'step' && answer.step.kind === 'switch' ? answer : pass(answer.why);
}

function lastOf({ connection }: View): Manager | undefined {
  return connection.kind === 'none' ? connection.last : undefined;
}

/** Without a connection, but with the relay first in its file, the agent is back in a second. */
function relayLeads({ connection, isRelayFirst }: View): string | undefined {
  const isDialling = connection.kind === 'none' && isRelayFirst;
  return isDialling ? 'the agent dials the relay, which leads elsewhere' : undefined;
}

/** A fleet that loses a manager is taken in as fast as the others can, and no faster. */
export function admission(
  view: View,
  leaving: Manager,
  knownAtMs: number,
  why: string,
): StepAnswer | undefined {
  const untilMs = admittedAtMs(view, leaving, knownAtMs);
  if (view.nowMs >= untilMs) return undefined;
  return hold('slot', `${why}; admitted in ${seconds(untilMs - view.nowMs)}`, untilMs);
}

/** Whoever waits for its slot asks so long before it whether its manager is still dead. */
export const askAheadMs = 3_000;
/** A silent manager is asked twice, for less than a second each. */
const answerMs = 2_500;

/**
 * A big fleet asks each manager rarely, and its slots come late: what was true when the manager
 * died may be over. A session that still stands is not left on old news, nor is it kept for long.
 */
function askedAgain(
  view: View,
  leaving: Manager,
  knownAtMs: number,
  why: string,
): StepAnswer | undefined {
  const { connection, seen, nowMs } = view;
  const health = seen.health.get(leaving.id);
  if (connection.kind !== 'listed' || leaving.state === 'down' || health === undefined) {
    return undefined;
  }
  const isFresh = happenedAfter(health.probedAtMs, nowMs - answerMs, nowMs + answerMs);
  if (isFresh || isClockSet(knownAtMs, nowMs)) return undefined;
  const untilMs = admittedAtMs(view, leaving, knownAtMs) + answerMs;
  if (nowMs >= untilMs) return undefined;
  return hold('asking', `${why}; asked again before it is left`, untilMs);
}

function admittedAtMs(view: View, leaving: Manager, knownAtMs: number): number {
  const { nowMs } = view;
  const question = leaveQuestion(view, leaving, knownAtMs);
  // One slot is enough, though a process that starts anew counts all of them from then.
  const cutOff = view.memory.attempts.findLast(
    ({ kind, atMs }) => kind === 'move' && happenedAfter(atMs, nowMs - againMs, nowMs),
  );
  const isSpent = cutOff?.outcome === 'begun' && cutOff.to !== leaving.id;
  const againMostMs = isSpent ? cutOff.atMs + cutOffMs : Number.POSITIVE_INFINITY;
  return Math.min(leaveAtMs(question), againMostMs);
}

function leaveQuestion(view: View, leaving: Manager, knownAtMs: number): LeaveQuestion {
  const { agentId, list, candidates, seen, nowMs } = view;
  const { doubtMs } = view.policy;
  const where = { list: list.list, leaving, candidates, health: seen.health };
  const { acceptedAtMs } = list;
  const sinceAtMs = slotsFromMs({ ...where, acceptedAtMs, doubtMs, knownAtMs, nowMs });
  const isReturning = returns(view, leaving);
  return { ...where, agentId, sinceAtMs, nowMs, isReturning, ...lossOf(view, leaving) };
}

/**
 * In a big fleet: lost although its manager answered, whatever that does since. Had it fallen under the
 * agent, only those that were on it would dial, and only that one.
 */
function lossOf(view: View, leaving: Manager): Pick<LeaveQuestion, 'lostAtMs' | 'hasFallen'> {
  const { connection, list, candidates, seen } = view;
  const lostAtMs = seen.lostSinceAtMs;
  if (connection.kind !== 'none' || lostAtMs === undefined || !isCrowd(list)) return {};
  const { returnedAtMs = Number.NEGATIVE_INFINITY } = seen.health.get(leaving.id) ?? {};
  if (!candidates.includes(leaving)) {
    const hasFallenSince = fellAtMs(view, leaving) > lostAtMs + fellWithItMs;
    return hasFallenSince ? { lostAtMs } : {};
  }
  const hasFallen = returnedAtMs >= lostAtMs - lookMs;
  return hasFallen ? { hasFallen } : { lostAtMs };
}

/** A death is known to all of a big fleet in less. */
const fellWithItMs = 10_000;

function fellAtMs({ list, seen }: View, { id, state }: Manager): number {
  const health = seen.health.get(id);
  if (health?.verdict === 'down') return health.sinceAtMs;
  return state === 'down' ? list.acceptedAtMs : 0;
}

/** The target stands before this manager in the agent's own order, were both of them up. */
export function returns(
  { agentId, list, candidates }: Pick<View, 'agentId' | 'list' | 'candidates'>,
  leaving: Manager,
): boolean {
  // Lost although its manager answers: the window is that of the whole fleet already.
  return !candidates.includes(leaving) && prefersTarget({ agentId, list, candidates }, leaving);
}

function prefersTarget(
  { agentId, list, candidates }: Pick<View, 'agentId' | 'list' | 'candidates'>,
  leaving: Manager,
): boolean {
  const target = candidates.find(({ id }) => id !== leaving.id);
  if (target === undefined) return false;
  const zone = list.ranking[0]?.zone;
  const pair = [{ ...leaving, state: 'up' }, target] as const;
  return rankManagers(pair, { agentId, ...(zone === undefined ? {} : { zone }) })[0] === target;
}

/**
 * agentd can block for ever in a send to a manager that hung (real-agent-lab.md 3b): it says
 * `connected`, and will not move by itself even when that manager is long well again.
 */
export function unwedge(view: View): Answer {
  const { seen, candidates, panic, nowMs } = view;
  const { agent, file, stuckForMs } = seen;
  const notifySec = file.kind === 'readable' ? file.notifyTime : undefined;
  const sign = judgeAgent(agent, { notifySec, stuckForMs }, nowMs);
  if (sign !== 'wedged') return pass(sign === undefined ? 'no sign of it' : 'its ack is late');
  const why = `agentd says connected, but nothing left it for ${seconds(stuckForMs ?? 0)}`;
  if (panic) return hold('panic', `${why}; most managers look dead: suspect this host`);
  const [target] = candidates;
  if (target === undefined) return hold('none_is_up', `${why}; no manager answers`);
  const waiting = isRelayed(view) ? undefined : restartWait(view);
  return waiting ?? go(view, target.id, 'agent_wedged', why);
}

/** Turned away by the relay it walks its own entries, and comes back to the relay after all of them. */
function hasLeftRelay({ relay }: View, lostSinceAtMs: number): boolean {
  return relay?.refusedAtMs !== undefined && relay.refusedAtMs >= lostSinceAtMs - lookMs;
}

/** Its connection to the relay stands, and leads on as soon as somebody answers there: no restart. */
function keptByRelay({ relay, seen: { agent } }: View): number | undefined {
  if (relay?.keptUntilMs === undefined) return undefined;
  return agent.peers.some((peer) => isRelayEntry(peer, relay)) ? relay.keptUntilMs : undefined;
}

/** A loss is seen at the next look only. */
const lookMs = 5_000;

/** The agent has no connection although its last manager does not look dead. */
export function reconnect(view: View): Answer {
  const { connection, seen, candidates, panic, fileIds, isRelayFirst, policy, nowMs } = view;
  if (!seen.agent.running) return pass('the agent is stopped');
  if (connection.kind !== 'none') return pass('connected');
  if (panic) return hold('panic', 'not connected; most managers look dead: suspect this host');
  // The one that it was on, and tries all the time, does not take it in: rather another one.
  const isElsewhere = ({ id }: Manager): boolean => isRelayFirst || id !== connection.last?.id;
  const target = candidates.find(isElsewhere) ?? candidates[0];
  if (target === undefined) return hold('none_is_up', 'not connected, and no manager answers');
  const admitsAtMs = view.relay?.admitsAtMs;
  if (admitsAtMs !== undefined) {
    return hold('slot', 'it waits in the relay for its admission', admitsAtMs);
  }
  const keptUntilMs = keptByRelay(view);
  if (keptUntilMs !== undefined) {
    return hold('agent_reconnecting', 'the relay keeps it until a manager answers', keptUntilMs);
  }
  const sinceMs = seen.lostSinceAtMs ?? nowMs;
  const isInRelay = isRelayFirst && !hasLeftRelay(view, sinceMs);
  const reachable = isInRelay || fileIds.some((id) => candidates.some((one) => one.id === id));
  if (!reachable) {
    const why = 'not connected, and its file names no live manager';
    const early = connection.last && admission(view, connection.last, sinceMs, why);
    return early ?? go(view, target.id, 'agent_unlisted', why);
  }
  const untilMs = sinceMs + policy.reconnectGraceMs;
  if (nowMs < untilMs && nowMs >= sinceMs) {
    return hold('agent_reconnecting', 'not connected; it may find a manager by itself', untilMs);
  }
  const why = `not connected for ${seconds(nowMs - sinceMs)}`;
  const early = lostWait(view, { sinceMs, untilMs, why });
  return early ?? go(view, target.id, 'agent_lost', why);
}

interface Loss {
  readonly sinceMs: number;
  /** End of the grace. */
  readonly untilMs: number;
  readonly why: string;
}

/** For its slot; who spent that on a move that did not help is a stray now: one is enough. */
function lostWait(view: View, { sinceMs, untilMs, why }: Loss): StepAnswer | undefined {
  const { policy, nowMs } = view;
  const last = lastOf(view);
  const tried = triedSince(view, sinceMs);
  if (tried?.outcome !== 'begun') {
    const isSpent = tried !== undefined || last === undefined;
    const early = isSpent
      ? undefined
      : admission(view, last, lostSlotsFromMs(view, last, untilMs), why);
    return early ?? restartWait(view, againMs);
  }
  const pauseMs = Math.min(cutOffMs, policy.reconnectGraceMs);
  const againAt =
    last === undefined
      ? tried.atMs + pauseMs
      : againAtMs(leaveQuestion(view, last, untilMs), tried.atMs, pauseMs);
  if (nowMs >= againAt) return undefined;
  return hold(
    'cooldown',
    `${why}; its restart was cut off ${seconds(nowMs - tried.atMs)} ago`,
    againAt,
  );
}

/**
 * Who noticed late that its manager had died has the slot that it waited for all the time. Who waited
 * for the last slots of a dead manager, and is a lost agent since that is back, counts anew from then:
 * its slot among the lost would be past, and with it that of all others like it.
 */
function lostSlotsFromMs(view: View, leaving: Manager, untilMs: number): number {
  const { seen, list, nowMs } = view;
  const lostAtMs = seen.lostSinceAtMs ?? nowMs;
  const health = seen.health.get(leaving.id);
  if (health?.verdict === 'down' && health.sinceAtMs < lostAtMs) return health.sinceAtMs;
  const backAtMs = health?.returnedAtMs ?? 0;
  if (!happenedAfter(backAtMs, lostAtMs, nowMs) || !prefersTarget(view, leaving)) return untilMs;
  // The word of the list that it is back; lists that go on coming put nobody off for long.
  const saidAtMs = list.acceptedAtMs <= nowMs ? list.acceptedAtMs : 0;
  return Math.max(untilMs, backAtMs, Math.min(saidAtMs, backAtMs + againMs));
}

/** The youngest move since then, unless it ended well; `begun`: this process died over it. */
function triedSince({ memory, nowMs }: View, sinceMs: number): Attempt | undefined {
  const last = memory.attempts.findLast(
    ({ kind, atMs }) => kind === 'move' && happenedAfter(atMs, sinceMs, nowMs),
  );
  return last?.outcome === 'done' ? undefined : last;
}
