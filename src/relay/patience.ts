/**
 * An agent that nobody answers just now is kept for a moment where somebody may answer soon: turned
 * away it waits a second, leaves for its own entries, and costs a restart to bring back. Bounded in
 * time from its accept (silence costs an agent its handshake), and to one: a host has one agent, so
 * whoever comes later takes the place. Nothing of a kept agent is read.
 */
import { type Clock, sleep } from '../clock.ts';
import type { RelayManager } from './ports.ts';

export interface PatienceLimits {
  /** Longest, whatever `patienceMs` says. */
  readonly maxKeepMs: number;
  /** Between two looks for somebody to dial. */
  readonly keepLookMs: number;
}

/** `other`: somebody is worth dialling · `over`: its time is up · `replaced`: a later agent waits. */
export type WaitEnding = 'other' | 'over' | 'replaced';

export interface Guest {
  /** Resolves with `over` also when `signal` aborts. */
  wait(hasOther: () => boolean, signal: AbortSignal): Promise<WaitEnding>;
  /** It was led on or turned away. */
  leave(): void;
}

/** Asked anew at every look: patience changes with what the probes say. */
export function keptUntilMs(
  acceptedAtMs: number,
  patienceMs: number,
  { maxKeepMs }: Pick<PatienceLimits, 'maxKeepMs'>,
): number {
  return acceptedAtMs + Math.min(patienceMs, maxKeepMs);
}

export class Patience {
  readonly #clock: Clock;
  readonly #limits: PatienceLimits;
  readonly #patienceMs: () => number;
  #newest = 0;
  #arrived = 0;
  #untilMs: number | undefined;

  /** `patienceMs`: see `RelayPorts`. */
  constructor(clock: Clock, limits: PatienceLimits, patienceMs: () => number) {
    this.#clock = clock;
    this.#limits = limits;
    this.#patienceMs = patienceMs;
  }

  /** While an agent is kept: for how long still, at most. */
  get keepsForMs(): number | undefined {
    if (this.#untilMs === undefined) return undefined;
    return Math.max(0, this.#untilMs - this.#clock.monotonicMs());
  }

  /** An agent accepted at `sinceMs` (monotonic). */
  guest(sinceMs: number): Guest {
    this.#arrived += 1;
    const place = this.#arrived;
    return {
      wait: (hasOther, signal) => this.#wait(place, sinceMs, { hasOther, signal }),
      leave: () => {
        if (place === this.#newest) this.#untilMs = undefined;
      },
    };
  }

  async #wait(
    place: number,
    sinceMs: number,
    { hasOther, signal }: { readonly hasOther: () => boolean; readonly signal: AbortSignal },
  ): Promise<WaitEnding> {
    for (;;) {
      const untilMs = keptUntilMs(sinceMs, this.#patienceMs(), this.#limits);
      if (signal.aborted || this.#clock.monotonicMs() >= untilMs) return 'over';
      if (place < this.#newest) return 'replaced';
      this.#newest = place;
      this.#untilMs = untilMs;
      await sleep(this.#clock, this.#limits.keepLookMs, signal).catch(() => undefined);
      if (place === this.#newest && hasOther()) return 'other';
    }
  }
}

/** A verdict settles in less; one that does not answer for so long was not full, but dead. */
const fallenMs = 1_000;

/**
 * Who was dialled for one agent in vain: again only once it answers the probes. One that was silent
 * and goes on answering them has more agents before its door than it takes in: a big fleet woke at one
 * instant. Where one is full the others are, and each dial is a connection more there: the agent is
 * turned away at once, and its own loop waits at a door as a kernel does, less and less often. A fleet
 * that is taken in within seconds fills no door: there the next manager is dialled as ever.
 */
export class Tried {
  readonly #keys = new Set<string>();
  readonly #ids = new Set<string>();
  readonly #silentAtMs = new Map<string, number>();
  readonly #isCrowd: () => boolean;

  /** `isCrowd`: see `RelayPorts`. */
  constructor(isCrowd: () => boolean) {
    this.#isCrowd = isCrowd;
  }

  get ids(): readonly string[] {
    return [...this.#ids];
  }

  add(managers: readonly RelayManager[]): void {
    for (const one of managers) {
      this.#keys.add(keyOf(one));
      this.#ids.add(one.id);
    }
  }

  addSilent(manager: RelayManager, nowMs: number): void {
    this.#silentAtMs.set(keyOf(manager), nowMs);
  }

  /** `managers`, here and below: as the probes have them now. */
  isFull(managers: readonly RelayManager[], nowMs: number): boolean {
    for (const one of managers) {
      const silentAtMs = this.#silentAtMs.get(keyOf(one)) ?? nowMs;
      const hasFallen = one.answers !== true && nowMs - silentAtMs >= fallenMs;
      if (hasFallen) this.#silentAtMs.delete(keyOf(one));
    }
    const isFull = managers.some((one) => one.answers && this.#silentAtMs.has(keyOf(one)));
    return isFull && this.#isCrowd();
  }

  worthDialling(managers: readonly RelayManager[], nowMs: number): readonly RelayManager[] {
    if (this.isFull(managers, nowMs)) return [];
    return managers.filter((one) => one.answers === true || !this.#keys.has(keyOf(one)));
  }
}

function keyOf({ id, address, port }: RelayManager): string {
  return `${id} ${address} ${port}`;
}
