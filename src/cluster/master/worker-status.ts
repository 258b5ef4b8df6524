/** What a master knows of one worker, as values: for status, lag and `get_health` (7.7). */
import type { WorkerLine } from '../calls/build-view.ts';
import type { AgentSync } from '../calls/node-view.ts';
import type { ChunkSync, MomentSpan } from '../local/node-health.ts';
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
  /** Agent data; absent: this master synchronises none. */
  readonly agentSync?: AgentSync | undefined;
}

export const noSpan: Span = { startAtMs: undefined, endAtMs: undefined };

/** For `get_health`: what stock tells of one worker. Agent data that nobody synchronises: n/a. */
export function workerLine(status: WorkerStatus): WorkerLine {
  const { name, type, version, address, lastSync, agentSync = noAgentSync } = status;
  return {
    ...{ name, type, version, address },
    sync: {
      isIntegrityFree: status.isIntegrityFree,
      integrityCheck: momentSpan(status.lastCheck),
      integritySync: {
        ...momentSpan(lastSync),
        missing: lastSync.missing,
        shared: lastSync.shared,
        extra: lastSync.extra,
      },
      ...agentSync,
      lastKeepAlive: stockDate(status.lastKeepAliveAtMs),
    },
  };
}

const noChunks: ChunkSync = { start: 'n/a', end: 'n/a', chunks: 0 };
const noAgentSync: AgentSync = {
  isAgentInfoFree: true,
  agentInfo: noChunks,
  agentGroups: noChunks,
  allAgentGroups: noChunks,
};

function momentSpan({ startAtMs, endAtMs }: Span): MomentSpan {
  return { start: stockDate(startAtMs), end: stockDate(endAtMs) };
}

/** `2024-11-21T10:00:05.123000Z`, or `n/a`. */
export function stockDate(atMs: number | undefined): string {
  if (atMs === undefined) return 'n/a';
  return new Date(atMs).toISOString().replace(/Z$/, '000Z');
}
