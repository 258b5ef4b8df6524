/** One accepted agent connection from its splice to its end, with what it cost and showed. */
import type { Clock } from '../clock.ts';
import type { Connection, RelayManager, SendQueue, SessionSample } from './ports.ts';
import { type Splice, splice } from './splice.ts';
import { judgeStall, type Stall, type StallSettings } from './stall.ts';

export interface SessionEvents {
  managerLeft(why: 'closed' | 'reset'): void;
  closed(): void;
}

/** Looking at the kernel's table may take this part of the time at most: it grows with the host. */
const lookShare = 1 / 1_000;
/** A look that was itself held up by a busy host must not make us blind for long. */
const maxLookPauseMs = 1_000;

export class Session {
  readonly number: number;
  readonly manager: RelayManager;
  readonly openedAtMs: number;
  readonly #clock: Clock;
  readonly #agentPort: number;
  readonly #upstream: Connection;
  readonly #splice: Splice;
  #queue: SendQueue | undefined;
  #windowClosedSinceAtMs: number | undefined;
  #nextLookAtMs = 0;
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
    this.#clock = clock;
    this.#agentPort = agent.peerPort;
    this.#upstream = upstream;
    this.number = number;
    this.manager = manager;
    this.openedAtMs = clock.monotonicMs();
    this.#splice = splice(clock, { agent, manager: upstream }, events);
  }

  get sample(): SessionSample {
    const { bytesUp, bytesDown, isAnswered } = this.#splice;
    const { lastFromAgentAtMs, lastFromManagerAtMs } = this.#splice;
    const { unansweredSinceAtMs, waitingSinceAtMs, waitingBytes } = this.#splice;
    return {
      session: this.number,
      managerId: this.manager.id,
      address: this.manager.address,
      protocol: 'tcp',
      agentPort: this.#agentPort,
      openedAtMs: this.openedAtMs,
      bytesUp,
      bytesDown,
      isAnswered,
      unansweredSinceAtMs,
      lastFromAgentAtMs,
      lastFromManagerAtMs,
      retransmits: this.#queue?.retransmits ?? 0,
      waitingBytes,
      waitingSinceAtMs: this.#windowClosedSinceAtMs ?? waitingSinceAtMs,
    };
  }

  /** A stall that was not told yet; a session that recovers may stall and be told again. */
  newStall(settings: StallSettings, nowMs: number): Stall | undefined {
    this.#lookAtKernel(nowMs);
    const stall = judgeStall(this.sample, settings, nowMs);
    const isNew = stall !== this.#told;
    this.#told = stall;
    return isNew ? stall : undefined;
  }

  /** As it was when it was last looked at. */
  get isStalled(): boolean {
    return this.#told !== undefined;
  }

  /** Without a byte either way for longer than it may be: a half-closed one may be for less. */
  isIdle(limits: { readonly idleMs: number; readonly halfClosedMs: number }, nowMs: number) {
    const { lastFromAgentAtMs, lastFromManagerAtMs, isHalfClosed } = this.#splice;
    const quietMs = nowMs - Math.max(lastFromAgentAtMs, lastFromManagerAtMs);
    return quietMs >= (isHalfClosed ? limits.halfClosedMs : limits.idleMs);
  }

  /** Only while the agent has said something unanswered: nothing else can be under way. */
  #lookAtKernel(nowMs: number): void {
    if (this.#splice.unansweredSinceAtMs === undefined) this.#queue = undefined;
    else if (nowMs >= this.#nextLookAtMs) {
      const startMs = this.#clock.monotonicMs();
      this.#queue = this.#upstream.sendQueue();
      const tookMs = this.#clock.monotonicMs() - startMs;
      this.#nextLookAtMs = nowMs + Math.min(maxLookPauseMs, tookMs / lookShare);
    }
    if (this.#queue?.isWindowClosed) this.#windowClosedSinceAtMs ??= nowMs;
    else this.#windowClosedSinceAtMs = undefined;
  }

  closeGently(): void {
    this.#splice.closeGently();
  }

  reset(): void {
    this.#splice.reset();
  }
}
