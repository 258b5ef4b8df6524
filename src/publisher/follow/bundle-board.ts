/**
 * Where the publisher and the cluster node beside it meet: the bundle that is served hangs here for
 * the node to carry, and one that a peer brought waits here for the follower. Each holds the newest
 * only.
 */
import { sha256Tag } from '../../bytes.ts';
import { untilAborted } from '../../clock.ts';
import type { ListDesk } from '../../cluster/tasks/list-courier.ts';
import type { FollowSource, Look } from './follower.ts';
import { type Bundle, decodeBundle, encodeBundle, maxBundleBytes, offerOf } from './offer.ts';

export class BundleBoard {
  #held: { readonly mark: string; readonly bytes: Uint8Array } | undefined;
  #change = Promise.withResolvers<void>();

  hang(bundle: Bundle): void {
    const bytes = encodeBundle(bundle);
    this.#held = { mark: sha256Tag(bytes), bytes };
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }

  /** `inbox`: where this publisher follows. */
  desk(inbox?: BundleInbox): ListDesk {
    return {
      held: () => this.#held,
      untilOther: async (mark, signal) => {
        while (this.#held === undefined || this.#held.mark === mark) {
          await untilAborted(this.#change.promise, signal);
        }
      },
      ...(inbox === undefined ? {} : { take: (bytes, from) => inbox.put(bytes, from) }),
      maxBytes: maxBundleBytes,
    };
  }
}

/** What a peer brought, as a source of the follower. */
export class BundleInbox implements FollowSource {
  readonly name = 'cluster';
  /** A peer that hands over the same again and again keeps nobody busy. */
  readonly everyMs = 1_000;
  #waiting: { readonly bytes: Uint8Array; readonly from: string } | undefined;
  #arrival = Promise.withResolvers<void>();

  /** The node whose list was looked at last; for people. */
  from: string | undefined;

  put(bytes: Uint8Array, from: string): void {
    this.#waiting = { bytes, from };
    this.#arrival.resolve();
    this.#arrival = Promise.withResolvers();
  }

  async look(_known: unknown, signal: AbortSignal): Promise<Look> {
    while (this.#waiting === undefined) await untilAborted(this.#arrival.promise, signal);
    const { bytes, from } = this.#waiting;
    this.#waiting = undefined;
    this.from = from;
    return { kind: 'offer', offer: offerOf(decodeBundle(bytes)) };
  }
}
