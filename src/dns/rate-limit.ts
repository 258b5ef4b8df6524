/**
 * How many answers a network gets a second (response rate limiting): a forged source address must
 * not make this server flood somebody. Over the limit every second answer is a short "ask over TCP",
 * which a real client can follow and a victim barely notices; the rest are dropped. Bounded memory.
 */
import { isIPv4 } from 'node:net';

export interface RateSettings {
  /** Answers a second for one IPv4 /24 or IPv6 /64. */
  readonly perSecond: number;
  readonly maxNetworks: number;
}

export const defaultRate: RateSettings = { perSecond: 200, maxNetworks: 10_000 };

interface Bucket {
  tokens: number;
  atMs: number;
  over: number;
}

export class ResponseRate {
  readonly #settings: RateSettings;
  readonly #buckets = new Map<string, Bucket>();

  constructor(settings: RateSettings = defaultRate) {
    this.#settings = settings;
  }

  /** For one question from `address` at monotonic `nowMs`. */
  judge(address: string, nowMs: number): 'answer' | 'truncate' | 'drop' {
    const { perSecond } = this.#settings;
    const bucket = this.#bucket(networkOf(address), nowMs);
    const earned = ((nowMs - bucket.atMs) / 1_000) * perSecond;
    bucket.tokens = Math.min(perSecond, bucket.tokens + Math.max(0, earned));
    bucket.atMs = nowMs;
    if (bucket.tokens >= 1) {
      bucket.tokens -= 1;
      return 'answer';
    }
    bucket.over += 1;
    return bucket.over % 2 === 0 ? 'truncate' : 'drop';
  }

  #bucket(network: string, nowMs: number): Bucket {
    const known = this.#buckets.get(network);
    if (known !== undefined) return known;
    if (this.#buckets.size >= this.#settings.maxNetworks) this.#buckets.clear(); // all start anew: none is locked out
    const fresh: Bucket = { tokens: this.#settings.perSecond, atMs: nowMs, over: 0 };
    this.#buckets.set(network, fresh);
    return fresh;
  }
}

/** `::` stands for zeros: two addresses of one network must not look like two networks. */
function networkOf(address: string): string {
  if (isIPv4(address)) return address.split('.', 3).join('.');
  const [head = '', tail = ''] = address.split('::');
  const groupsOf = (part: string): readonly string[] => (part === '' ? [] : part.split(':'));
  const [before, after] = [groupsOf(head), groupsOf(tail)];
  const zeros = new Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0');
  return [...before, ...zeros, ...after].slice(0, 4).join(':');
}
