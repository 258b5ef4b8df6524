/** One accepted agent connection from its splice to its end, with what it cost and showed. */
import type { Clock } from '../clock.ts';
import type { Connection, RelayManager, SessionSample } from './ports.ts';
import { type Splice, splice } from './splice.ts';
import { judgeStall, type Stall, type StallSettings } from './stall.ts';

export interface SessionEvents {
  managerLeft(why: 'closed' | 'reset'): void;
  closed(): void;
}

export class Session {
  readonly number: number;
  readonly manager: RelayManager;
  readonly openedAtMs: number;
  readonly #splice: Splice;
  #told: Stall | undefined;

  constructor(
    clock: Clock,
    {
      number,
      manager,
      agent,
      upstream,
    }: {
      readonly number: number;
      readonly manager: RelayManager;
      readonly agent: Connection;
      readonly upstream: Connection;
    },
    events: SessionEvents,
  ) {
    this.number = number;
    this.manager = manager;
    this.openedAtMs = clock.monotonicMs();
    this.#splice = splice(clock, { agent, manager: upstream }, events);
  }

  get sample(): SessionSample {
    const { bytesUp, bytesDown, lastFromAgentAtMs, lastFromManagerAtMs } = this.#splice;
    const { unansweredSinceAtMs, waitingSinceAtMs, waitingBytes } = this.#splice;
    return {
      session: this.number,
      managerId: this.manager.id,
      protocol: 'tcp',
      openedAtMs: this.openedAtMs,
      bytesUp,
      bytesDown,
      unansweredSinceAtMs,
      lastFromAgentAtMs,
      lastFromManagerAtMs,
      waitingBytes,
      waitingSinceAtMs,
    };
  }

  /** A stall that was not told yet; a session that recovers may stall and be told again. */
  newStall(settings: StallSettings, nowMs: number): Stall | undefined {
    const stall = judgeStall(this.sample, settings, nowMs);
    const isNew = stall !== this.#told;
    this.#told = stall;
    return isNew ? stall : undefined;
  }

  /** Without a byte either way for longer than it may be: a half-closed one may be for less. */
  isIdle(limits: { readonly idleMs: number; readonly halfClosedMs: number }, nowMs: number) {
    const { lastFromAgentAtMs, lastFromManagerAtMs, isHalfClosed } = this.#splice;
    const quietMs = nowMs - Math.max(lastFromAgentAtMs, lastFromManagerAtMs);
    return quietMs >= (isHalfClosed ? limits.halfClosedMs : limits.idleMs);
  }

  closeGently(): void {
    this.#splice.closeGently();
  }

  reset(): void {
    this.#splice.reset();
  }
}
