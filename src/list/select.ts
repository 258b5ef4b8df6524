/**
 * The order in which one agent tries the managers: weighted rendezvous hashing. No shared state:
 * taking a manager away moves only its own agents, and their second choices spread by weight.
 * Source: design.md decision 5; weights after Schindelhauer and Schomaker (score -weight / ln u).
 */
import { hash } from 'node:crypto';
import type { Manager } from './model.ts';

export interface AgentPlace {
  readonly agentId: string;
  /** Managers of the agent's own zone come first within one priority. */
  readonly zone?: string;
}

/** `chanceOf`, or one that remembers what it said. */
export type ChanceOf = (agentId: string, managerId: string) => number;

/**
 * Best first. By state (`up` before `drain` before `down`), then weight 0 last, then `prio`, then own
 * zone, then hash. A manager that the publisher takes for dead stays, as the last resort of an agent
 * that sees otherwise, also without its sidecar: only who leaves the list leaves the file.
 */
export function rankManagers(
  managers: readonly Manager[],
  place: AgentPlace,
  chance: ChanceOf = chanceOf,
): readonly Manager[] {
  return managers
    .map((manager) => ({ manager, score: scoreOf(manager, chance(place.agentId, manager.id)) }))
    .sort(
      (left, right) =>
        compareClass(left.manager, right.manager, place.zone) ||
        right.score - left.score ||
        (left.manager.id < right.manager.id ? -1 : 1),
    )
    .map(({ manager }) => manager);
}

const stateOrder = { up: 0, drain: 1, down: 2 } as const;

function compareClass(left: Manager, right: Manager, zone: string | undefined): number {
  return (
    stateOrder[left.state] - stateOrder[right.state] ||
    Number(left.weight === 0) - Number(right.weight === 0) ||
    left.prio - right.prio ||
    Number(left.zone !== zone) - Number(right.zone !== zone)
  );
}

/** Independent per pair, and the highest of several is manager i with probability weight i / sum. */
function scoreOf(manager: Manager, chance: number): number {
  return -Math.max(1, manager.weight) / Math.log(chance);
}

/** 52 bits of SHA-256, strictly between 0 and 1. The same on every host and version. */
export function chanceOf(agentId: string, managerId: string): number {
  const bits = Number.parseInt(hash('sha256', `${agentId}\n${managerId}`, 'hex').slice(0, 13), 16);
  return (bits + 0.5) / 2 ** 52;
}
