/** Bounds and deadlines of the relay; every one can be set, none can be left out. */
import type { StallSettings } from './stall.ts';
import { defaultStallSettings } from './stall.ts';

export interface RelaySettings {
  /** Accepted TCP connections, and UDP flows, at the same time. */
  readonly maxSessions: number;
  /** For one manager: connect and, with `proof: 'pong'`, its answer to a `#ping`. */
  readonly dialMs: number;
  /** After a manager was silent, for the prober to tell a dead one from a full one. */
  readonly proofMs: number;
  /** For all managers tried on one accepted connection. */
  readonly dialAllMs: number;
  /**
   * `pong`: a manager must answer a framed `#ping` on the very connection the agent then gets
   * (remoted keeps no state of it), so that a hung one is passed over. `connect`: 5.x and tests.
   */
  readonly proof: 'pong' | 'connect';
  /**
   * An accepted agent is kept waiting for its admission for so long at most: it gives a handshake
   * up after `recv_timeout`, 60 s unless somebody changed it.
   */
  readonly maxHoldMs: number;
  /** An agent that nobody answers is kept for so long at most, from its accept (`patience.ts`). */
  readonly maxKeepMs: number;
  /** How often it is looked for somebody to dial meanwhile. */
  readonly keepLookMs: number;
  /** For so long after a failure a manager is dialled last, whatever the chooser says. */
  readonly avoidMs: number;
  /** A planned switch closes gently; a session that has not ended by itself then is reset. */
  readonly gentleMs: number;
  /** A session without a byte either way for so long is reset: its slot is worth more. */
  readonly idleMs: number;
  /** The same when one side has ended already: a manager closes at once, a hung one never. */
  readonly halfClosedMs: number;
  /**
   * Where all places are taken, a UDP flow that was quiet for so long, or a TCP session that no manager
   * has answered in that time, makes room: no manager answers whoever has no key of an agent.
   */
  readonly quietMs: number;
  /** Keep one spare connection to the manager that would be next (see `standby.ts`). */
  readonly standby: boolean;
  /** How often sessions are looked at for stalls. */
  readonly watchMs: number;
  readonly stall: StallSettings;
}

export const defaultRelaySettings: RelaySettings = {
  maxSessions: 16,
  dialMs: 800,
  proofMs: 200,
  dialAllMs: 2_400,
  proof: 'pong',
  maxHoldMs: 45_000,
  maxKeepMs: 20_000,
  keepLookMs: 100,
  avoidMs: 3_000,
  gentleMs: 2_000,
  idleMs: 600_000,
  halfClosedMs: 10_000,
  quietMs: 1_000,
  standby: false,
  watchMs: 250,
  stall: defaultStallSettings,
};
