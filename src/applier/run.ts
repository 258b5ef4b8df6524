/** What the steps of one run share: the world, and what became known so far. */
import type { PilotfishError } from '../errors.ts';
import type { AgentFacts } from '../wazuh/agent-facts.ts';
import type { ConfigSnapshot } from './config-file.ts';
import type { Draft, Reading } from './draft.ts';
import type { ApplierMemory } from './memory.ts';
import type { Progress } from './progress.ts';
import type { ApplyOutcome } from './result.ts';
import type { ApplierWorld } from './world.ts';

export interface Run {
  readonly world: ApplierWorld;
  readonly progress: Progress;
  memory: ApplierMemory;
  readonly isGivenUp?: GiveUp;
}

/** Does the asker want another choice meanwhile? Asked only while the agent is watched. */
export type GiveUp = () => Promise<boolean>;

/** How a run ended; the account itself is in `Run.progress`. */
export interface End {
  readonly outcome: ApplyOutcome;
  readonly reason?: PilotfishError;
}

/** A content of ossec.conf to which this run may return. */
export interface Earlier {
  readonly bytes: Uint8Array;
  /** `sha256:` tag of `bytes`. */
  readonly hash: string;
  readonly reading: Reading;
}

/** The file and the agent as they were met, and the file as it should be. */
export interface Situation {
  readonly facts: AgentFacts;
  readonly before: ConfigSnapshot;
  readonly draft: Draft;
  /** What an interrupted run replaced, where nobody has confirmed its write since. */
  readonly earlier?: Earlier | undefined;
  /** The asker says that this leaves a dead manager. */
  readonly urgent: boolean;
}
