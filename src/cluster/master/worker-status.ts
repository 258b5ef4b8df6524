/** What a master knows of one worker, as values: for status, lag and `get_health` (7.7). */
import type { PeerKind } from '../session/output.ts';

/** Wall-clock milliseconds; undefined: not yet. */
export interface Span {
  readonly startAtMs: number | undefined;
  readonly endAtMs: number | undefined;
}

export interface WorkerStatus {
  readonly name: string;
  readonly type: string;
  readonly version: string;
  readonly address: string;
  /** Undefined: not known; a stock worker never tells. */
  readonly peer: PeerKind | undefined;
  readonly connectedAtMs: number;
  readonly lastKeepAliveAtMs: number;
  readonly isIntegrityFree: boolean;
  readonly lastCheck: Span;
  readonly lastSync: Span & {
    readonly missing: number;
    readonly shared: number;
    readonly extra: number;
  };
  /** Since when it is known to lack something; undefined: in step with the newest scan. */
  readonly behindSinceMs: number | undefined;
  readonly heldDeletions: number;
  readonly heldReason: string | undefined;
}

export const noSpan: Span = { startAtMs: undefined, endAtMs: undefined };

/** Stock's `status` member of `get_health` for one worker, as far as integrity goes. */
export function integrityHealth(status: WorkerStatus): {
  readonly sync_integrity_free: boolean;
  readonly last_check_integrity: StockSpan;
  readonly last_sync_integrity: StockSpan & {
    readonly total_files: Readonly<Record<string, number>>;
  };
  readonly last_keep_alive: string;
} {
  const { missing, shared, extra } = status.lastSync;
  return {
    sync_integrity_free: status.isIntegrityFree,
    last_check_integrity: stockSpan(status.lastCheck),
    last_sync_integrity: {
      ...stockSpan(status.lastSync),
      total_files: { missing, shared, extra },
    },
    last_keep_alive: stockDate(status.lastKeepAliveAtMs),
  };
}

interface StockSpan {
  readonly date_start_master: string;
  readonly date_end_master: string;
}

function stockSpan({ startAtMs, endAtMs }: Span): StockSpan {
  return { date_start_master: stockDate(startAtMs), date_end_master: stockDate(endAtMs) };
}

/** `2024-11-21T10:00:05.123000Z`, or `n/a`. */
export function stockDate(atMs: number | undefined): string {
  if (atMs === undefined) return 'n/a';
  return new Date(atMs).toISOString().replace(/Z$/, '000Z');
}
