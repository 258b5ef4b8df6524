/**
 * The state of the offer on one connection. A worker offers once, right after hello; a master
 * answers at most one offer and never makes one. Without a policy (or a seal) it never speaks.
 */
import type { Random } from '../../clock.ts';
import type { Role } from '../wire/command.ts';
import type { Seal } from '../wire/seal.ts';
import {
  answerOffer,
  decodeOffer,
  encodeOffer,
  type LinkKeys,
  masterTokenOf,
  type Offer,
  type OfferAnswer,
  readOfferAnswer,
  tokenFeature,
} from './offer.ts';

export interface OfferPolicy {
  /** This node's own name; bound into the keys. */
  readonly node: string;
  /** What this node can do beyond the stock protocol: `a-z`, `0-9`, `-`; at most 16. */
  readonly features: readonly string[];
  /** A worker's own rule; a master says it per worker, in `admit`. */
  readonly mustBeOurs: boolean;
  /**
   * Master: the fencing token of its role. Worker: the greatest that it has seen; a master that
   * shows an older one, or none, is refused. Absent: the role does not move.
   */
  readonly masterToken?: number;
}

interface NegotiationOptions {
  readonly role: Role;
  readonly seal: Seal | undefined;
  readonly random: Random;
  readonly policy: OfferPolicy | undefined;
}

/** What `answer` gives a master: the payload that goes out in plain, then these keys. */
export interface Agreed {
  readonly payload: Buffer;
  readonly keys: LinkKeys;
  readonly features: ReadonlySet<string>;
}

export class Negotiation {
  readonly #options: NegotiationOptions;
  #offered: { readonly offer: Offer; readonly bytes: Buffer } | undefined;
  #isAnswered = false;

  constructor(options: NegotiationOptions) {
    this.#options = options;
  }

  /** Worker: why a master of ours with these features is not followed; undefined: it is. */
  outdated(features: ReadonlySet<string>): string | undefined {
    const least = this.#options.policy?.masterToken;
    const shown = masterTokenOf(features);
    if (least === undefined || (shown !== undefined && shown >= least)) return undefined;
    const what = shown === undefined ? 'no token of its role' : `token ${shown}`;
    return `the master shows ${what}; a newer master has token ${least}`;
  }

  /** Master: the token that a worker with these features has seen, when it outranks ours. */
  newerToken(features: ReadonlySet<string>): number | undefined {
    const own = this.#options.policy?.masterToken;
    const seen = masterTokenOf(features);
    return own !== undefined && seen !== undefined && seen > own ? seen : undefined;
  }

  get mustBeOurs(): boolean {
    return this.#options.policy?.mustBeOurs ?? false;
  }

  /** Worker: the payload of the echo to send; undefined when this node does not negotiate. */
  begin(): Buffer | undefined {
    const { role, seal, random, policy } = this.#options;
    if (role !== 'worker' || seal === undefined || policy === undefined) return undefined;
    const offer = { nonce: random.bytes(32), features: featuresOf(policy) };
    this.#offered = { offer, bytes: encodeOffer(offer) };
    return this.#offered.bytes;
  }

  /** Worker: what came back. */
  read(answer: Buffer): OfferAnswer {
    const { seal, policy } = this.#options;
    if (this.#offered === undefined || seal === undefined || policy === undefined) {
      return { kind: 'invalid', reason: 'nothing was offered' };
    }
    const { offer, bytes } = this.#offered;
    return readOfferAnswer(seal.key, bytes, { ...offer, worker: policy.node }, answer);
  }

  /** Master: undefined when this echo is no offer, or not one to be answered. */
  answer(payload: Uint8Array, worker: string): Agreed | undefined {
    const { role, seal, random, policy } = this.#options;
    if (role !== 'master' || seal === undefined || policy === undefined) return undefined;
    const theirs = this.#isAnswered ? undefined : decodeOffer(payload);
    if (theirs === undefined) return undefined;
    this.#isAnswered = true;
    const own = {
      nonce: random.bytes(32),
      features: featuresOf(policy),
      master: policy.node,
      worker,
    };
    return answerOffer(seal.key, payload, theirs, own);
  }
}

function featuresOf({ features, masterToken }: OfferPolicy): readonly string[] {
  return masterToken === undefined ? features : [...features, tokenFeature(masterToken)];
}
