/**
 * What peers tell of newer masters. Whoever has the cluster key can tell anything, so a word is a
 * reason to ask the engine, never a fact: it counts until the engine has answered, and is not kept.
 */
import type { Clock } from '../clock.ts';
import { PilotfishError } from '../errors.ts';
import type { SeatEngine } from '../leader/engine.ts';

export interface PeerWordParts {
  readonly engine: Pick<SeatEngine, 'look'>;
  readonly clock: Clock;
  knownRevision(): number;
  /** The seat of this token is not this node's any more, or the engine does not say whose it is. */
  lost(own: number, why: string): void;
}

/** The least `cluster.promotion.pause`: so soon after the seat was ours nobody else is the master. */
const quietMs = 1_000;

export class PeerWord {
  readonly #parts: PeerWordParts;
  #token = 0;
  #isAsking = false;
  #oursAtMs = Number.NEGATIVE_INFINITY;

  constructor(parts: PeerWordParts) {
    this.#parts = parts;
  }

  /** The greatest token that was told since the engine answered last; 0: none. */
  get token(): number {
    return this.#token;
  }

  /** A master serves nothing until the engine has said whose the seat is. */
  get isAsking(): boolean {
    return this.#isAsking;
  }

  /** `own`: the token of this node's seat, if it has it. Never waits. */
  heard(token: number, own: number | undefined): void {
    this.#token = Math.max(this.#token, token);
    if (own !== undefined && token > own && !this.#isAsking) void this.#ask(own, token);
  }

  /** Whatever is on record is known now: it outranks every word. */
  answered(): void {
    this.#token = 0;
  }

  async #ask(own: number, token: number): Promise<void> {
    const { clock, engine, knownRevision, lost } = this.#parts;
    const sentAtMs = clock.monotonicMs();
    if (sentAtMs - this.#oursAtMs < quietMs) return;
    const why = `a peer has seen a newer master, with token ${token}`;
    this.#isAsking = true;
    try {
      const { holder } = await engine.look(knownRevision());
      if (holder?.token === own) this.#oursAtMs = sentAtMs;
      else lost(own, why);
    } catch (thrown) {
      if (!(thrown instanceof PilotfishError)) throw thrown;
      lost(own, `${why}; the engine does not deny it: ${thrown.message}`);
    } finally {
      this.#isAsking = false;
    }
  }
}
