/** The size of the next bundle to one peer, learnt from the last trips; logs as stock does. */
import type { Communication } from '../files/cluster-json.ts';
import { adaptZipLimit, zipLimitText } from '../files/zip-limit.ts';
import type { NodeLog } from './node-log.ts';
import type { Trip } from './sending.ts';

export class ZipBudget {
  readonly #rules: Communication;
  #limitBytes: number;

  constructor(rules: Communication) {
    this.#rules = rules;
    this.#limitBytes = rules.maxZipBytes;
  }

  get limitBytes(): number {
    return this.#limitBytes;
  }

  learn(trip: Trip, log: NodeLog): void {
    const next = adaptZipLimit(this.#limitBytes, trip, this.#rules);
    this.#limitBytes = next.limitBytes;
    const text = zipLimitText(next);
    if (text !== undefined) log.debug(text);
  }
}
