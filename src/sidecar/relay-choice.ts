/** Whom the relay dials for the agent, best first, from what the probes know now. Pure. */
import { defaultDamping, isSuppressed } from '../health/damping.ts';
import { type Health, verdictOf } from '../health/judge.ts';
import type { Manager, ManagerList } from '../list/model.ts';
import type { RelayManager } from '../relay/ports.ts';
import { defaultRelaySettings } from '../relay/settings.ts';
import { leaveAtMs } from './decide-admission.ts';
import { returns } from './decide-moves.ts';
import { fractionOf, intakeMs, isRipe, weightOf } from './decide-slot.ts';
import type { RankedList } from './seen.ts';

/**
 * Up, in this agent's own order; then those that came back a moment ago and are still too young for
 * this agent, those that fell too often, those nobody knows, the drained ones, and last of all the
 * dead, the longest dead behind the others: the relay asks each for a pong on the very connection,
 * so a wrong verdict costs the agent less than none. A known address stands for the name: no look-up
 * while an agent waits.
 */
export function chooseManagers(
  agentId: string,
  ranking: readonly Manager[],
  health: ReadonlyMap<string, Health>,
  nowMs: number,
): readonly RelayManager[] {
  const times = { nowMs, lastMs: lastFallMs(ranking, health) };
  const classOf = (manager: Manager): number =>
    classFor(agentId, manager, health.get(manager.id), times);
  return ranking
    .map((manager) => ({ manager, class: classOf(manager) }))
    .sort((left, right) => left.class - right.class)
    .flatMap(({ manager: { id, address, port, protocol } }) =>
      addressesOf(address, health.get(id)).map((ip) => ({
        ...{ id, address: ip, port, protocol },
        ...(health.get(id)?.lastKind === 'alive' ? { answers: true as const } : {}),
      })),
    );
}

/** Of one name; what none of them answers, the next manager will. */
const maxAddresses = 4;

/** The one that answered last first, then the others of its name. */
function addressesOf(address: string, health: Health | undefined): readonly string[] {
  const ips = health?.ips.slice(0, maxAddresses) ?? [];
  return ips.length === 0 ? [address] : ips;
}

/**
 * Who falls within so long of another one fell with it: then the fault is likely to be here, and
 * over soon. Who fell long before the last one did not.
 */
const fellTogetherMs = 10_000;

function lastFallMs(ranking: readonly Manager[], health: ReadonlyMap<string, Health>): number {
  const fallen = ranking.flatMap(({ id }) => {
    const one = health.get(id);
    return one?.verdict === 'down' ? [one.sinceAtMs] : [];
  });
  return Math.max(0, ...fallen);
}

function classFor(
  agentId: string,
  manager: Manager,
  health: Health | undefined,
  { nowMs, lastMs }: { readonly nowMs: number; readonly lastMs: number },
): number {
  switch (verdictOf(manager.state, health)) {
    case 'up':
      if (isSuppressed(health?.damping, defaultDamping, nowMs)) return 2;
      return isRipe(agentId, manager.id, health, nowMs) ? 0 : 1;
    case 'unknown':
      return 3;
    case 'draining':
      return 4;
    default:
      return (health?.sinceAtMs ?? lastMs) < lastMs - fellTogetherMs ? 6 : 5;
  }
}

const { maxHoldMs } = defaultRelaySettings;

export interface AdmissionGround {
  readonly agentId: string;
  readonly list: RankedList;
  readonly health: ReadonlyMap<string, Health>;
  readonly nowMs: number;
}

/**
 * How long this agent, whose manager has failed under it, waits before the relay leads it on: its
 * slot of the same window that agents without a relay leave in; where its manager was seen dead and
 * is back, of the one in which that takes in its own again. 0 in a small fleet, and where its manager
 * answers all the time: then nobody else has lost anything.
 * `leftMs`: asked again, because fewer would take it in now than when it was asked first; it can be kept for
 * so long still.
 */
