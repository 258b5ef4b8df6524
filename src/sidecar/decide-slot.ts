/**
 * When a planned move may happen, so that ten thousand agents do not move in one second
 * (trust-and-safety 4.4). Every agent computes its own slot from its id and the list; nobody
 * coordinates. A move away from a dead manager never waits for it.
 */
import { hash } from 'node:crypto';
import { returnedShare } from '../health/damping.ts';
import type { Health } from '../health/judge.ts';
import type { Manager, ManagerList } from '../list/model.ts';
import type { RankedList } from './seen.ts';

export interface SlotQuestion {
  readonly agentId: string;
  readonly list: RankedList;
  /** Local setting; the list's `spreadSec` otherwise. */
  readonly spreadMs: number | undefined;
}

/** The admitted rate is used to four fifths, so that strays still find room. */
const usedShare = 0.8;
/**
 * Moves of choice are in no hurry and leave room for agents that lost their manager meanwhile; where
 * faults have piled agents up, more of them leave at once than an even spread would have it.
 */
const plannedShare = 0.5;
/** Whoever looks so long after its slot still has it. */
const slotLastsMs = 3_000;
/** Going home has slots as long as that of its window: a calm sidecar looks rarely, and asks for no look. */
const homeSlotShare = 0.01;
/** New sessions a second that any manager takes in, where the list names no rate. */
const assumedRatePerServer = 100;
/** A start far from when the list arrived is a clock fault, of ours or of theirs. */
const maxStartDelayMs = 600_000;

/** The instant from which this agent may move by choice. */
export function slotAtMs({ agentId, list, spreadMs }: SlotQuestion): number {
  const chance = fractionOf(`${agentId}|${list.hash}`);
  const window = admissionWindowMs(list);
  const { admission, client } = list.list;
  if (spreadMs !== undefined || admission === undefined || window === undefined) {
    return list.acceptedAtMs + Math.floor(chance * (spreadMs ?? client.spreadSec * 1000));
  }
  const latestMs = list.acceptedAtMs + maxStartDelayMs;
  const startMs = Math.min(Math.max(admission.startSlotAtMs, list.acceptedAtMs), latestMs);
  return startMs + Math.floor(chance * window);
}

/**
 * The next instant of this agent in slots that come round again and again, for moves that no event
 * known to all has begun: a whole fleet may be outside its relays after an upgrade.
 */
export function roundSlotAtMs(agentId: string, { list }: RankedList, nowMs: number): number {
  const windowMs = wholeIntakeMs(list);
  return nextRoundMs(Math.floor(fractionOf(`${agentId}|round`) * windowMs), windowMs, nowMs);
}

/** All agents at once are more than the managers take in within one slot. */
export function isCrowd({ list }: RankedList): boolean {
  return wholeIntakeMs(list) > slotLastsMs;
}

function wholeIntakeMs(list: ManagerList): number {
  const takers = list.managers.filter(({ state }) => state === 'up');
  return takers.length === 0 ? 0 : intakeMs(list, takers, list.client.agents);
}

/**
 * The next instant of this agent in slots for going home. They come round again and again: slots
 * counted from when home was well would all be past once a clock is set forth, or when all agents
 * left a home that never fell, and everybody would go at once.
 */
export function homeSlotAtMs(
  { agentId, list, spreadMs }: SlotQuestion & { readonly spreadMs: number },
  home: Manager,
  nowMs: number,
): number {
  const offsetMs = Math.floor(fractionOf(`${agentId}|home|${home.id}|${list.hash}`) * spreadMs);
  return nextRoundMs(offsetMs, spreadMs, nowMs, Math.max(slotLastsMs, spreadMs * homeSlotShare));
}

/** One slot in every window: now while it lasts, else when it begins. */
export function nextRoundMs(
  offsetMs: number,
  windowMs: number,
  nowMs: number,
  lastsMs = slotLastsMs,
): number {
  if (windowMs <= lastsMs) return nowMs;
  const pastMs = (((nowMs - offsetMs) % windowMs) + windowMs) % windowMs;
  return pastMs < lastsMs ? nowMs : nowMs + windowMs - pastMs;
}

/** How long the managers that stay need to take in the agents of those that leave. */
function admissionWindowMs({ list }: RankedList): number | undefined {
  const { admission, client, managers } = list;
  const takers = managers.filter(({ state }) => state === 'up');
  if (admission === undefined || client.agents === 0 || takers.length === 0) return undefined;
  const leaving = Math.max(1, managers.length - takers.length);
  const affected = Math.ceil((client.agents * leaving) / managers.length);
  return intakeMs(list, takers, affected, plannedShare);
}

/** How long the slowest of `takers` needs for its share, by weight, of so many that arrive. */
export function intakeMs(
  { admission }: ManagerList,
  takers: readonly Manager[],
  arriving: number,
  share = usedShare,
): number {
  const rate = admission?.ratePerServer ?? assumedRatePerServer;
  const secondsEach = takers.map(
    (taker) => weightOf([taker]) / ((taker.acceptRate ?? rate) * share),
  );
  return Math.ceil((arriving * 1000 * Math.max(0, ...secondsEach)) / weightOf(takers));
}

/** A last resort (weight 0) counts as little as can be, not as nothing. */
export function weightOf(managers: readonly Manager[]): number {
  return managers.reduce((sum, { weight }) => sum + Math.max(1, weight), 0);
}

/** Uniform in [0, 1) over ids, the same on every host. */
export function fractionOf(text: string): number {
  return Number.parseInt(hash('sha256', text, 'hex').slice(0, 12), 16) / 2 ** 48;
}

/** Slow start: of the agents that would go there, a growing share does (trust-and-safety 4.3). */
export function isRipe(
  agentId: string,
  managerId: string,
  health: Health | undefined,
  nowMs: number,
): boolean {
  const returnedAtMs = health?.returnedAtMs;
  if (returnedAtMs === undefined || nowMs < returnedAtMs) return true;
  const share = returnedShare(nowMs - returnedAtMs);
  return share >= 1 || fractionOf(`${agentId}|slow|${managerId}`) < share;
}
