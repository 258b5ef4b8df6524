/**
 * When an agent may leave a manager that died. One agent alone leaves at once; the agents of a big
 * fleet leave as fast as the survivors take them in and no faster (trust-and-safety 4.4), so that
 * nobody is turned away. Nobody coordinates: every agent knows from the list how many share the
 * managers and what one manager admits. Pure.
 *
 * What it does not know: how the agents are really spread. It assumes that they follow the weights,
 * and that a manager which fell long ago, back or not, has lost its own to those that did not fall.
 */
import { defaultSlowStart } from '../health/damping.ts';
import { doubtEndsAtMs, type Health } from '../health/judge.ts';
import type { Manager, ManagerList } from '../list/model.ts';
import { burstsMs, quietAtMs } from './decide-bursts.ts';
import { fractionOf, intakeMs, nextRoundMs, weightOf } from './decide-slot.ts';

export interface LeaveQuestion {
  readonly agentId: string;
  readonly list: ManagerList;
  /** The manager this agent is on, or was on when it lost its connection. */
  readonly leaving: Manager;
  /** Managers that answer from here, best first: those that will take the agents in. */
  readonly candidates: readonly Manager[];
  /** By manager id, as this host sees it. */
  readonly health: ReadonlyMap<string, Health>;
  /**
   * Wall clock from which slots are counted: when this host knew of the death or the loss, and not
   * before there was somewhere to go, see `firstChanceAtMs`.
   */
  readonly sinceAtMs: number;
  readonly nowMs: number;
  /**
   * It goes where it would rather have been all along. Such agents all go to one manager, on top
   * of the share of the others that it gets: they go after them.
   */
  readonly isReturning?: boolean;
  /**
   * Wall clock; where the agent is one of a crowd that lost its connection although its manager
   * answers: all of them dial by themselves, again and again at the same instants.
   */
  readonly lostAtMs?: number;
  /** Where that manager fell under the agent and is back: it alone lost its agents. */
  readonly hasFallen?: boolean;
}

type WindowQuestion = Omit<LeaveQuestion, 'agentId' | 'nowMs' | 'isReturning'>;

/** Nobody waits longer, who returns neither, however many there are: by then most are in. */
const maxWindowMs = 90_000;
/** After the grace: a sidecar killed over its move does it again 10 s later, within two minutes of the loss. */
const lastSlotMs = 82_000;
const quietMs = lastSlotMs - burstsMs;
/** Not all know of a death at one instant: those that return keep off the last of the others. */
const returnGapMs = 5_000;
/** By then everybody that waits for a slot has had it. */
export const longestMs = 3 * maxWindowMs;

/** The instant from which this agent may go; in the past for a small fleet. */
export function leaveAtMs(question: LeaveQuestion): number {
  const { agentId, leaving, sinceAtMs, nowMs } = question;
  const wantedMs = leaveWindowMs(question);
  const lostAtMs = crowdLostAtMs(question, wantedMs);
  const windowMs = lostAtMs === undefined ? wantedMs : Math.min(quietMs, wantedMs);
  const offsetMs = Math.floor(fractionOf(`${agentId}|leave|${leaving.id}`) * windowMs);
  if (!isClockSet(sinceAtMs, nowMs)) {
    if (lostAtMs !== undefined) return quietAtMs(lostAtMs, sinceAtMs, offsetMs);
    return sinceAtMs + offsetMs + (isLast(question) ? laterMs(windowMs) : 0);
  }
  // The clock was set: that instant would never come, or came for everybody at once. Slots then
  // come round again and again.
  return nextRoundMs(offsetMs, windowMs, nowMs);
}

/** Whose move at `atMs`, in its slot, was cut off does it again: among no crowd that dials either. */
export function againAtMs(question: WindowQuestion, atMs: number, pauseMs: number): number {
  const lostAtMs = crowdLostAtMs(question, leaveWindowMs(question));
  return lostAtMs === undefined ? atMs + pauseMs : quietAtMs(lostAtMs, atMs, pauseMs);
}

/**
 * Undefined: no crowd is waited for. Slots run close where a little room is wanting (a third is in by
 * itself when they begin); where much is, there is no time left to let the others in.
 */
