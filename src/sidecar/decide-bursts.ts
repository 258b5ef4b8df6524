/**
 * When a whole fleet has lost its managers although they answer (its hosts slept or had no power, a
 * switch or a firewall dropped all sessions), every agent dials at one instant by itself. Doors that are
 * full drop the other SYNs, and each kernel sends its own again at fixed times after the first: the same
 * crowd comes back all at once. Nobody is sent among it: a door that is full serves slowly, whoever finds
 * it full sends SYNs again too, and then it stays full for minutes. Pure.
 */

interface Burst {
  /** Milliseconds after the loss. */
  readonly beginsMs: number;
  readonly endsMs: number;
}

/**
 * Linux sends a SYN again 15, 31 and 63 s after the first, since 6.5 (`tcp_syn_linear_timeouts`) 19, 35
 * and 67 s: from 1 s before the one until a full queue is served after the other.
 * Earlier ones come while an agent is left to itself, the next one after the last slot.
 */
const bursts: readonly Burst[] = [15_000, 31_000, 63_000].map((againMs) => ({
  beginsMs: againMs - 1_000,
  endsMs: againMs + 4_000 + 5_000,
}));

/** All of them: no slot is later than this because of them. */
export const burstsMs = bursts.reduce((sum, { beginsMs, endsMs }) => sum + endsMs - beginsMs, 0);

/** `offsetMs` after `fromMs`, bursts not counted. Instants are wall clock. */
export function quietAtMs(lostAtMs: number, fromMs: number, offsetMs: number): number {
  const passed = (atMs: number, { beginsMs, endsMs }: Burst): number => {
    const fromBurstMs = Math.max(fromMs, lostAtMs + beginsMs);
    return atMs < fromBurstMs ? atMs : atMs + Math.max(0, lostAtMs + endsMs - fromBurstMs);
  };
  return bursts.reduce(passed, fromMs + offsetMs);
}
