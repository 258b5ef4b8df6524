/**
 * Moves of choice: away from a drained or unlisted manager, onto the relay, home again. Each waits
 * for its slot, its window and, where it costs a restart, the cooldown. Pure.
 */
import type { Manager } from '../list/model.ts';
import { longestMs, plannedFromMs } from './decide-admission.ts';
import { hasLeftName } from './decide-connection.ts';
import {
  type Answer,
  go,
  hold,
  isRelayed,
  type PassAnswer,
  pass,
  type StepAnswer,
  seconds,
} from './decide-rule.ts';
import { fractionOf, homeSlotAtMs, isCrowd, roundSlotAtMs, slotAtMs } from './decide-slot.ts';
import { happenedAfter, type View } from './decide-view.ts';
import { closedUntilMs, lengthMsOf } from './decide-window.ts';
import type { MoveReason } from './step.ts';

/** A planned move: away from a manager that is drained or no longer listed, in this agent's slot. */
export function leaveDraining(view: View): Answer {
  const planned = plannedMove(view);
  if (planned.kind === 'pass') return planned;
  const { target, reason, why } = planned;
  const wait = plannedWait(view, planned);
  return wait === undefined ? go(view, target.id, reason, why) : pass(`${why}; not yet`);
}

/** The same move, as a hold: asked after the rules that write, so that waiting blocks no write. */
export function waitForSlot(view: View): Answer {
  const planned = plannedMove(view);
  if (planned.kind === 'pass') return planned;
  return plannedWait(view, planned) ?? pass('now');
}

interface Named {
  readonly reason: MoveReason;
  readonly why: string;
}

type Planned = (Named & { readonly kind: 'planned'; readonly target: Manager }) | PassAnswer;

function plannedMove(view: View): Planned {
  const { connection, verdicts, candidates, seen, panic, relay } = view;
  if (!seen.agent.running || connection.kind === 'none') return pass('no manager is in use');
  if (panic) return pass('most managers look dead: suspect this host');
  const [target] = candidates;
  if (connection.kind === 'unlisted') {
    const why = `connected to ${connection.address}, which the list does not name`;
    if (target === undefined) return pass(`${why}; no listed manager answers`);
    return { kind: 'planned', target, reason: 'manager_unlisted', why };
  }
  const { id } = connection.manager;
  if (verdicts.get(id) === 'draining') {
    if (target === undefined) return pass(`${id} is drained, but no other manager answers`);
    return { kind: 'planned', target, reason: 'manager_draining', why: `${id} is drained` };
  }
  if (hasLeftName(connection, seen.health)) {
    const why = `connected to ${connection.session?.address}, which ${connection.manager.address} no longer means`;
    if (target === undefined) return pass(`${why}; no manager answers`);
    return { kind: 'planned', target, reason: 'address_changed', why };
  }
  if (relay === undefined || connection.isRelayed === true) return pass(`${id} is not drained`);
  if (target === undefined) return pass('not in the relay, but no manager answers');
  const why = 'the relay is open, and the agent is not in it';
  return { kind: 'planned', target, reason: 'relay_unused', why };
}

/**
 * A slot that is over for so long was missed: a window was closed, the fleet frozen, the clock is set forth.
 * So were those of others, and what ends that ends it for all of them: slots then come round.
 */
const missedMs = 10_000;

/** Freeze, slot and window bound every move of choice; the cooldown those that cost a restart. */
function plannedWait(view: View, { why, reason }: Named): StepAnswer | undefined {
  const { agentId, list, seen, policy, nowMs } = view;
  const kept = choiceWait(view, why) ?? (reason === 'relay_unused' ? calmWait(view) : undefined);
  if (kept !== undefined) return kept;
  // Neither from an instant of the future (the clock was set back) nor among those that flee.
  const arrivedAtMs = Math.max(
    Math.min(list.acceptedAtMs, nowMs),
    plannedFromMs(list.list, seen.health, nowMs),
    reason === 'address_changed' || reason === 'manager_unlisted' ? newestMoveMs(view) : 0,
  );
  const slot = slotAtMs({
    agentId,
    list: { ...list, acceptedAtMs: arrivedAtMs },
    spreadMs: policy.spreadMs,
  });
  const isRound = reason === 'relay_unused' || nowMs - slot > missedMs;
  const latest = Math.max(slot, isRound ? roundSlotAtMs(agentId, list, nowMs) : nowMs);
  if (nowMs < latest) return hold('slot', `its slot is in ${seconds(latest - nowMs)}`, latest);
  return isRelayed(view) ? undefined : restartWait(view);
}

/**
 * Who has just found a manager, or just been looked at, may be one of many that look for one: a restart
 * them, and the relay is worth no crowd. By then everybody has had a slot.
 */
function calmWait({ list, seen: { foundAtMs = Number.NEGATIVE_INFINITY }, nowMs }: View) {
  if (!isCrowd(list) || !happenedAfter(foundAtMs, nowMs - longestMs, nowMs)) return undefined;
  const untilMs = foundAtMs + longestMs;
  const why = `seen connected for ${seconds(nowMs - foundAtMs)} only; others may still look for a manager`;
  return hold('slot', why, untilMs);
}

