/**
 * Penalties for managers that come and go (after BGP route flap damping, RFC 2439; figures of
 * trust-and-safety 4.3): every fall costs, time forgives, and one that fell too often is a last
 * resort until it has been quiet for long. Pure.
 */
export interface DampingSettings {
  readonly perFall: number;
  readonly halfLifeMs: number;
  /** From this penalty on a manager is chosen last. */
  readonly suppressAt: number;
  /** Below this one it is chosen like any other again. */
  readonly reuseAt: number;
  readonly cap: number;
}

export const defaultDamping: DampingSettings = {
  perFall: 1_000,
  halfLifeMs: 300_000,
  suppressAt: 3_000,
  reuseAt: 750,
  cap: 12_000,
};

export interface Damping {
  /** As it was at `atMs`; it halves every half-life since. */
  readonly penalty: number;
  readonly atMs: number;
  readonly isSuppressed: boolean;
}

/** One more fall. */
export function punish(
  before: Damping | undefined,
  settings: DampingSettings,
  nowMs: number,
): Damping {
  const penalty = Math.min(settings.cap, penaltyAt(before, settings, nowMs) + settings.perFall);
  const wasSuppressed = before !== undefined && isSuppressed(before, settings, nowMs);
  return { penalty, atMs: nowMs, isSuppressed: wasSuppressed || penalty >= settings.suppressAt };
}

export function penaltyAt(
  damping: Damping | undefined,
  { halfLifeMs }: DampingSettings,
  nowMs: number,
): number {
  if (damping === undefined) return 0;
  // A clock that was set back forgives nothing and punishes nobody.
  const ageMs = Math.max(0, nowMs - damping.atMs);
  return damping.penalty * 2 ** (-ageMs / halfLifeMs);
}

export function isSuppressed(
  damping: Damping | undefined,
  settings: DampingSettings,
  nowMs: number,
): boolean {
  if (damping?.isSuppressed !== true) return false;
  return penaltyAt(damping, settings, nowMs) > settings.reuseAt;
}

export interface SlowStartSettings {
  readonly fromShare: number;
  readonly lengthMs: number;
}

export const defaultSlowStart: SlowStartSettings = { fromShare: 0.1, lengthMs: 120_000 };

/** The share of its weight that a manager gets back `ageMs` after its return, 0.1 to 1. */
export function returnedShare(
  ageMs: number,
  { fromShare, lengthMs }: SlowStartSettings = defaultSlowStart,
): number {
  const progress = Math.min(1, Math.max(0, ageMs) / lengthMs);
  return fromShare + (1 - fromShare) * progress;
}