function crowdLostAtMs({ lostAtMs }: WindowQuestion, wantedMs: number): number | undefined {
  return wantedMs <= quietMs * 1.5 ? lostAtMs : undefined;
}

/** Behind the others, or among the last of them where both windows are longer than anybody waits. */
function laterMs(windowMs: number): number {
  return Math.min(windowMs + Math.min(returnGapMs, windowMs / 2), maxWindowMs - windowMs);
}

/**
 * Only those for whom that was so when the slots began: who comes back while they run takes in a
 * growing share, and nobody is put off anew when it grows onto him.
 */
function isLast({ isReturning, candidates, leaving, health, sinceAtMs }: LeaveQuestion): boolean {
  if (isReturning !== true) return false;
  const target = candidates.find(({ id }) => id !== leaving.id);
  return target !== undefined && isRipeAt(health.get(target.id), sinceAtMs);
}

/** Slots counted from then are long over, or further ahead than a doubt or a grace can put them. */
export function isClockSet(sinceAtMs: number, nowMs: number): boolean {
  return nowMs - sinceAtMs > longestMs || sinceAtMs - nowMs > maxWindowMs;
}

export interface ChanceQuestion {
  readonly list: ManagerList;
  /** When this host took that list, wall clock. */
  readonly acceptedAtMs: number;
  readonly candidates: readonly Manager[];
  readonly health: ReadonlyMap<string, Health>;
  /** How long this host doubts itself when most managers look dead at once. */
  readonly doubtMs: number;
  /** When this host knew: the verdict, the list, or the end of the grace for a lost agent. */
  readonly knownAtMs: number;
  readonly nowMs: number;
}

/**
 * The first instant at which agents could go anywhere: a target was up, and the doubt about this
 * host was over, by its time or because a manager came back. Whoever counts slots from an earlier
 * one finds all of them past, and everybody goes at once.
 */
export function firstChanceAtMs(question: ChanceQuestion): number {
  const { candidates, health } = question;
  const upSince = candidates.flatMap(({ id }) => {
    const one = health.get(id);
    return one === undefined ? [] : [believed(one.sinceAtMs, question)];
  });
  return Math.max(doubtEndsMs(question), upSince.length === 0 ? 0 : Math.min(...upSince));
}

/** Instants of the future (the clock was set back) say nothing. */
function believed(atMs: number, { nowMs }: ChanceQuestion): number {
  return atMs > nowMs + maxWindowMs ? 0 : atMs;
}

function doubtEndsMs(question: ChanceQuestion): number {
  const { list, acceptedAtMs } = question;
  const standsUntilMs = doubtAmong(
    question,
    list.managers.filter(({ state }) => state !== 'down'),
  );
  if (standsUntilMs > 0) return Number.isFinite(standsUntilMs) ? standsUntilMs : 0; // nowhere to go
  // A list that calls one of the dead down ends the doubt, and never the sooner for those that wait:
  // slots counted anew from the death would all be past.
  const untilMs = doubtAmong(question, list.managers);
  return untilMs > 0 ? Math.min(untilMs, acceptedAtMs) : doubtEndedMs(question);
}

function doubtAmong(question: ChanceQuestion, managers: readonly Manager[]): number {
  const { list, health, doubtMs, nowMs } = question;
  const judged = managers.map(({ id }) => health.get(id));
  return doubtEndsAtMs(judged, { panicPct: list.client.panicPct, doubtMs }, nowMs);
}

/** By the last return of a manager before which most were dead; 0 when there was none since. */
function doubtEndedMs({ list, health, knownAtMs, nowMs }: ChanceQuestion): number {
  const judged = list.managers.flatMap(({ id }) => health.get(id) ?? []);
  const wereMost = (atMs: number): boolean => {
    const dead = judged.filter((one) => wasDeadAt(one, atMs)).length;
    return dead > 1 && dead * 100 > list.managers.length * list.client.panicPct;
  };
  const returns = judged
    .map(({ returnedAtMs = 0 }) => returnedAtMs)
    .filter((atMs) => atMs > knownAtMs && atMs <= nowMs);
  return Math.max(0, ...returns.filter(wereMost));
}

