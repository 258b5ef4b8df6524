/** Many seeds, one after another, until one breaks an invariant: then the seed and what is needed. */
import { type Fault, type FaultKind, planFaults } from './fault.ts';
import type { DiskOp, Logic } from './logic.ts';
import type { Outcome, Violation } from './outcome.ts';
import { Prng } from './prng.ts';
import { runWorld } from './run.ts';
import { defaultWorld, type WorldSettings } from './settings.ts';
import { shrinkFaults } from './shrink.ts';

export interface SeedParts {
  readonly logic: Logic;
  readonly replaceOps: readonly DiskOp[];
  /** Fields that every world of the campaign shares. */
  readonly fixed?: Partial<WorldSettings>;
  /** Mean time between two faults; drawn from the seed when absent. */
  readonly meanGapMs?: number;
  /** Faults to draw from; all when absent. */
  readonly kinds?: readonly FaultKind[];
}

/** A death moves more agents than the others take in within five seconds. */
export const bigFleet = 2_000;

/** Seeds differ in size and in who helps, so that no number is special. */
export function settingsOfSeed(seed: number, fixed: Partial<WorldSettings> = {}): WorldSettings {
  const random = new Prng(seed, 0x5eed);
  const managers = 3 + random.below(4);
  // In every sixth world a death moves more agents than its neighbours can take in five seconds.
  const isBig = random.isHit(1 / 6);
  const agents = isBig ? bigFleet + random.below(1_500) : 60 + random.below(600);
  const acceptRate = isBig ? 30 : Math.max(30, Math.ceil(agents / 12));
  const world: WorldSettings = {
    ...defaultWorld,
    seed,
    agents,
    managers,
    sites: 2 + random.below(3),
    hasPublisher: random.isHit(0.7),
    restart: random.isHit(0.8) ? 'agentd' : 'service',
    manager: { ...defaultWorld.manager, acceptRate },
    // Of big fleets a campaign plays a twin with relays.
    hasRelay: !isBig && random.isHit(1 / 3),
    // Lists that work nowhere are then among the faults.
    hasRollouts: !isBig && random.isHit(1 / 3),
    ...fixed,
  };
  return world.hasPublisher ? world : { ...world, hasRollouts: false };
}

export function runSeed(seed: number, parts: SeedParts): Outcome {
  const settings = settingsOfSeed(seed, parts.fixed);
  const gapMs = parts.meanGapMs ?? new Prng(seed, 0x9a9).between(120_000, 600_000);
  const faults = planFaults(settings, gapMs, parts.kinds);
  return runWorld({ settings, faults, logic: parts.logic, replaceOps: parts.replaceOps });
}

export interface Shrunk {
  readonly faults: readonly Fault[];
  readonly violation: Violation;
}

/** The same invariant broken with as few faults as possible. */
export function shrinkFailure(outcome: Outcome, parts: SeedParts): Shrunk | undefined {
  const [first] = outcome.violations;
  if (first === undefined) return undefined;
  const settings = settingsOfSeed(outcome.seed, parts.fixed);
  const replay = (faults: readonly Fault[]): Violation | undefined =>
    runWorld({
      settings,
      faults,
      logic: parts.logic,
      replaceOps: parts.replaceOps,
    }).violations.find(({ invariant }) => invariant === first.invariant);
  const faults = shrinkFaults(outcome.faults, (some) => replay(some) !== undefined);
  return { faults, violation: replay(faults) ?? first };
}
