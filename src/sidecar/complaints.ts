/** A full disk fails every second; it is told once a minute. */
import type { PilotfishError } from '../errors.ts';
import type { World } from './world.ts';

const complainEveryMs = 60_000;

export class Complaints {
  readonly #world: Pick<World, 'clock' | 'log'>;
  #code: string | undefined;
  #toldAtMs = 0;

  constructor(world: Pick<World, 'clock' | 'log'>) {
    this.#world = world;
  }

  tell({ code, reason, message }: PilotfishError): void {
    const nowMs = this.#world.clock.monotonicMs();
    if (code === this.#code && nowMs - this.#toldAtMs < complainEveryMs) return;
    this.#code = code;
    this.#toldAtMs = nowMs;
    this.#world.log.error('cycle.failed', { code, reason, message });
  }

  end(): void {
    if (this.#code !== undefined) this.#world.log.info('cycle.recovered', { code: this.#code });
    this.#code = undefined;
  }
}
