/** What must hold once the world has been left alone: I6, and that nobody moved without need. */

import { defaultSettings } from '../applier/settings.ts';
import { agentState } from './fleet.ts';
import { condition } from './network.ts';
import type { Stats } from './outcome.ts';
import { publishedOf, situationOf } from './situation.ts';
import type { World } from './world.ts';

/** Away for less at the moment of the check: a move of choice, not an agent left behind. */
const briefMs = 30_000;

/** Asked `strandedMs` after every change; only the one after the last change counts. */
export function checkPeace(world: World): void {
  const { fleet, settings, stats, nowMs } = world;
  if (nowMs - world.lastChangeMs < settings.strandedMs) return;
  stats.checks += 1;
  if (stats.away === 0) return;
  for (let agent = 0; agent < fleet.count; agent += 1) {
    const isLongAway = nowMs - (fleet.awaySinceMs[agent] ?? nowMs) >= briefMs;
    if (!isLongAway || isExcused(world, agent)) continue;
    const bound = ownBound(world, agent);
    if (bound !== undefined) {
      stats.held[bound] += 1;
      if (!settings.isStrict) continue;
    }
    const sec = Math.round((nowMs - (fleet.awaySinceMs[agent] ?? 0)) / 1000);
    const since = Math.round((nowMs - world.lastChangeMs) / 1000);
    const told = `away for ${sec} s, ${since} s after the last change`;
    world.violate('I6', agent, `${told}; ${lookOf(world, agent)}`);
    return;
  }
}

/**
 * Bounds of the product itself that keep an agent away on purpose. They are counted, and are
 * violations in a strict world: the restart budget is used up; an apply still waits for a
 * connection to a target that died meanwhile; the cooldown after a restart delays the rescue of an
 * agent that lost its connection.
 */
function ownBound(world: World, agent: number): keyof Stats['held'] | undefined {
  const { fleet, logic } = world;
  if (fleet.isBudgetHeld[agent] === 1) return 'budget';
  const orderedAtMs = world.applying.get(agent)?.orderedAtMs ?? Number.NEGATIVE_INFINITY;
  if (world.nowMs - orderedAtMs <= defaultSettings.maxConfirmMs) return 'confirm';
  const situation = situationOf(world, agent);
  if (situation === undefined) return undefined;
  const { step } = logic.decide(situation);
  return step.kind === 'hold' && step.reason === 'cooldown' ? 'cooldown' : undefined;
}

/** Where it stands and what its sidecar thinks of that. */
function lookOf(world: World, agent: number): string {
  const { fleet, logic } = world;
  const state = Object.entries(agentState).find(([, code]) => code === fleet.state[agent])?.[0];
  const situation = situationOf(world, agent);
  const thought = situation === undefined ? undefined : logic.decide(situation);
  const trace = thought?.trace.slice(-2) ?? ['no list'];
  const step = thought === undefined ? 'no step' : thought.step.kind;
  const apply = world.applying.has(agent) ? ', an apply under way' : '';
  return `${state} on manager ${fleet.on[agent]}${apply}; ${trace.join(' | ')}: ${step}`;
}

/** Its host sleeps, its sidecar is dead (the native loop is all it has), or no manager is there. */
function isExcused(world: World, agent: number): boolean {
  const { fleet, network, nowMs } = world;
  if ((fleet.pausedUntilMs[agent] ?? 0) >= nowMs) return true;
  if ((fleet.downUntilMs[agent] ?? 0) >= nowMs) return true;
  const site = fleet.site[agent] ?? 0;
  const allowed = publishedOf(world, agent)?.byNumber ?? [];
  return !allowed.some(
    (manager, number) => manager !== undefined && network.at(site, number) === condition.alive,
  );
}

/** G7, generously: a few hosts in a lossy network may be wrong once, a fleet may not. */
export function checkFlap(world: World): void {
  const { stats, settings } = world;
  const allowed = 3 + settings.agents / 100;
  if (stats.wrongMoves <= allowed) return;
  world.violate('flap', -1, `${stats.wrongMoves} agents left a manager that worked`);
}
