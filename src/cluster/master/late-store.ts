/** Uploads go nowhere before the hello was good; the session allows none before either. */
import { PeerError } from '../../errors.ts';
import type { StoreStep } from '../session/output.ts';
import type { TransferStore } from '../store-queue.ts';

export class LateStore implements TransferStore {
  #store: TransferStore | undefined;

  use(store: TransferStore): void {
    this.#store = store;
  }

  async perform(step: StoreStep): Promise<void> {
    if (this.#store === undefined) throw new PeerError('wire_limit', 'an upload before hello');
    await this.#store.perform(step);
  }
}
