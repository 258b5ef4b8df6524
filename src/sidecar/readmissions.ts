/**
 * Managers that the list said were down, and says no longer: each is as one that came back now, even
 * where it answered this host all the time (its keys were old, others could not reach it), so that
 * agents go there in a growing share. Bounded by the managers of the list; forgotten with this process.
 */
import type { Health } from '../health/judge.ts';
import type { Manager } from '../list/model.ts';

export class Readmissions {
  #down = new Set<string>();
  readonly #atMs = new Map<string, number>();

  /** The managers of the list as they are now. */
  note(managers: readonly Manager[], nowMs: number): void {
    const listed = new Map(managers.map(({ id, state }) => [id, state]));
    for (const id of this.#atMs.keys()) if (!listed.has(id)) this.#atMs.delete(id);
    for (const id of this.#down) {
      const state = listed.get(id);
      if (state !== undefined && state !== 'down') this.#atMs.set(id, nowMs);
    }
    this.#down = new Set([...listed].filter(([, state]) => state === 'down').map(([id]) => id));
  }

  /** The health of a manager, its return not before the list took it back. */
  applyTo(id: string, health: Health): Health {
    const atMs = this.#atMs.get(id);
    if (atMs === undefined || (health.returnedAtMs ?? 0) >= atMs) return health;
    return { ...health, returnedAtMs: atMs };
  }
}
