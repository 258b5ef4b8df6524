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
      const untilMs = sinceMs + Math.min(this.#patienceMs(), this.#limits.maxKeepMs);
      if (signal.aborted || this.#clock.monotonicMs() >= untilMs) return 'over';
      if (place < this.#newest) return 'replaced';
      this.#newest = place;
      this.#untilMs = untilMs;
      await sleep(this.#clock, this.#limits.keepLookMs, signal).catch(() => undefined);
      if (place === this.#newest && hasOther()) return 'other';
    }
  }
}

/** Who was dialled for one agent in vain: again only once it answers the probes. */
export class Tried {
  readonly #keys = new Set<string>();
  readonly #ids = new Set<string>();

  get ids(): readonly string[] {
    return [...this.#ids];
  }

  add(managers: readonly RelayManager[]): void {
    for (const one of managers) {
      this.#keys.add(keyOf(one));
      this.#ids.add(one.id);
    }
  }

  worthDialling(managers: readonly RelayManager[]): readonly RelayManager[] {
    return managers.filter((one) => one.answers === true || !this.#keys.has(keyOf(one)));
  }
}

function keyOf({ id, address, port }: RelayManager): string {
  return `${id} ${address} ${port}`;
}
