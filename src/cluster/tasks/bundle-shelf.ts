/** The bundles that are being sent or were sent a moment ago, so that the next worker joins in. */
import { createHash } from 'node:crypto';
import type { Cancel, Clock, Random } from '../../clock.ts';
import type { FileJobs } from '../files/jobs.ts';
import type { Order } from '../files/manifest.ts';
import type { SealedSpool } from './sealed-pack.ts';
import { SharedBundle } from './shared-bundle.ts';

export interface BundleShelfOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly jobs: Pick<FileJobs, 'sealChanges'>;
  openSpool(): Promise<SealedSpool>;
  /** How long a bundle that nobody reads is kept. */
  readonly keepMs?: number;
  /** The same after a worker's link broke: it comes back and goes on. */
  readonly keepCutMs?: number;
  readonly mostBundles?: number;
}

export interface BundleWish {
  readonly order: Order;
  /** What the ordered files hold: other content makes another bundle. */
  readonly content: string;
  readonly zipBytes: number;
  /** For workers of ours that can take it. */
  readonly isOwn: boolean;
  /** Who gets it. One that lacks the same again after it got a bundle gets a new one. */
  readonly worker: string;
}

interface Kept {
  readonly bundle: Promise<SharedBundle>;
  users: number;
  readonly served: Set<string>;
  timer: Cancel | undefined;
}

export class BundleShelf {
  readonly #options: BundleShelfOptions;
  readonly #kept = new Map<string, Kept>();
  #made = 0;
  #isClosed = false;

  constructor(options: BundleShelfOptions) {
    this.#options = options;
  }

  /** How many bundles were really packed and sealed. */
  get made(): number {
    return this.#made;
  }

  /** Use the bundle for these changes; made once for all who need the same at about one time. */
  async use<Value>(
    wish: BundleWish,
    work: (bundle: SharedBundle) => Promise<Value>,
  ): Promise<Value> {
    const key = keyOf(wish);
    const kept = this.#find(key, wish) ?? this.#make(key, wish);
    kept.users += 1;
    kept.timer?.();
    let isGood = false;
    try {
      const value = await work(await kept.bundle);
      isGood = true;
      kept.served.add(wish.worker);
      return value;
    } finally {
      kept.users -= 1;
      await this.#release(key, kept, isGood);
    }
  }

  /** Drop everything, and keep nothing that is still being made or sent; there is no way back. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#kept].map(([key, kept]) => this.#remove(key, kept)));
  }

  /** A file that changed while it was packed, and back, must not come out of the shelf for ever. */
  #find(key: string, { worker }: BundleWish): Kept | undefined {
    const kept = this.#kept.get(key);
    if (kept?.served.has(worker) !== true) return kept;
    if (kept.users === 0) void this.#remove(key, kept);
    else this.#kept.delete(key); // its last reader drops it
    return undefined;
  }

  #make(key: string, wish: BundleWish): Kept {
    this.#made += 1;
    const kept: Kept = {
      ...{ bundle: this.#open(wish), users: 0, timer: undefined },
      served: new Set(),
    };
    kept.bundle.catch(() => undefined); // every user looks at it
    this.#kept.set(key, kept);
    return kept;
  }

  async #open({ order, zipBytes, isOwn }: BundleWish): Promise<SharedBundle> {
    const { random, jobs, openSpool } = this.#options;
    const spool = await openSpool();
    const name = Buffer.from(random.bytes(16)).toString('hex');
    const path = `/queue/cluster/pilotfish-${name}.zip`;
    const { descriptor } = spool;
    const stream = jobs.sealChanges({ order, zipBytes, isOwn, path, descriptor });
    return new SharedBundle({ path, stream, spool, window: isOwn ? 6 : 2 });
  }

  async #release(key: string, kept: Kept, isGood: boolean): Promise<void> {
    if (kept.users > 0) return;
    const { clock, keepMs = 10_000, keepCutMs = 120_000, mostBundles = 4 } = this.#options;
    const isBroken = !isGood && (await kept.bundle.then((one) => one.isBroken).catch(() => true));
    if (kept.users > 0) return;
    const isOff = this.#isClosed || this.#kept.get(key) !== kept;
    if (isBroken || isOff || this.#kept.size > mostBundles) return this.#remove(key, kept);
    kept.timer = clock.after(isGood ? keepMs : keepCutMs, () => void this.#remove(key, kept));
  }

  async #remove(key: string, kept: Kept): Promise<void> {
    kept.timer?.();
    if (this.#kept.get(key) === kept) this.#kept.delete(key);
    await kept.bundle.then((bundle) => bundle.drop()).catch(() => undefined);
  }
}

/** Two workers share a bundle when they lack the same files and have the same too much. */
function keyOf({ order, content, zipBytes, isOwn }: BundleWish): string {
  const { missing, shared, extra, wanted = [] } = order;
  const surplus = [...extra].map(([name, { itemKey }]) => `${name}\0${itemKey}`).sort();
  const hash = createHash('sha256').update(`${content} ${zipBytes} ${isOwn}`);
  // A name may hold anything but NUL, line ends too.
  for (const names of [missing, shared, surplus, wanted]) {
    hash.update(`\n${names.length}\n${names.join('\0')}`);
  }
  return hash.digest('hex');
}
