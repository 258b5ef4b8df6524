/**
 * Sits down when the seat is empty, renews, stands up in time. Loops side by side, so that a slow look
 * never delays a renewal, and neither delays the end of a lease that nobody renewed. Whoever asks `standing` gets the answer of this very instant.
 */
import { type Clock, type Random, sleep } from '../clock.ts';
import { PilotfishError } from '../errors.ts';
import type { Holder, Look, SeatEngine } from './engine.ts';
import {
  followOffice,
  isSeated,
  type Office,
  type OfficeEvent,
  outside,
  renewAtMs,
} from './office.ts';

export type Standing =
  | { readonly kind: 'leader'; readonly token: number }
  | { readonly kind: 'standby'; readonly holder: Holder | undefined; readonly why: string };

export interface OfficeParts {
  readonly engine: SeatEngine;
  readonly clock: Clock;
  readonly random: Random;
  /** Time between two looks, milliseconds. */
  readonly lookEveryMs: number;
  /** Revision of the shared state that is known here: only another one is fetched. */
  knownRevision(): number;
  /** May this contender sit down now? */
  mayTake?(): boolean;
  /** After every look. What it throws as a PilotfishError is told by `failed`. */
  seen?(look: Look): Promise<void> | void;
  /** The standing is another one. */
  changed?(now: Standing): void;
  /** Undefined: it works again. */
  failed?(error: PilotfishError | undefined): void;
}

/** The seat of one contender, from its start to its end. */
export class OfficeKeeper {
  readonly #parts: OfficeParts;
  #office: Office = outside('the seat was not looked at yet');
  #told = 'standby';
  #who = '';
  #sinceMs: number;
  #firstLook = Promise.withResolvers<void>();

  constructor(parts: OfficeParts) {
    this.#parts = parts;
    this.#sinceMs = parts.clock.monotonicMs();
  }

  /** Monotonic: since when whoever has the seat has it, as seen from here. */
  sinceMs(): number {
    return this.#sinceMs;
  }

  /** On the monotonic clock, at this instant. */
  standing(): Standing {
    const { clock, engine } = this.#parts;
    const office = this.#follow({ kind: 'passed' });
    if (office.kind === 'seated' && isSeated(office, clock.monotonicMs(), engine)) {
      return { kind: 'leader', token: office.token };
    }
    if (office.kind === 'seated') return { kind: 'standby', holder: undefined, why: '' };
    return { kind: 'standby', holder: office.holder, why: office.why };
  }

  /** Resolves when the store was asked once, whatever it said. */
  looked(): Promise<void> {
    return this.#firstLook.promise;
  }

  /** A write was refused: the seat is somebody else's. Or it is about to be given back. */
  fenced(token: number, why = 'a write was refused: somebody else has the seat'): void {
    this.#follow({ kind: 'lost', token, why });
  }

  /** Until `signal` aborts; then the seat is given back. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await Promise.all([this.#lookOn(signal), this.#renewOn(signal), this.#watchOn(signal)]);
    } finally {
      this.#firstLook.resolve();
      await this.#leave();
    }
  }

  async #lookOn(signal: AbortSignal): Promise<void> {
    const { clock, random, lookEveryMs } = this.#parts;
    while (!signal.aborted) {
      await this.#attempt(signal, () => this.#look(signal));
      this.#firstLook.resolve();
      const jitter = 0.8 + random.fraction() * 0.4;
      await sleep(clock, lookEveryMs * jitter, signal).catch(() => undefined);
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { engine, mayTake, seen, knownRevision } = this.#parts;
    const look = await engine.look(knownRevision(), signal);
    const office = this.#follow({ kind: 'looked', holder: look.holder });
    await seen?.(look); // before the seat is taken: a new holder has what the last one left
    const isFree = office.kind === 'outside' && look.holder === undefined;
    if (isFree && mayTake?.() !== false && !signal.aborted) await this.#take(signal);
  }

  async #take(signal: AbortSignal): Promise<void> {
    const { engine, clock } = this.#parts;
    const sentAtMs = clock.monotonicMs();
    const taken = await engine.take(signal);
    if (taken.kind === 'held') this.#follow({ kind: 'looked', holder: taken.holder });
    else this.#follow({ kind: 'taken', token: taken.token, sentAtMs });
  }

  async #renewOn(signal: AbortSignal): Promise<void> {
    const { clock, engine } = this.#parts;
    while (!signal.aborted) {
      const office = this.#follow({ kind: 'passed' });
      const dueMs = renewAtMs(office, engine);
      if (office.kind === 'seated' && dueMs !== undefined && clock.monotonicMs() >= dueMs) {
        await this.#attempt(signal, () => this.#renew(office.token, signal));
      }
      await sleep(clock, this.#pauseMs(), signal).catch(() => undefined);
    }
  }

  async #watchOn(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#follow({ kind: 'passed' });
      await sleep(this.#parts.clock, this.#pauseMs(), signal).catch(() => undefined);
    }
  }

  #pauseMs(): number {
    return Math.min(this.#parts.lookEveryMs, this.#parts.engine.ttlMs / 20);
  }

  async #renew(token: number, signal: AbortSignal): Promise<void> {
    const { engine, clock } = this.#parts;
    const sentAtMs = clock.monotonicMs();
    const outcome = await engine.renew(token, signal);
    if (outcome === 'renewed') this.#follow({ kind: 'renewed', token, sentAtMs });
    else this.#follow({ kind: 'lost', token, why: 'the store ended the lease' });
  }

  async #leave(): Promise<void> {
    const office = this.#office;
    this.#office = outside('this publisher stops');
    if (office.kind !== 'seated') return;
    try {
      await this.#parts.engine.leave(office.token);
    } catch (thrown) {
      if (!(thrown instanceof PilotfishError)) throw thrown; // else the lease ends by itself
    }
  }

  async #attempt(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#parts.failed?.(undefined);
    } catch (thrown) {
      if (signal.aborted) return;
      if (!(thrown instanceof PilotfishError)) throw thrown;
      this.#follow({ kind: 'failed', why: thrown.message });
      this.#parts.failed?.(thrown);
    }
  }

  #follow(event: OfficeEvent): Office {
    const { clock, engine } = this.#parts;
    this.#office = followOffice(this.#office, event, clock.monotonicMs(), engine);
    const who = whoIn(this.#office);
    if (who !== this.#who) this.#sinceMs = clock.monotonicMs();
    this.#who = who;
    const told = this.#office.kind === 'seated' ? `leader ${this.#office.token}` : 'standby';
    if (told !== this.#told) {
      this.#told = told;
      this.#parts.changed?.(this.standing());
    }
    return this.#office;
  }
}

function whoIn(office: Office): string {
  if (office.kind === 'seated') return `${office.token}`;
  return office.holder === undefined ? '' : `${office.holder.name} ${office.holder.token}`;
}
