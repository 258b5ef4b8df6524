/**
 * Does a manager still take and answer what the agent sends? Judged from the outside of an
 * encrypted stream: pure, values in, a reason out. A stall is a reason to probe at once, never
 * proof: remoted answers keepalives only, so silence between two of them is ordinary.
 */
import type { SessionSample } from './ports.ts';

export interface StallSettings {
  /** The same bytes were sent so often without an answer of the manager's kernel (0.2, 0.6, 1.4 s). */
  readonly notAckingRetransmits: number;
  /** The agent's bytes wait in front of the manager for so long: nobody reads there. */
  readonly notDrainingMs: number;
  /** The agent talks, the manager says nothing: over twice the agent's notify_time (20 s). */
  readonly notAnsweringMs: number;
  /** The same before the manager's first byte: a startup is answered in milliseconds. */
  readonly noFirstAnswerMs: number;
}

export const defaultStallSettings: StallSettings = {
  notAckingRetransmits: 2,
  notDrainingMs: 1_000,
  notAnsweringMs: 45_000,
  noFirstAnswerMs: 2_000,
};

export type Stall = 'not_acking' | 'not_draining' | 'not_answering';

/** Undefined: nothing speaks against this manager. */
export function judgeStall(
  sample: SessionSample,
  settings: StallSettings,
  nowMs: number,
): Stall | undefined {
  if (sample.retransmits >= settings.notAckingRetransmits) return 'not_acking';
  if (hasPassed(sample.waitingSinceAtMs, settings.notDrainingMs, nowMs)) return 'not_draining';
  // Over UDP a flow may begin in the middle of a session; over TCP it begins with a handshake.
  const isGreeting = sample.protocol === 'tcp' && sample.bytesDown === 0;
  const allowedMs = isGreeting ? settings.noFirstAnswerMs : settings.notAnsweringMs;
  return hasPassed(sample.unansweredSinceAtMs, allowedMs, nowMs) ? 'not_answering' : undefined;
}

function hasPassed(sinceAtMs: number | undefined, limitMs: number, nowMs: number): boolean {
  return sinceAtMs !== undefined && nowMs - sinceAtMs >= limitMs;
}
