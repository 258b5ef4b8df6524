/** The account of one run as it grows; `finish` turns it into the result record. */
import type { PilotfishError } from '../errors.ts';
import type { Position } from '../list/model.ts';
import { type ApplyOutcome, type ApplyResult, reasonOf, type WrittenServer } from './result.ts';

export interface Progress {
  readonly startedAtMs: number;
  readonly startedMonotonicMs: number;
  readonly notes: string[];
  restarts: number;
  connected: boolean;
  servers: readonly WrittenServer[];
  awayMs?: number;
  position?: Position;
  listHash?: string;
  beforeHash?: string;
  afterHash?: string;
}

export function newProgress(nowMs: number, monotonicMs: number): Progress {
  return {
    startedAtMs: nowMs,
    startedMonotonicMs: monotonicMs,
    notes: [],
    restarts: 0,
    connected: false,
    servers: [],
  };
}

export function finish(
  progress: Progress,
  end: {
    readonly outcome: ApplyOutcome;
    readonly reason?: PilotfishError | undefined;
    readonly monotonicMs: number;
  },
): ApplyResult {
  const { startedMonotonicMs, ...rest } = progress;
  return {
    ...rest,
    notes: [...progress.notes],
    outcome: end.outcome,
    ...(end.reason === undefined ? {} : { reason: reasonOf(end.reason) }),
    tookMs: Math.round(end.monotonicMs - startedMonotonicMs),
  };
}