/** Just before. One that was never seen to fall was dead when this process began to look. */
function wasDeadAt({ verdict, sinceAtMs, returnedAtMs = 0, damping }: Health, atMs: number) {
  if (returnedAtMs === atMs) return true;
  if (verdict === 'down') return sinceAtMs < atMs;
  return returnedAtMs >= atMs && (damping?.atMs ?? 0) < atMs;
}

/**
 * From which instant the slots of a rescue are counted: when it was known, but not before there
 * was a chance. A cooldown needs nothing here: it ends as spread as the restarts before it were.
 */
export function slotsFromMs(question: ChanceQuestion): number {
  return Math.max(question.knownAtMs, firstChanceAtMs(question));
}

/**
 * Planned moves make room while agents flee from a manager that has just died: their slots are
 * counted from here, 0 when nobody died lately.
 */
export function plannedFromMs(
  list: ManagerList,
  health: ReadonlyMap<string, Health>,
  nowMs: number,
): number {
  const deaths = list.managers.flatMap(({ id }) => {
    const one = health.get(id);
    return one?.verdict === 'down' && one.sinceAtMs <= nowMs ? [one.sinceAtMs] : [];
  });
  return deaths.length === 0 ? 0 : Math.max(...deaths) + maxWindowMs;
}

/**
 * A manager that answers again is not left in a hurry: the agent still has its session there, and
 * three good answers or two bad ones decide within seconds.
 */
export function isComingBack(health: Health | undefined): boolean {
  return health?.verdict === 'down' && health.lastKind === 'alive';
}

/** How long the busiest of the takers needs for its share of those that leave. */
export function leaveWindowMs(question: WindowQuestion): number {
  const { list, candidates, leaving } = question;
  const takers = takersOf(question);
  if (takers.length === 0) return 0;
  const leavers = list.client.agents * leavingShare(question);
  const isLost = candidates.some(({ id }) => id === leaving.id);
  return Math.min(isLost ? lastSlotMs : maxWindowMs, intakeMs(list, takers, leavers));
}

/**
 * The share of all agents that goes now: those of this manager and of every other one that does not
 * answer, out of those that hold agents at all. Who died so long before this one that its agents
 * are gone holds none.
 */
function leavingShare({
  list: { managers },
  leaving,
  candidates,
  health,
  sinceAtMs,
  hasFallen,
  lostAtMs,
}: WindowQuestion): number {
  const answers = (id: string): boolean => candidates.some((one) => one.id === id);
  // Lost although its manager answers: nobody knows how many others are; count with all of them.
  if (lostAtMs !== undefined || (answers(leaving.id) && hasFallen !== true)) return 1;
  const isEmpty = (id: string): boolean => {
    const one = health.get(id);
    const isLongDead = one?.verdict === 'down' && sinceAtMs - one.sinceAtMs > maxWindowMs;
    return isLongDead || one?.returnedAtMs !== undefined;
  };
  const holders = managers.filter(({ id }) => id === leaving.id || !isEmpty(id));
  const going = holders.filter(({ id }) => id === leaving.id || !answers(id));
  return weightOf(going) / weightOf(holders);
}

/**
 * Those as good as the best one: the others are taken only when these are gone. Who came back so
 * late that few are sent there does not count, nor who does so while the slots run: a window that
 * shrank would free all whose slots it leaps over.
 */
function takersOf({ candidates, leaving, health, sinceAtMs }: WindowQuestion): readonly Manager[] {
  // Lost although it answers: the agents of the others come to it, as its own go to them.
  const isLost = candidates.some(({ id }) => id === leaving.id);
  const others = isLost ? candidates : candidates.filter(({ id }) => id !== leaving.id);
  const ripe = others.filter(({ id }) => isRipeAt(health.get(id), sinceAtMs));
  const [best] = [ripe, others, candidates].find(({ length }) => length > 0) ?? [];
  if (best === undefined) return [];
  return (ripe.length > 0 ? ripe : candidates).filter(
    ({ prio, zone, weight }) =>
      prio === best.prio && zone === best.zone && (weight === 0) === (best.weight === 0),
  );
}

function isRipeAt(health: Health | undefined, atMs: number): boolean {
  const { returnedAtMs, damping } = health ?? {};
  if (damping?.isSuppressed === true) return false;
  return returnedAtMs === undefined || returnedAtMs + defaultSlowStart.lengthMs <= atMs;
}
