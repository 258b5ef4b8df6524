/** Sessions begin and end, and what that counts for. */
import { agentState } from './fleet.ts';
import type { World } from './world.ts';

/** The handshake is through: the agent reports again. */
export function arriveAt(world: World, agent: number, manager: number): void {
  const { fleet, stats } = world;
  const door = world.doors[manager];
  if (door !== undefined) door.sessions += 1;
  fleet.state[agent] = agentState.connected;
  fleet.on[agent] = manager;
  fleet.agentAtMs[agent] = Number.NaN;
  fleet.relayLost[agent] = -1;
  if (fleet.isRelayed[agent] === 1) fleet.turnedAtMs[agent] = Number.NaN;
  endAway(world, agent);
  if (fleet.isFailover[agent] === 1) {
    stats.failovers += 1;
    stats.attempts += fleet.attempts[agent] ?? 0;
    if (fleet.wasMoved[agent] === 1) {
      stats.moved += 1;
      stats.movedKnocks += fleet.knocks[agent] ?? 0;
    }
  }
  fleet.isFailover[agent] = 0;
  fleet.wasMoved[agent] = 0;
  fleet.attempts[agent] = 0;
  fleet.knocks[agent] = 0;
}

export function endAway(world: World, agent: number): void {
  const { fleet, stats } = world;
  if (!fleet.isAway(agent)) return;
  const awayMs = world.nowMs - (fleet.awaySinceMs[agent] ?? 0);
  if (fleet.isFailover[agent] === 1) stats.countAway(awayMs);
  fleet.awaySinceMs[agent] = Number.NaN;
  stats.away -= 1;
}

/** From now on nothing it sends arrives. */
export function beginAway(world: World, agent: number, isFailover: boolean): void {
  const { fleet, stats } = world;
  if (isFailover) fleet.isFailover[agent] = 1;
  if (fleet.isAway(agent)) return;
  fleet.awaySinceMs[agent] = world.nowMs;
  fleet.lastHeardMs[agent] = world.nowMs;
  stats.away += 1;
  if (stats.away > stats.maxAway) stats.maxAway = stats.away;
}

/** Its session is no longer one. */
export function leaveDoor(world: World, agent: number): void {
  const { fleet } = world;
  if (fleet.state[agent] !== agentState.connected) return;
  const door = world.doors[fleet.on[agent] ?? -1];
  if (door !== undefined) door.sessions -= 1;
}
