/**
 * When an agent may leave a manager that died. One agent alone leaves at once; the agents of a big
 * fleet leave as fast as the survivors take them in and no faster (trust-and-safety 4.4), so that
 * nobody is turned away. Nobody coordinates: every agent knows from the list how many share the
 * managers and what one manager admits. Pure.
 *
 * What it does not know: how the agents are really spread. It assumes that they follow the weights.
 */
import { doubtEndsAtMs, type Health } from '../health/judge.ts';
import type { Manager, ManagerList } from '../list/model.ts';
import { fractionOf } from './decide-slot.ts';

export interface LeaveQuestion {
  readonly agentId: string;
  readonly list: ManagerList;
  /** The manager this agent is on, or was on when it lost its connection. */
  readonly leaving: Manager;
  /** Managers that answer from here, best first: those that will take the agents in. */
  readonly candidates: readonly Manager[];
  /**
   * Wall clock from which slots are counted: when this host knew of the death or the loss, and not
   * before there was somewhere to go, see `firstChanceAtMs`.
   */
  readonly sinceAtMs: number;
  readonly nowMs: number;
  /** This agent's first choice. Those that go home come on top of the others: they go after them. */
  readonly homeId?: string | undefined;
}

/** The admitted rate is used to four fifths, so that strays still find room. */
const usedShare = 0.8;
/** New sessions a second that any manager takes in, where the list names no rate. */
const assumedRatePerServer = 100;
/** Whoever looks so long after its slot still has it. */
const slotLastsMs = 3_000;
/** Nobody waits longer, however many there are: by then most are in. */
const maxWindowMs = 90_000;

/** The instant from which this agent may go; in the past for a small fleet. */
export function leaveAtMs(question: LeaveQuestion): number {
  const { agentId, leaving, sinceAtMs, nowMs } = question;
  const windowMs = leaveWindowMs(question);
  const offsetMs = Math.floor(fractionOf(`${agentId}|leave|${leaving.id}`) * windowMs);
  if (sinceAtMs - nowMs <= 2 * maxWindowMs) {
    return sinceAtMs + offsetMs + (isGoingHome(question) ? windowMs : 0);
  }
  // The clock was set back: that instant would never come. Slots then come round again and again.
  const pastMs = (((nowMs - offsetMs) % windowMs) + windowMs) % windowMs;
  return windowMs <= slotLastsMs || pastMs < slotLastsMs ? nowMs : nowMs + windowMs - pastMs;
}

function isGoingHome({ homeId, leaving, candidates }: LeaveQuestion): boolean {
  const target = candidates.find(({ id }) => id !== leaving.id);
  return target !== undefined && target.id === homeId && leaving.id !== homeId;
}

export interface ChanceQuestion {
  readonly list: ManagerList;
  readonly candidates: readonly Manager[];
  readonly health: ReadonlyMap<string, Health>;
  /** How long this host doubts itself when most managers look dead at once. */
  readonly doubtMs: number;
  readonly nowMs: number;
}

/**
 * The first instant at which agents could go anywhere: a target was up, and the doubt about this
 * host was over. Whoever counts slots from an earlier one finds all of them past, and everybody
 * goes at once.
 */
export function firstChanceAtMs(question: ChanceQuestion): number {
  const { list, candidates, health, doubtMs, nowMs } = question;
  // Instants of the future (the clock was set back) say nothing.
  const sinceOf = ({ sinceAtMs }: Health): number =>
    sinceAtMs > nowMs + maxWindowMs ? 0 : sinceAtMs;
  const upSince = candidates.flatMap(({ id }) => {
    const one = health.get(id);
    return one === undefined ? [] : [sinceOf(one)];
  });
  const judged = list.managers
    .filter(({ state }) => state !== 'down')
    .map(({ id }) => {
      const one = health.get(id);
      return one && { ...one, sinceAtMs: sinceOf(one) };
    });
  const endsMs = doubtEndsAtMs(judged, { panicPct: list.client.panicPct, doubtMs });
  const doubtEndsMs = Number.isFinite(endsMs) ? endsMs : 0; // without a target nothing is counted
  return Math.max(doubtEndsMs, upSince.length === 0 ? 0 : Math.min(...upSince));
}

export interface SlotsQuestion extends ChanceQuestion {
  /** When this host knew: the verdict, the list, or the end of the grace for a lost agent. */
  readonly knownAtMs: number;
  readonly cooldownMs: number;
  /** The last restart of this agent by us. */
  readonly lastMoveAtMs: number | undefined;
}

/**
 * From which instant the slots of a rescue are counted: when it was known, but not before there
 * was a chance, nor before a cooldown that held everybody back was over.
 */
export function slotsFromMs(question: SlotsQuestion): number {
  const { knownAtMs, cooldownMs, lastMoveAtMs, nowMs } = question;
  const freeAtMs = lastMoveAtMs === undefined ? 0 : lastMoveAtMs + cooldownMs;
  const heldUntilMs = freeAtMs <= nowMs ? freeAtMs : 0;
  return Math.max(knownAtMs, firstChanceAtMs(question), heldUntilMs);
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
export function leaveWindowMs({
  list,
  leaving,
  candidates,
}: Pick<LeaveQuestion, 'list' | 'leaving' | 'candidates'>): number {
  const takers = takersOf(candidates, leaving);
  const total = weightOf(list.managers);
  if (takers.length === 0 || total === 0) return 0;
  // Lost although its manager answers: nobody knows how many others are; count with all of them.
  const isUnexplained = candidates.some(({ id }) => id === leaving.id);
  const staying = weightOf(list.managers.filter(({ id }) => candidates.some((c) => c.id === id)));
  const leavingWeight = isUnexplained ? total : Math.max(weightOf([leaving]), total - staying);
  const leavers = (list.client.agents * leavingWeight) / total;
  const heaviest = Math.max(...takers.map((taker) => weightOf([taker])));
  const busiestShare = heaviest / weightOf(takers);
  const rate = list.admission?.ratePerServer ?? assumedRatePerServer;
  return Math.min(maxWindowMs, Math.ceil((leavers * busiestShare * 1000) / (rate * usedShare)));
}

/** Those as good as the best one: the others are taken only when these are gone. */
function takersOf(candidates: readonly Manager[], leaving: Manager): readonly Manager[] {
  const others = candidates.filter(({ id }) => id !== leaving.id);
  const [best] = others.length > 0 ? others : candidates;
  if (best === undefined) return [];
  return candidates.filter(
    ({ prio, zone, weight }) =>
      prio === best.prio && zone === best.zone && (weight === 0) === (best.weight === 0),
  );
}

function weightOf(managers: readonly Manager[]): number {
  return managers.reduce((sum, { weight }) => sum + Math.max(1, weight), 0);
}
