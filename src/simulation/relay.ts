/**
 * The loopback relay of one host: the real choice of the manager (`chooseManagers`, `Avoided`), the
 * real wait for the admission, the real patience (`patience.ts`, `patienceMs`), the deadlines of the
 * real relay. The bytes are not simulated. It lives and dies with its sidecar; the agent then walks on
 * to the managers behind it in its file.
 */
import { Avoided } from '../relay/avoid.ts';
import { keptUntilMs, Tried } from '../relay/patience.ts';
import type { RelayManager } from '../relay/ports.ts';
import { defaultRelaySettings } from '../relay/settings.ts';
import { isCrowd } from '../sidecar/decide-slot.ts';
import { agentIdOf } from './fleet.ts';
import { tellSign } from './probing.ts';
import { healthOf, numberOf, rankedListOf } from './situation.ts';
import type { World } from './world.ts';

export const relayLimits = defaultRelaySettings;
const { avoidMs, maxHoldMs } = relayLimits;
/** Until the answer of a manager is there that the prober asks at once. */
const suspectedMs = 2;
/** So long after a change the oracle says nothing: nobody can know yet. */
const graceMs = 10_000;

/** How long the agent waits in it; 0: it is led on now. `isAgain`: it has waited already. */
export function admissionMs(world: World, agent: number, isAgain: boolean): number {
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
  const leftMs = (fleet.attemptAtMs[agent] ?? nowMs) + maxHoldMs - nowMs;
  const again = isAgain ? leftMs : undefined;
  const waitMs = logic.relay.admissionWaitMs(ground, `m${lost}`, lostForMs, again);
  return Math.min(leftMs, waitMs);
}

/** Whom it could be led to now, a bit each. */
export function answeringOf(world: World, agent: number): number {
  const answering = chosenBy(world, agent).filter(({ answers }) => answers === true);
  return answering.reduce((bits, { id }) => bits | (1 << numberOf(id)), 0);
}

/** Best first; of those dialled in vain for this connection only who answers the probes now. */
export function worthDialling(world: World, agent: number): readonly number[] {
  const ordered = orderOf(world, agent);
  return numbersOf(triedBy(world, agent).worthDialling(ordered, world.nowMs));
}

/** The pass is over, and nobody answered. */
export function tryInVain(world: World, agent: number): void {
  triedBy(world, agent).add(chosenBy(world, agent));
}

export function tryInSilence(world: World, agent: number, manager: number): void {
  const dialled = chosenBy(world, agent).filter(({ id }) => numberOf(id) === manager);
  for (const one of dialled) triedBy(world, agent).addSilent(one, world.nowMs);
}

function triedBy(world: World, agent: number): Tried {
  const { fleet } = world;
  const tried = fleet.tried[agent] ?? new Tried(() => isCrowdFor(world, agent));
  fleet.tried[agent] = tried;
  return tried;
}

export function isCrowdFor(world: World, agent: number): boolean {
  const list = rankedListOf(world, agent);
  return list !== undefined && isCrowd(list);
}

/** Nobody is dialled any more for this connection. */
export function isDoorFull(world: World, agent: number): boolean {
  return triedBy(world, agent).isFull(chosenBy(world, agent), world.nowMs);
}

export function hasOther(world: World, agent: number): boolean {
  return triedBy(world, agent).worthDialling(chosenBy(world, agent), world.nowMs).length > 0;
}

/** Virtual time; it was accepted when it dialled. */
export function keepUntilMs(world: World, agent: number): number {
  const { fleet, logic } = world;
  const ranking = rankedListOf(world, agent)?.ranking ?? [];
  const patienceMs = logic.relay.patienceMs(ranking, healthOf(world, agent));
  return keptUntilMs(fleet.attemptAtMs[agent] ?? 0, patienceMs, relayLimits);
}

/** It did not answer the relay: a sign for the judge, and it is dialled last for a moment. */
export function suspect(world: World, agent: number, manager: number): void {
  avoid(world, agent, manager);
  tellSign(world, agent, manager, 'the relay: no answer');
  const { fleet, nowMs } = world;
  fleet.suspects[agent] = (fleet.suspects[agent] ?? 0) | (1 << manager);
  world.scheduleCycle(agent, nowMs + suspectedMs);
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

function orderOf(world: World, agent: number): readonly RelayManager[] {
  const { fleet, nowMs } = world;
  const chosen = chosenBy(world, agent);
  // Not what it avoids for a moment: a door that is full is asked last, and that is right.
  checkLead(world, agent, numbersOf(chosen));
  return fleet.avoided[agent]?.order(chosen, nowMs) ?? chosen;
}

function chosenBy(world: World, agent: number): readonly RelayManager[] {
  const ranking = rankedListOf(world, agent)?.ranking ?? [];
  const [id, wallMs] = [agentIdOf(agent), world.wallMs(agent)];
  return world.logic.relay.choose(id, ranking, healthOf(world, agent), wallMs);
}

function numbersOf(managers: readonly RelayManager[]): readonly number[] {
  return [...new Set(managers.map(({ id }) => numberOf(id)))];
}

/** The oracle: nobody is led to a manager that has long been dead while another has long answered. */
function checkLead(world: World, agent: number, [first, ...others]: readonly number[]): void {
  const { fleet, network, nowMs } = world;
  if (first === undefined) return;
  const site = fleet.site[agent] ?? 0;
  const knownMs = graceMs + world.intervalMs;
  const sameForMs = (manager: number): number =>
    nowMs - (network.sinceMs[site * network.managers + manager] ?? nowMs);
  const deadForMs = sameForMs(first);
  const isSeen = fleet.health[agent * fleet.width + first] !== undefined;
  const isAwake = nowMs - (fleet.pausedUntilMs[agent] ?? 0) > graceMs;
  if (network.answersProbes(site, first) || !isSeen || !isAwake) return;
  if (deadForMs <= knownMs) return;
  // One that came back a moment ago is not known to answer yet, as one that just died is not known.
  const isBetter = (one: number): boolean =>
    network.answersProbes(site, one) && sameForMs(one) > knownMs;
  if (!others.some(isBetter)) return;
  const sec = Math.round(deadForMs / 1000);
  world.violate('target', agent, `its relay leads to manager ${first}, dead for ${sec} s`);
}
