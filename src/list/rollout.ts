/** Staged rollout: a stable share of the agents takes a new list first (trust-and-safety 1.6 step 10). */
import { hash } from 'node:crypto';
import type { Rollout } from './model.ts';

/** Is this agent in the wave? A higher `pct` with the same salt keeps everybody who was in. */
export function isInWave(rollout: Rollout | undefined, agentId: string): boolean {
  if (rollout === undefined) return true;
  return shareOf(rollout, agentId) < rollout.pct;
}

/** Where the salted hash puts this agent: 0 to 99.99 per cent. */
export function shareOf({ salt }: Pick<Rollout, 'salt'>, agentId: string): number {
  const digest = hash('sha256', `${salt}${agentId}`, 'hex');
  return (Number.parseInt(digest.slice(0, 13), 16) % 10_000) / 100;
}
