/**
 * Store steps of one link, done one after the other. A transfer whose step failed stays failed
 * until it is dropped: a later step must not make half a file look whole.
 */
import { messageOf } from '../guards.ts';
import type { StoreStep } from './session/output.ts';

/** Where large strings and files go while they arrive. Steps of one transfer come in order. */
export interface TransferStore {
  /** Resolves when the step is done; rejects when it cannot be, for instance on a full disk. */
  perform(step: StoreStep): Promise<void>;
}

/** `failure`: why the step was not done, for the peer and for the log. */
export type StepDone = (failure: string | undefined) => void;

export class StoreQueue {
  readonly #store: TransferStore;
  readonly #failed = new Map<number, string>();
  #tail: Promise<void> = Promise.resolve();
  #waitingBytes = 0;

  constructor(store: TransferStore) {
    this.#store = store;
  }

  /** Bytes handed over and not stored yet; the link stops reading when they pile up. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  push(step: StoreStep, done: StepDone): void {
    const bytes = step.action === 'append' ? step.bytes.length : 0;
    this.#waitingBytes += bytes;
    this.#tail = this.#tail.then(async () => {
      const failure = await this.#perform(step);
      this.#waitingBytes -= bytes;
      done(failure);
    });
  }

  /** Resolves when everything pushed so far is done. */
  settled(): Promise<void> {
    return this.#tail;
  }

  async #perform(step: StoreStep): Promise<string | undefined> {
    const before = this.#failed.get(step.transfer);
    if (step.action === 'drop') this.#failed.delete(step.transfer);
    else if (before !== undefined) return before;
    try {
      await this.#store.perform(step);
      return undefined;
    } catch (error) {
      const failure = messageOf(error);
      if (step.action !== 'drop') this.#failed.set(step.transfer, failure);
      return failure;
    }
  }
}
