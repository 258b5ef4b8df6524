/** What one host of the world sees of its own relay. */
import type { RelaySeen } from '../sidecar/seen.ts';
import { agentState } from './fleet.ts';
import { relayAt, type World } from './world.ts';

/** As the real keeper tells it to `decide`; undefined where no relay is configured. */
export function relaySeen(world: World, agent: number): RelaySeen | undefined {
  const { fleet, settings } = world;
  if (!settings.hasRelay) return undefined;
  const state = fleet.state[agent] ?? 0;
  const turnedAtMs = fleet.turnedAtMs[agent] ?? Number.NaN;
  const turned = Number.isNaN(turnedAtMs) ? {} : { refusedAtMs: turnedAtMs };
  if (fleet.isRelayed[agent] !== 1) return { kind: 'open', ...relayAt, ...turned };
  const isLed = state < agentState.held;
  const on = fleet.on[agent] ?? -1;
  if (isLed && on >= 0 && hasSession(state)) {
    return { kind: 'open', ...relayAt, managerId: `m${on}` };
  }
  const untilMs = world.wallMs(agent, fleet.agentAtMs[agent]);
  if (state === agentState.kept) return { kind: 'open', ...relayAt, keptUntilMs: untilMs };
  if (state !== agentState.held) return { kind: 'open', ...relayAt };
  return { kind: 'open', ...relayAt, admitsAtMs: untilMs };
}

/** A connection between agent and relay stands. */
export function isInRelay({ fleet }: World, agent: number): boolean {
  if (fleet.isRelayed[agent] !== 1) return false;
  const state = fleet.state[agent] ?? 0;
  return hasSession(state) || state >= agentState.held;
}

function hasSession(state: number): boolean {
  return state <= agentState.wedged || state === agentState.waiting || state === agentState.queued;
}
