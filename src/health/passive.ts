/**
 * What the agent's own files say about the manager it is on, without a packet: a late ack, a
 * message counter that stands still while the buffer fills. Signs only: they make us probe, and
 * only the wedge (real-agent-lab.md 3b), which no probe can see, is acted on by itself. Pure.
 */
/** Seconds between two keepalives where the file says nothing (4.x since 4.13). */
export const defaultNotifySec = 20;

/** Of the agent's state file and its lock; instants are wall clock. */
export interface AgentWords {
  readonly running: boolean;
  readonly status: string;
  /** It is connecting right now. */
  readonly waiting: boolean;
  readonly stateWrittenAtMs?: number;
  readonly lastAckAtMs?: number;
  readonly msgSent?: number;
  readonly msgBuffer?: number;
}

export interface AgentRhythm {
  /** Seconds, as the file says. */
  readonly notifySec: number | undefined;
  /**
   * For how long `msg_sent` has not moved, by a clock that does not jump; undefined while it moves
   * or nobody watched.
   */
  readonly stuckForMs: number | undefined;
}

export type AgentSign =
  /** The manager's last ack is older than two keepalives: it, or the way to it, is silent. */
  | 'ack_late'
  /** The agent says `connected`, and nothing has left it for long: it will not notice by itself. */
  | 'wedged';

/** agent-side.md 3.1: on 4.x an ack older than `2 x notify_time + 5` is suspect. */
function ackLimitMs({ notifySec = defaultNotifySec }: AgentRhythm): number {
  return (2 * notifySec + 5) * 1_000;
}

/** With events waiting, so long without one leaving is no pause of the agent's. */
const stuckWithEventsMs = 15_000;
/** A state file older than this is of an agent that died, or of one that writes none. */
export const freshStateMs = 30_000;

/** Undefined: the agent's own files speak against nobody. */
export function judgeAgent(
  facts: AgentWords,
  rhythm: AgentRhythm,
  nowMs: number,
): AgentSign | undefined {
  const { running, status, waiting, stateWrittenAtMs, lastAckAtMs } = facts;
  if (!running || waiting || status !== 'connected') return undefined;
  if (stateWrittenAtMs === undefined || Math.abs(nowMs - stateWrittenAtMs) > freshStateMs) {
    return undefined;
  }
  // 5.0 writes no ack; one from the future was written before the clock was set back.
  if (lastAckAtMs === undefined || nowMs - lastAckAtMs <= ackLimitMs(rhythm)) return undefined;
  return isWedged(facts, rhythm) ? 'wedged' : 'ack_late';
}

/** Keepalives count as messages too, so a counter at rest for two of them is a blocked sender. */
function isWedged({ msgSent, msgBuffer = 0 }: AgentWords, rhythm: AgentRhythm): boolean {
  if (msgSent === undefined || rhythm.stuckForMs === undefined) return false;
  return rhythm.stuckForMs >= (msgBuffer > 0 ? stuckWithEventsMs : ackLimitMs(rhythm));
}
