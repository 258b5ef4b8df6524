/** What one apply did, as a plain JSON value: shown to people, kept in the spool, sent as report. */
import type { PilotfishError, ReasonName } from '../errors.ts';
import type { Position } from '../list/model.ts';

/**
 * unchanged: the file already says so · written: new bytes, agent not restarted · moved: written (or
 * already there), restarted, connected · restored: the previous bytes are back · refused: this
 * request will never be done · held: not now, ask again (lock, upgrade, budget, foreign edit).
 */
export type ApplyOutcome = 'unchanged' | 'written' | 'moved' | 'restored' | 'refused' | 'held';

export interface ApplyReason {
  /** `E602`. */
  readonly code: string;
  readonly name: ReasonName;
  readonly message: string;
  readonly fix: string;
}

export interface WrittenServer {
  readonly address: string;
  readonly port: number;
}

export interface ApplyResult {
  readonly outcome: ApplyOutcome;
  /** Why it was refused, held or restored; also set on `written` when the agent was kept unconfirmed. */
  readonly reason?: ApplyReason;
  /** Position of the list that was verified, absent when verification failed. */
  readonly position?: Position;
  /** `sha256:` tag of the list payload. */
  readonly listHash?: string;
  /** Server entries that the file names now, in order; empty when unknown. */
  readonly servers: readonly WrittenServer[];
  readonly connected: boolean;
  /** Agent restarts that this run caused, those of a restore included. */
  readonly restarts: number;
  /** From the order to stop the agent to its connection seen; absent when it was not restarted. */
  readonly awayMs?: number;
  readonly startedAtMs: number;
  readonly tookMs: number;
  /** `sha256:` tags of ossec.conf before and after. */
  readonly beforeHash?: string;
  readonly afterHash?: string;
  /** Things worth knowing that changed no outcome. */
  readonly notes: readonly string[];
}

export function reasonOf(error: PilotfishError): ApplyReason {
  return error.toJSON();
}
