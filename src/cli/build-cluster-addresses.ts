/** A node of ours tells its master where agents reach its manager, and again when that changes. */
import { sleep } from '../clock.ts';
import { encodeSaid } from '../cluster/tasks/said-addresses.ts';
import type { Worker } from '../cluster/worker/worker.ts';
import { messageOf } from '../guards.ts';
import { type AddressSources, readOwnAddresses } from '../host/own-addresses.ts';
import { systemClock as clock } from '../host/system-clock.ts';
import { present } from '../list/members.ts';
import type { ZoneAddress } from '../list/model.ts';
import type { Log } from '../log.ts';
import type { ClusterSection } from './cluster-config.ts';

const lookEveryMs = 2_000;

/** What this host says of itself, kept up to date until `signal` aborts. */
export class OwnVoice {
  readonly #sources: AddressSources;
  readonly #events: Log;
  #complained = '';
  #addresses: readonly ZoneAddress[] | undefined;

  constructor(sources: AddressSources, events: Log) {
    this.#sources = sources;
    this.#events = events;
  }

  /** Undefined before the first look. */
  get addresses(): readonly ZoneAddress[] | undefined {
    return this.#addresses;
  }

  /** `worker`: undefined where this node is the master, which hears itself. */
  async run(worker: Worker | undefined, signal: AbortSignal): Promise<void> {
    let told: unknown;
    let text = '';
    while (!signal.aborted) {
      await this.#look();
      const bytes = encodeSaid(this.#addresses ?? []);
      const { connection } = worker ?? {};
      const isNews = connection !== told || bytes.toString() !== text;
      if (connection?.peer === 'ours' && isNews && (await this.#tell(worker, bytes, signal))) {
        told = connection;
        text = bytes.toString();
      }
      await sleep(clock, lookEveryMs, signal).catch(() => undefined);
    }
  }

  async #look(): Promise<void> {
    const { addresses, faults } = await readOwnAddresses(this.#sources);
    this.#addresses = addresses;
    const complaint = faults.join('; ');
    if (complaint !== this.#complained && complaint !== '') {
      this.#events.error('cluster.addresses', { reason: complaint });
    }
    this.#complained = complaint;
  }

  async #tell(worker: Worker | undefined, bytes: Buffer, signal: AbortSignal): Promise<boolean> {
    try {
      await worker?.tell(bytes, signal);
      return true;
    } catch (thrown) {
      if (!signal.aborted) this.#events.warn('cluster.addresses', { reason: messageOf(thrown) });
      return false; // the link ended, perhaps: at the next look again
    }
  }
}

/** What this node tells of its own manager, where it tells anything. */
export function advertiseOf({ advertise }: ClusterSection): {
  readonly advertise?: AddressSources;
} {
  if (advertise === undefined) return {};
  const { addresses, networks, labels } = advertise;
  return { advertise: { named: addresses.map(present), networks, labels } };
}
