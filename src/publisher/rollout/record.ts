/**
 * A staged rollout as plain values. The newest published version carries the record of the rollout
 * it belongs to; nothing about a rollout is known anywhere else, so a crash, a second publisher
 * process or a second operator always finds the whole truth in the history.
 */
import type { Rollout, RolloutStratum } from '../../list/model.ts';

export type Lane = 'normal' | 'removal';

export interface Stage {
  /** 1 to 100: share of the agents. */
  readonly percent: number;
  /** How long its agents are watched before the next one. */
  readonly bakeMs: number;
}

export interface RolloutRecord {
  readonly id: string;
  readonly salt: string;
  readonly lane: Lane;
  readonly stages: readonly Stage[];
  /** Index into `stages`. */
  readonly stage: number;
  readonly stageStartedAtMs: number;
  readonly startedAtMs: number;
  /** Of this wave, as the list says it: at least that of the stage. */
  readonly pct: number;
  readonly strata: readonly RolloutStratum[];
  /** First version with the new content: what an agent must hold to count as having it. */
  readonly sinceVersion: number;
  /** The last version that every agent had: what a rollback goes back to. */
  readonly stableVersion: number;
  /** Agents of this wave that were there when it began. */
  readonly expected: number;
  /** Agents, of all of them, that fared badly when it began; absent in records of before. */
  readonly failedBefore?: number;
}

/** What the list carries of it. */
export function listedRollout({ id, salt, pct, strata }: RolloutRecord): Rollout {
  return { id, salt, pct, ...(strata.length === 0 ? {} : { strata }) };
}

/** The words by which an agent belongs to strata; the sidecar and the publisher must agree. */
export interface StratumFacts {
  readonly site: string;
  readonly os: string;
  /** `v4.14.8` counts as `4.14`. */
  readonly agentVersion?: string;
}