export function admissionWaitMs(
  { agentId, list: ranked, health, nowMs }: AdmissionGround,
  managerId: string,
  lostForMs: number,
  leftMs?: number,
): number {
  const { list, ranking } = ranked;
  const verdict = ({ id, state }: Manager): string => verdictOf(state, health.get(id));
  const leaving = list.managers.find(({ id }) => id === managerId);
  const candidates = ranking.filter((one) => one.id !== managerId && verdict(one) === 'up');
  const seen = health.get(managerId);
  if (leaving === undefined) return 0;
  if (seen?.lastKind === 'alive') {
    const backAtMs = backSinceMs(seen, nowMs - lostForMs, nowMs);
    const waitMs =
      backAtMs === undefined ? 0 : returnWaitMs(agentId, list, leaving, nowMs - backAtMs);
    return waitMs <= (leftMs ?? maxHoldMs) ? waitMs : 0;
  }
  if (candidates.length === 0) return 0;
  const sinceAtMs = seen?.verdict === 'down' ? seen.sinceAtMs : nowMs - lostForMs;
  const isReturning = returns({ agentId, list: ranked, candidates }, leaving);
  const question = { agentId, list, leaving, candidates, health, sinceAtMs, nowMs, isReturning };
  const waitMs = leaveAtMs(question) - nowMs;
  if (waitMs <= (leftMs ?? maxHoldMs)) return Math.max(0, waitMs);
  if (leftMs !== undefined) return againWaitMs(agentId, managerId, { lostForMs, leftMs });
  // Later than an agent can be kept: led on when its hold ends, all of those would go at one instant.
  return Math.floor(fractionOf(`${agentId}|hold|${managerId}`) * maxHoldMs);
}

/**
 * A new slot that comes too late for a held agent: its place in the window is its place in the hold. That
 * is no sooner than a slot in any window that fits into the hold, and leaves no crowd for the end of it.
 */
function againWaitMs(
  agentId: string,
  managerId: string,
  { lostForMs, leftMs }: { readonly lostForMs: number; readonly leftMs: number },
): number {
  const placeMs = Math.floor(fractionOf(`${agentId}|leave|${managerId}`) * maxHoldMs);
  return Math.max(0, Math.min(leftMs, placeMs - lostForMs));
}

/** Undefined: it has not been down since the loss, as far as this host saw. */
function backSinceMs(seen: Health, lostAtMs: number, nowMs: number): number | undefined {
  if (seen.verdict === 'down') return nowMs;
  const { returnedAtMs } = seen;
  return returnedAtMs !== undefined && returnedAtMs >= lostAtMs ? returnedAtMs : undefined;
}

/** Its own agents come back to it together: each in its slot of the time in which it takes them in. */
function returnWaitMs(
  agentId: string,
  list: ManagerList,
  back: Manager,
  backForMs: number,
): number {
  const share = weightOf([back]) / weightOf(list.managers);
  const windowMs = Math.min(maxHoldMs, intakeMs(list, [back], list.client.agents * share));
  const offsetMs = Math.floor(fractionOf(`${agentId}|return|${back.id}`) * windowMs);
  return Math.max(0, offsetMs - backForMs);
}

/** A verdict settles, a changed record is read and its manager asked: in less than this. */
const briefMs = 3_000;

/**
 * How long the relay may keep an agent that nobody answers. Where every manager refuses, the machines
 * are there and their service starts anew: the agent's own loop would ask each every `retry_interval`
 * (10 s), so it loses nothing, and is spared a restart. Elsewhere for a moment only: what this process
 * cannot reach the agent may (another resolver, other rules of a firewall). 0 without a list.
 */
export function patienceMs(
  ranking: readonly Manager[],
  health: ReadonlyMap<string, Health>,
): number {
  if (ranking.length === 0) return 0;
  const wanted = ranking.filter(({ state }) => state !== 'down');
  return wanted.length > 0 && wanted.every(({ id }) => isStarting(health.get(id)))
    ? defaultRelaySettings.maxKeepMs
    : briefMs;
}

function isStarting(health: Health | undefined): boolean {
  if (health?.verdict !== 'down') return false;
  return health.failure === 'refused' || health.lastKind === 'alive';
}
