/**
 * How unevenly agents sit on the managers. Sidecars space their slots as if agents followed the
 * weights (trust-and-safety.md 4.4); where they have piled up on one manager, its death moves more
 * of them than that, and the list has to name lower accept rates to keep them as slow as they must be.
 */
import type { Manager } from '../list/model.ts';

/**
 * What the accept rates of a list are to be divided by, 1 or more: the load of the fullest manager
 * that takes its share, over that share of `agents`, the fleet as the list tells its size. `managers`:
 * without those that are seen dead; sidecars count none on them either. `loads`: agents by manager id,
 * as they report.
 */
export function crowdingOf(
  managers: readonly Manager[],
  agents: number,
  loads: ReadonlyMap<string, number>,
): number {
  // Who is dead holds none; a last resort has no share to exceed.
  const sharing = managers.filter(({ state, weight }) => state !== 'down' && weight > 0);
  const weights = sharing.reduce((total, { weight }) => total + weight, 0);
  if (agents === 0) return 1;
  const fullness = sharing.map(
    ({ id, weight }) => ((loads.get(id) ?? 0) * weights) / (agents * weight),
  );
  return Math.max(1, ...fullness);
}

/** New sessions a second, never none. */
export function slowedRate(ratePerServer: number, crowding: number): number {
  return Math.max(1, Math.floor(ratePerServer / crowding));
}