/** A name that means another address is news as a list is: slots are counted from then. */
function newestMoveMs({ seen: { health }, nowMs }: View): number {
  const moves = [...health.values()].map(({ movedAtMs = 0 }) => movedAtMs);
  return Math.max(0, ...moves.filter((atMs) => atMs <= nowMs));
}

function choiceWait({ policy, nowMs }: View, why: string): StepAnswer | undefined {
  if (policy.freeze) return hold('freeze', `${why}; frozen by configuration`);
  const opensAtMs = closedUntilMs(policy.windows, nowMs);
  if (opensAtMs === undefined) return undefined;
  return hold('window', `${why}; the next window is in ${seconds(opensAtMs - nowMs)}`, opensAtMs);
}

/** Undefined: the last restart is long enough ago. */
export function restartWait(
  { memory, list, policy, nowMs }: View,
  mostMs = Number.POSITIVE_INFINITY,
): StepAnswer | undefined {
  const wantedMs = policy.cooldownMs ?? list.list.client.cooldownSec * 1000;
  const cooldownMs = Math.min(wantedMs, mostMs);
  const recent = memory.attempts.findLast(
    ({ kind, atMs }) => kind === 'move' && happenedAfter(atMs, nowMs - cooldownMs, nowMs),
  );
  if (recent === undefined) return undefined;
  const untilMs = recent.atMs + cooldownMs;
  return hold('cooldown', `the agent was restarted ${seconds(nowMs - recent.atMs)} ago`, untilMs);
}

/**
 * Home is this agent's first choice. It goes back there late and slowly: nothing is wrong where it
 * is. A surplus agent (its manager is a last resort now, weight 0, or holds too many) is asked to by
 * the list itself.
 */
export function goHome(view: View): Answer {
  const { connection, list, seen, panic, policy } = view;
  if (!seen.agent.running || connection.kind !== 'listed') return pass('not at any manager');
  const [home] = list.ranking;
  const here = connection.manager;
  if (home === undefined || home.id === here.id) return pass(`${here.id} is home`);
  if (isRelayed(view) && home.protocol !== here.protocol) {
    return pass(`home is ${home.id}, which the relay does not reach over ${here.protocol}`);
  }
  const isSurplus = (here.weight === 0 && home.weight > 0) || isAskedHome(view, here, home);
  const mayGo = policy.failBack === 'always' || (policy.failBack === 'relay' && isRelayed(view));
  if (!isSurplus && !mayGo) return pass(`home is ${home.id}; not worth a restart`);
  if (panic) return pass('most managers look dead: suspect this host');
  if (!isProven(view, home)) return pass(`home is ${home.id}, not proven for long enough`);
  const why = surplusWhy(view, here) ?? `${home.id} has long been up`;
  const waiting = homeWait(view, home, why);
  return waiting ?? go(view, home.id, isSurplus ? 'surplus' : 'fail_back', why);
}

/** The publisher asks a share of those that are not at home to leave a manager that has too many. */
function isAskedHome({ agentId, list }: View, here: Manager, home: Manager): boolean {
  const { balance } = list.list;
  if (balance === undefined || home.weight === 0) return false;
  if (!balance.from.includes(here.id) || balance.from.includes(home.id)) return false;
  return fractionOf(`${agentId}|balance|${balance.id}`) * 100 < balance.pct;
}

function surplusWhy({ list }: View, here: Manager): string | undefined {
  if (here.weight === 0) return `${here.id} is only a last resort now`;
  return list.list.balance?.from.includes(here.id) === true
    ? `${here.id} holds more than its share`
    : undefined;
}

/** Home has been well for long. */
function isProven({ seen, verdicts, candidates, policy, nowMs }: View, home: Manager): boolean {
  const health = seen.health.get(home.id);
  if (verdicts.get(home.id) !== 'up' || health === undefined) return false;
  if (health.streak < policy.failBackProbes || candidates[0]?.id !== home.id) return false;
  return nowMs >= health.sinceAtMs + policy.settleMs;
}

/** A wait for going home is no reason to look at this host: it passes until its time has come. */
function homeWait(view: View, home: Manager, why: string): PassAnswer | undefined {
  const { agentId, list, policy, nowMs } = view;
  const question = { agentId, list, spreadMs: homeSpreadMs(policy) };
  const slot = homeSlotAtMs(question, home, nowMs);
  if (nowMs < slot) return pass(`${why}; its slot is in ${seconds(slot - nowMs)}`);
  const wait = choiceWait(view, why) ?? (isRelayed(view) ? undefined : restartWait(view));
  return wait === undefined ? undefined : pass(wait.why);
}

/** No longer than the shortest window: every agent has a slot in it. */
function homeSpreadMs({ failBackSpreadMs, windows }: View['policy']): number {
  return Math.min(failBackSpreadMs, ...windows.map(lengthMsOf));
}
