/**
 * What was made of a file, kept while its inode says that nothing changed: a look a few times a
 * minute, for ever, then costs one `lstat`. The change time cannot be set by whoever writes there,
 * and one that is younger than a second is not believed yet: a second write may bear the same.
 */
import { lstat } from 'node:fs/promises';
import type { Clock } from '../clock.ts';

const settledMs = 1_000;

export class Unchanged<Value> {
  readonly #clock: Clock;
  #kept: { readonly key: string; readonly value: Value } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `variant`: whatever else the value depends on. */
  async get(path: string, variant: string, make: () => Promise<Value>): Promise<Value> {
    const key = await this.#keyOf(path, variant); // before: a change while we read is seen next time
    if (key !== undefined && key === this.#kept?.key) return this.#kept.value;
    const value = await make();
    if (key !== undefined) this.#kept = { key, value };
    return value;
  }

  async #keyOf(path: string, variant: string): Promise<string | undefined> {
    const stats = await lstat(path, { bigint: true }).catch(() => undefined);
    if (stats === undefined) return undefined;
    const { dev, ino, size, ctimeMs, ctimeNs } = stats;
    if (this.#clock.nowMs() - Number(ctimeMs) < settledMs) return undefined;
    return `${path} ${variant} ${dev} ${ino} ${size} ${ctimeNs}`;
  }
}
