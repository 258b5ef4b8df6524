/**
 * The loopback relay of one host: the real choice of the manager (`chooseManagers`, `Avoided`), the
 * real wait for the admission, the deadlines of the real relay. The bytes are not simulated. It
 * lives and dies with its sidecar; the agent then walks on to the managers behind it in its file.
 */
import { Avoided } from '../relay/avoid.ts';
import { defaultRelaySettings } from '../relay/settings.ts';
import { agentIdOf } from './fleet.ts';
import { condition } from './network.ts';
import { tellSign } from './probing.ts';
import { healthOf, numberOf, rankedListOf } from './situation.ts';
import type { World } from './world.ts';

const { avoidMs, dialMs, dialAllMs, maxHoldMs } = defaultRelaySettings;
/** A refusal comes back at once. */
const refusedMs = 1;
/** So long after a change the oracle says nothing: nobody can know yet. */
const graceMs = 10_000;

/** How long the agent that has just dialled waits in it; 0: it is led on now. */
export function admissionMs(world: World, agent: number): number {
  const { fleet, logic, nowMs } = world;
  const lost = fleet.relayLost[agent] ?? -1;
  const list = rankedListOf(world, agent);
  if (lost < 0 || list === undefined) return 0;
  const ground = {
    agentId: agentIdOf(agent),
    list,
    health: healthOf(world, agent),
    nowMs: world.wallMs(agent),
  };
  const lostForMs = nowMs - (fleet.relayLostAtMs[agent] ?? nowMs);
  return Math.min(maxHoldMs, logic.relay.admissionWaitMs(ground, `m${lost}`, lostForMs));
}

export interface Led {
  /** -1: none of them answered, the agent is sent away. */
  readonly manager: number;
  readonly afterMs: number;
}

/** choose -> dial one after another; every one that fails is suspect. */
export function lead(world: World, agent: number): Led {
  const { fleet, network } = world;
  const site = fleet.site[agent] ?? 0;
  let afterMs = 0;
  for (const number of orderOf(world, agent)) {
    if (afterMs >= dialAllMs) break;
    if (network.answersProbes(site, number)) return { manager: number, afterMs };
    afterMs += network.at(site, number) === condition.refused ? refusedMs : dialMs;
    suspect(world, agent, number);
  }
  return { manager: -1, afterMs: Math.min(afterMs, dialAllMs) };
}

/** It did not answer the relay: a sign for the judge, and it is dialled last for a moment. */
export function suspect(world: World, agent: number, manager: number): void {
  avoid(world, agent, manager);
  tellSign(world, agent, manager, 'the relay: no answer');
}

export function avoid({ fleet, nowMs }: World, agent: number, manager: number): void {
  const avoided = fleet.avoided[agent] ?? new Avoided(avoidMs);
  fleet.avoided[agent] = avoided;
  avoided.add(`m${manager}`, nowMs);
}

/** The manager failed under the session: who comes back next is led on in its slot. */
export function noteLost(world: World, agent: number, manager: number): void {
  world.fleet.relayLost[agent] = manager;
  world.fleet.relayLostAtMs[agent] = world.nowMs;
}

function orderOf(world: World, agent: number): readonly number[] {
  const { fleet, logic, nowMs } = world;
  const ranking = rankedListOf(world, agent)?.ranking ?? [];
  const [id, wallMs] = [agentIdOf(agent), world.wallMs(agent)];
  const chosen = logic.relay.choose(id, ranking, healthOf(world, agent), wallMs);
  const ordered = fleet.avoided[agent]?.order(chosen, nowMs) ?? chosen;
  // Not what it avoids for a moment: a door that is full is asked last, and that is right.
  checkLead(world, agent, [...new Set(chosen.map(({ id }) => numberOf(id)))]);
  return [...new Set(ordered.map(({ id }) => numberOf(id)))];
}

/** The oracle: nobody is led to a manager that has long been dead while another one answers. */
function checkLead(world: World, agent: number, [first, ...others]: readonly number[]): void {
  const { fleet, network, nowMs } = world;
  if (first === undefined) return;
  const site = fleet.site[agent] ?? 0;
  const deadForMs = nowMs - (network.sinceMs[site * network.managers + first] ?? nowMs);
  const isSeen = fleet.health[agent * fleet.width + first] !== undefined;
  const isAwake = nowMs - (fleet.pausedUntilMs[agent] ?? 0) > graceMs;
  if (network.answersProbes(site, first) || !isSeen || !isAwake) return;
  if (deadForMs <= graceMs + world.intervalMs) return;
  if (!others.some((one) => network.answersProbes(site, one))) return;
  const sec = Math.round(deadForMs / 1000);
  world.violate('target', agent, `its relay leads to manager ${first}, dead for ${sec} s`);
}
