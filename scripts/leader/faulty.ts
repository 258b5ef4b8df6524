/** A contender's clock and its way to etcd, in the hands of a seed. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Cancel, Clock } from '../../src/clock.ts';
import type { EtcdDoor } from '../../src/leader/etcd/client.ts';

/**
 * `stopped`: as by SIGSTOP, nothing runs, time passes; `cut`: refused; `hole`: never answered;
 * `deaf`: carried out, but no answer comes; `slow`: up to a second late.
 */
export type Weather = 'fair' | 'stopped' | 'cut' | 'hole' | 'deaf' | 'slow';

export class FaultyHost {
  readonly clock: Clock;
  readonly door: EtcdDoor;
  #weather: Weather = 'fair';
  #held: (() => void)[] = [];

  constructor(real: Clock, door: EtcdDoor, chance: () => number) {
    this.clock = {
      nowMs: () => real.nowMs(),
      monotonicMs: () => real.monotonicMs(),
      after: (delayMs, task) => this.#after(real, delayMs, task),
    };
    this.door = {
      post: async (endpoint, path, body, token, signal) => {
        await this.#running();
        const weather = this.#weather;
        if (weather === 'cut') throw new Error('connection refused');
        if (weather === 'hole') await aborted(signal);
        if (weather === 'slow') await pause(chance() * 1_000);
        const answer = await door.post(endpoint, path, body, token, AbortSignal.timeout(60_000));
        await this.#running();
        if (weather === 'deaf') throw new Error('the connection ended before the answer');
        return answer;
      },
    };
  }

  get weather(): Weather {
    return this.#weather;
  }

  set(weather: Weather): void {
    this.#weather = weather;
    if (weather === 'stopped') return;
    for (const go of this.#held.splice(0)) go();
  }

  /** Everything the host does passes here. */
  async #running(): Promise<void> {
    while (this.#weather === 'stopped') {
      await new Promise<void>((resolve) => this.#held.push(resolve));
    }
  }

  #after(real: Clock, delayMs: number, task: () => void): Cancel {
    let isOff = false;
    const run = (): void => {
      if (isOff) return;
      if (this.#weather === 'stopped') this.#held.push(run);
      else task();
    };
    const cancel = real.after(delayMs, run);
    return () => {
      isOff = true;
      cancel();
    };
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}
