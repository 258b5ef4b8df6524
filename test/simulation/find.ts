/** Worlds in which each bug must show within a few seeds, and the search for it. */
import { runSeed, type SeedParts } from '../../src/simulation/campaign.ts';
import type { FaultKind } from '../../src/simulation/fault.ts';
import { productLogic } from '../../src/simulation/logic.ts';
import { recordReplaceOps } from '../../src/simulation/replace-trace.ts';
import { defaultWorld, type WorldSettings } from '../../src/simulation/settings.ts';
import type { Bug } from './bugs.ts';

type WorldName = Bug['world'];

export const replaceOps = await recordReplaceOps();

/** A bug must show within so many seeds, and the product must be clean on all of them. */
export const maxSeeds: Readonly<Record<WorldName, number>> = {
  small: 12,
  tight: 4,
  herd: 3,
  relay: 4,
  relayHerd: 3,
  relayDrain: 3,
  rollout: 4,
};

const small = {
  agents: 60,
  managers: 3,
  sites: 2,
  durationMs: 3_000_000,
  hasPublisher: true,
  hasRelay: false,
  hasRollouts: false,
  isExact: true,
} as const;

const herd = {
  agents: 2_400,
  managers: 3,
  sites: 2,
  durationMs: 900_000,
  hasPublisher: true,
  hasRelay: false,
  hasRollouts: false,
  isExact: true,
  restart: 'agentd',
  manager: { ...defaultWorld.manager, acceptRate: 25 },
  // About load: whole hosts that wake together jam their managers by the agents' own loops.
  strandedMs: 300_000,
} as const;

export const worlds: Readonly<Record<WorldName, Partial<WorldSettings>>> = {
  small,
  tight: { ...small, restartsPerHour: 1, restartsPerDay: 2, urgentRestartsPerHour: 1 },
  herd,
  relay: { ...small, hasRelay: true },
  relayHerd: { ...herd, hasRelay: true, managers: 4 },
  relayDrain: { ...herd, hasRelay: true, managers: 4 },
  rollout: { ...small, agents: 120, hasRollouts: true, durationMs: 1_500_000 },
};

const gapsMs: Partial<Record<WorldName, number>> = {
  herd: 45_000,
  relayHerd: 240_000,
  relayDrain: 200_000,
};

/** What moves many agents at once. */
const herdFaults: readonly FaultKind[] = ['crash', 'hang'];

const rolloutFaults: readonly FaultKind[] = [
  ...(['bad_list', 'bad_list', 'join', 'drain', 'kill', 'loss'] as const),
  ...(['publisher_cut', 'publisher_down', 'pause', 'clock', 'crash'] as const),
];

const kindsOf: Partial<Record<WorldName, readonly FaultKind[]>> = {
  relayHerd: herdFaults,
  relayDrain: ['drain'],
  rollout: rolloutFaults,
};

export function partsOf(bug: Bug): SeedParts {
  const kinds = kindsOf[bug.world];
  return {
    logic: { ...productLogic, ...bug.logic },
    replaceOps: bug.replaceOps ?? replaceOps,
    fixed: worlds[bug.world],
    meanGapMs: gapsMs[bug.world] ?? 60_000,
    ...(kinds === undefined ? {} : { kinds }),
  };
}

export function seedThatFinds(bug: Bug): number | undefined {
  const parts = partsOf(bug);
  for (let seed = 1; seed <= maxSeeds[bug.world]; seed += 1) {
    if (runSeed(seed, parts).violations.length > 0) return seed;
  }
  return undefined;
}
