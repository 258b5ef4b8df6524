/**
 * Somebody else edits ossec.conf too: configuration management, the Windows GUI, a person
 * (agent-side.md 7). What counts is the server entries; other bytes are theirs to change. Putting
 * ours back again and again would flap the agent, so every revert doubles the pause. Pure.
 */
import { canonicalAddress } from '../wazuh/connections.ts';
import type { WrittenServer } from './result.ts';
import type { ForeignPolicy } from './settings.ts';

export interface ForeignMemory {
  /** When somebody was seen to have changed our entries, last day only. */
  readonly revertsAtMs: readonly number[];
  /** Entries that are theirs and stand by policy `adopt` or `respect`. */
  readonly accepted?: readonly WrittenServer[];
}

export interface ForeignSeen {
  /** What we wrote last, and what we were about to write when we were killed; none before that. */
  readonly written: readonly (readonly WrittenServer[])[];
  /** What the file names now. */
  readonly present: readonly WrittenServer[];
  readonly wanted: readonly WrittenServer[];
  readonly policy: ForeignPolicy;
  readonly alarmAfterReverts: number;
  readonly nowMs: number;
}

export type ForeignVerdict =
  /** Nobody interfered, or nothing of ours was there to interfere with. */
  | { readonly kind: 'ours'; readonly memory: ForeignMemory }
  /** Write ours again. */
  | { readonly kind: 'reassert'; readonly alarm: boolean; readonly memory: ForeignMemory }
  | {
      readonly kind: 'hold';
      readonly untilMs?: number;
      readonly why: string;
      readonly alarm: boolean;
      readonly memory: ForeignMemory;
    };

export const nothingForeign: ForeignMemory = { revertsAtMs: [] };

const dayMs = 24 * 3_600_000;
const firstPauseMs = 60_000;
const longestPauseMs = 3_600_000;

export function judgeForeign(memory: ForeignMemory, seen: ForeignSeen): ForeignVerdict {
  const recent = recentReverts(memory, seen.nowMs);
  const { written, present } = seen;
  if (written.length === 0 || written.some((ours) => sameServers(ours, present))) {
    return { kind: 'ours', memory: { revertsAtMs: recent } };
  }
  const known = memory.accepted !== undefined && sameServers(memory.accepted, present);
  const revertsAtMs = known ? recent : [...recent, seen.nowMs].slice(-maxReverts);
  const next: ForeignMemory = { revertsAtMs, accepted: present };
  const alarm = revertsAtMs.length >= seen.alarmAfterReverts;
  switch (seen.policy) {
    case 'adopt':
      return written.some((ours) => sameServers(ours, seen.wanted))
        ? { kind: 'hold', why: 'their entries stay until the list changes', alarm, memory: next }
        : { kind: 'ours', memory: { revertsAtMs } };
    case 'respect':
      return { kind: 'hold', why: 'their entries stay by policy', alarm, memory: next };
    default:
      return afterPause(next, alarm, seen.nowMs);
  }
}

/** 60 s after the first revert of the day, doubled by each further one, an hour at most. */
export function pauseMs(reverts: number): number {
  return Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(Math.max(reverts - 1, 0), 20));
}

const maxReverts = 64;

function afterPause(memory: ForeignMemory, alarm: boolean, nowMs: number): ForeignVerdict {
  const lastMs = memory.revertsAtMs.at(-1) ?? nowMs;
  const untilMs = lastMs + pauseMs(memory.revertsAtMs.length);
  if (nowMs >= untilMs) return { kind: 'reassert', alarm, memory };
  const why = `somebody changed our entries ${memory.revertsAtMs.length} times in a day`;
  return { kind: 'hold', untilMs, why, alarm, memory };
}

function recentReverts(memory: ForeignMemory, nowMs: number): readonly number[] {
  return memory.revertsAtMs
    .map((atMs) => Math.min(atMs, nowMs))
    .filter((atMs) => atMs > nowMs - dayMs);
}

/** Same managers in the same order; ports count, spelling of names does not. */
export function sameServers(
  left: readonly WrittenServer[],
  right: readonly WrittenServer[],
): boolean {
  const key = ({ address, port }: WrittenServer): string => `${canonicalAddress(address)} ${port}`;
  return (
    left.length === right.length &&
    left.every((server, index) => {
      const other = right[index];
      return other !== undefined && key(server) === key(other);
    })
  );
}
