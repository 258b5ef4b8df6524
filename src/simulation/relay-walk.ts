/**
 * One connection of an agent to its relay, step by step as `relay/relay.ts` has them: wait for the
 * admission, dial one manager after another within a bounded time, keep the agent while nobody
 * answers, look again. Whom, when and for how long are the product's own answers (`relay.ts`).
 */
import { agentState } from './fleet.ts';
import { condition } from './network.ts';
import {
  admissionMs,
  answeringOf,
  hasOther,
  isCrowdFor,
  isDoorFull,
  keepUntilMs,
  relayLimits,
  suspect,
  tryInSilence,
  tryInVain,
  worthDialling,
} from './relay.ts';
import type { World } from './world.ts';

const { dialAllMs, keepLookMs } = relayLimits;
/** A refusal comes back at once. */
const refusedMs = 1;

/**
 * The loopback port answers while the sidecar lives; who comes from a dead manager waits its turn.
 * False, here and below: the agent is turned away.
 */
export function enterRelay(world: World, agent: number): boolean {
  const { fleet, nowMs } = world;
  if ((fleet.downUntilMs[agent] ?? 0) > nowMs) return false;
  return admit(world, agent, false);
}

function admit(world: World, agent: number, isAgain: boolean): boolean {
  const waitMs = admissionMs(world, agent, isAgain);
  if (waitMs <= 0) return leadOn(world, agent);
  world.fleet.heldFor[agent] = answeringOf(world, agent);
  return waitAs(world, agent, agentState.held, waitMs);
}

/** Its slot has come: asked again where one of those that answered does no more. */
export function endHold(world: World, agent: number): boolean {
  const gone = (world.fleet.heldFor[agent] ?? 0) & ~answeringOf(world, agent);
  return gone === 0 ? leadOn(world, agent) : admit(world, agent, true);
}

/** A pass begins. */
function leadOn(world: World, agent: number): boolean {
  const { fleet, nowMs } = world;
  fleet.relayPass[agent] = 0;
  fleet.passAtMs[agent] = nowMs;
  return dialOn(world, agent);
}

/** The next of the pass, or the end of it. */
export function dialOn(world: World, agent: number): boolean {
  const { fleet, network, nowMs } = world;
  const site = fleet.site[agent] ?? 0;
  let tookMs = nowMs - (fleet.passAtMs[agent] ?? nowMs);
  const startMs = tookMs;
  for (const number of worthDialling(world, agent)) {
    if (tookMs >= dialAllMs) break;
    if (isAsked(world, agent, number)) continue;
    if (network.answersProbes(site, number)) {
      fleet.on[agent] = number;
      return waitAs(world, agent, agentState.led, tookMs - startMs);
    }
    const isRefused = network.at(site, number) === condition.refused;
    tookMs += isRefused ? refusedMs : Math.min(silenceMs(world, agent), dialAllMs - tookMs);
    passOver(world, agent, number);
    if (!isRefused) tryInSilence(world, agent, number);
  }
  fleet.on[agent] = -1;
  if (tookMs > startMs) return waitAs(world, agent, agentState.led, tookMs - startMs);
  tryInVain(world, agent);
  return keep(world, agent);
}

/** To the relay a dropped handshake is silence: the next manager. */
export function meetSilence(world: World, agent: number, manager: number): void {
  const { fleet, nowMs } = world;
  const leftMs = dialAllMs - (nowMs - (fleet.passAtMs[agent] ?? nowMs));
  passOver(world, agent, manager);
  tryInSilence(world, agent, manager);
  fleet.on[agent] = -1;
  waitAs(world, agent, agentState.led, Math.max(0, Math.min(silenceMs(world, agent), leftMs)));
}

/** Somebody may answer now, or its time is up. */
export function lookAgain(world: World, agent: number): boolean {
  return hasOther(world, agent) ? admit(world, agent, false) : keep(world, agent);
}

/**
 * It would look ten times a second; only what the probes say changes what it sees then, so it is
 * woken by that (`probing.ts`), on its next look.
 */
function keep(world: World, agent: number): boolean {
  const { fleet, nowMs } = world;
  const leftMs = isDoorFull(world, agent) ? 0 : keepUntilMs(world, agent) - nowMs;
  fleet.turnedAtMs[agent] = leftMs > 0 ? Number.NaN : world.wallMs(agent);
  if (leftMs <= 0) return false;
  return waitAs(world, agent, agentState.kept, hasOther(world, agent) ? keepLookMs : leftMs);
}

/** In a big fleet, with what tells a dead one from a full one. */
function silenceMs(world: World, agent: number): number {
  return relayLimits.dialMs + (isCrowdFor(world, agent) ? relayLimits.proofMs : 0);
}

function waitAs(world: World, agent: number, state: number, waitMs: number): boolean {
  world.fleet.state[agent] = state;
  world.scheduleAgent(agent, world.nowMs + waitMs);
  return true;
}

function isAsked({ fleet }: World, agent: number, manager: number): boolean {
  return ((fleet.relayPass[agent] ?? 0) & (1 << manager)) !== 0;
}

function passOver(world: World, agent: number, manager: number): void {
  const { fleet } = world;
  fleet.relayPass[agent] = (fleet.relayPass[agent] ?? 0) | (1 << manager);
  suspect(world, agent, manager);
}
