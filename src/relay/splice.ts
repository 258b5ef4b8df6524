/**
 * Two connections made one: bytes, half-closes and back-pressure pass unchanged. It holds no buffer
 * of its own: a side that cannot write stops the other side's reading, so at most one read plus
 * what the socket was already given waits per direction.
 */
import type { Clock } from '../clock.ts';
import { isFramedPongs } from '../health/ping.ts';
import type { Connection } from './ports.ts';

export interface Splice {
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** See `SessionSample`. */
  readonly isAnswered: boolean;
  readonly lastFromAgentAtMs: number;
  readonly lastFromManagerAtMs: number;
  readonly unansweredSinceAtMs: number | undefined;
  readonly waitingSinceAtMs: number | undefined;
  readonly waitingBytes: number;
  /** One side has said that it sends no more, or is gone. */
  readonly isHalfClosed: boolean;
  /** The agent closes by itself when it sees the end; what it sent before still arrives. */
  closeGently(): void;
  reset(): void;
}

export interface SpliceEvents {
  /** The manager left while the agent had not: `reset` without, `closed` with an orderly end. */
  managerLeft(why: 'closed' | 'reset'): void;
  /** Both connections are gone. */
  closed(): void;
}

/** Starts at once. The splice is the only one who hears of either connection from here on. */
export function splice(
  clock: Clock,
  sides: { readonly agent: Connection; readonly manager: Connection },
  events: SpliceEvents,
): Splice {
  const running = new RunningSplice(clock, sides, events);
  running.start();
  return running;
}

class RunningSplice implements Splice {
  readonly #clock: Clock;
  readonly #agent: Connection;
  readonly #manager: Connection;
  readonly #events: SpliceEvents;
  readonly #open: Set<Connection>;
  #agentEnded = false;
  #managerEnded = false;
  #isOver = false;
  /** We have told the agent the end: nothing can be written to it any more. */
  #isSentAway = false;
  bytesUp = 0;
  bytesDown = 0;
  isAnswered = false;
  lastFromAgentAtMs: number;
  lastFromManagerAtMs: number;
  unansweredSinceAtMs: number | undefined;
  waitingSinceAtMs: number | undefined;

  constructor(
    clock: Clock,
    { agent, manager }: { readonly agent: Connection; readonly manager: Connection },
    events: SpliceEvents,
  ) {
    this.#clock = clock;
    this.#agent = agent;
    this.#manager = manager;
    this.#events = events;
    this.#open = new Set([agent, manager]);
    this.lastFromAgentAtMs = clock.monotonicMs();
    this.lastFromManagerAtMs = this.lastFromAgentAtMs;
  }

  get waitingBytes(): number {
    return this.#manager.waitingBytes;
  }

  get isHalfClosed(): boolean {
    return this.#agentEnded || this.#managerEnded || this.#open.size < 2;
  }

  start(): void {
    this.#agent.attach({
      bytes: (bytes) => this.#fromAgent(bytes),
      drained: () => this.#manager.resume(),
      ended: () => this.#agentEnds(),
      closed: (broken) => this.#sideClosed(this.#agent, broken),
    });
    this.#manager.attach({
      bytes: (bytes) => this.#fromManager(bytes),
      drained: () => this.#managerDrained(),
      ended: () => this.#managerEnds(),
      closed: (broken) => this.#sideClosed(this.#manager, broken),
    });
    this.#agent.resume();
    this.#manager.resume();
  }

  closeGently(): void {
    if (this.#open.has(this.#agent)) this.#agent.end();
    this.#isSentAway = true;
    this.#agentEnded = true; // whatever the manager does now is of our own making
  }

  /** The agent hears of it at once; the manager too, or when it can be reached again. */
  reset(): void {
    this.#isOver = true;
    this.#agent.reset();
    this.#manager.leave(); // one that still had the session would refuse the agent's next one
  }

  #fromAgent(bytes: Uint8Array): void {
    this.bytesUp += bytes.length;
    this.lastFromAgentAtMs = this.#clock.monotonicMs();
    this.unansweredSinceAtMs ??= this.lastFromAgentAtMs;
    if (this.#manager.write(bytes)) return;
    this.waitingSinceAtMs ??= this.lastFromAgentAtMs;
    this.#agent.pause();
  }

  #fromManager(bytes: Uint8Array): void {
    this.isAnswered ||= !isFramedPongs(bytes, this.bytesDown);
    this.bytesDown += bytes.length;
    this.lastFromManagerAtMs = this.#clock.monotonicMs();
    this.unansweredSinceAtMs = undefined;
    // A write after the end would break the agent's side, and with it what the agent still says.
    if (this.#isSentAway) return;
    if (!this.#agent.write(bytes)) this.#manager.pause();
  }

  #managerDrained(): void {
    this.waitingSinceAtMs = undefined;
    this.#agent.resume();
  }

  #agentEnds(): void {
    this.#agentEnded = true;
    this.#manager.end();
  }

  #managerEnds(): void {
    this.#managerEnded = true;
    if (!this.#agentEnded) this.#events.managerLeft('closed');
    this.#agent.end();
  }

  #sideClosed(side: Connection, broken: boolean): void {
    const other = side === this.#agent ? this.#manager : this.#agent;
    this.#open.delete(side);
    if (broken && !this.#isOver) {
      const isFirst = !this.#agentEnded && side === this.#manager;
      this.#isOver = true;
      if (isFirst) this.#events.managerLeft('reset');
      other.reset();
    }
    if (this.#open.size === 0) this.#events.closed();
  }
}
