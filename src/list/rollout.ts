/** Staged rollout: a stable share of the agents takes a new list first (trust-and-safety 1.6 step 10). */
import { hash } from 'node:crypto';
import type { Rollout } from './model.ts';

/**
 * Is this agent in the wave? A higher `pct` with the same salt keeps everybody who was in. An agent
 * belongs to several strata; the one with the highest share decides.
 */
export function isInWave(
  rollout: Rollout | undefined,
  agentId: string,
  strata: readonly string[] = [],
): boolean {
  if (rollout === undefined) return true;
  const shares = (rollout.strata ?? []).filter(({ key }) => strata.includes(key));
  return shareOf(rollout, agentId) < Math.max(rollout.pct, ...shares.map(({ pct }) => pct));
}

/** Where the salted hash puts this agent: 0 to 99.99 per cent. */
export function shareOf({ salt }: Pick<Rollout, 'salt'>, agentId: string): number {
  const digest = hash('sha256', `${salt}${agentId}`, 'hex');
  return (Number.parseInt(digest.slice(0, 13), 16) % 10_000) / 100;
}

/** The strata of an agent: its site, its system, its version up to the minor. */
export function strataOf(facts: {
  readonly site: string;
  readonly os: string;
  readonly agentVersion?: string | undefined;
}): readonly string[] {
  const minor = /(\d+)\.(\d+)/.exec(facts.agentVersion ?? '');
  const version = minor === null ? [] : [`version:${minor[1]}.${minor[2]}`];
  return [`site:${facts.site}`, `os:${facts.os}`, ...version];
}
