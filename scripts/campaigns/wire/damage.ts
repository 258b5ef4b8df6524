/** Valid requests, and what a hostile or broken peer makes of them. */
import type { Random } from '../../../src/clock.ts';
import { commands } from '../../../src/cluster/wire/command.ts';
import { encodeMessage } from '../../../src/cluster/wire/message.ts';
import { createSeal } from '../../../src/cluster/wire/seal.ts';

export const seal = createSeal('abcdefghijklmnopQRSTUVWXYZ012345');

/** xorshift32: small, fast and the same everywhere. */
export class Seeded implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }

  uint(): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return this.#state >>> 0;
  }

  below(limit: number): number {
    return this.uint() % Math.max(1, limit);
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let index = 0; index < length; index++) bytes[index] = this.uint();
    return bytes;
  }

  fraction(): number {
    return this.uint() / 2 ** 32;
  }

  pick<Item>(items: readonly Item[], fallback: Item): Item {
    return items[this.below(items.length)] ?? fallback;
  }
}

const path = '/queue/cluster/w/w-1.2-ab.zip';
const error =
  '{"__wazuh_exception__": {"__class__": "WazuhClusterError", "__object__": {"code": 3039}}}';
const bodies: readonly string[] = [
  '',
  'keepalive',
  '10',
  '123 data',
  `${path}`,
  `${path} data`,
  `task ${path}`,
  `task ${error}`,
  `None ${error}`,
  '{"limit": 1, "select": ["name"]}',
  '{"updated_chunks": 1, "error_messages": [], "time_spent": 0.1}',
  '1 {"f": {"__callable__": {"__name__": "x"}}}',
  `${error}`,
  `pilotfish-offer/1 ${'A'.repeat(43)} push`,
  'w2 wazuh worker 4.14.8',
  '['.repeat(300),
];
const words: readonly string[] = [
  ...new Set(Object.values(commands).map(({ wire }) => wire)),
  'ok',
  'err',
  'ok-m',
  'error',
  'nonsense',
];

function request(random: Seeded, counter: number): Buffer {
  const word = random.pick(words, 'echo');
  const body = Buffer.from(random.pick(bodies, ''));
  if (body.length > 0 && random.below(3) === 0) body[random.below(body.length)] = random.uint();
  const token = seal.seal(body, { iv: random.bytes(16), unixSeconds: counter });
  const isDivided = random.below(8) === 0;
  return Buffer.concat(
    encodeMessage({ counter, word }, token, body.length, isDivided ? 21 + body.length : undefined),
  );
}

/** Made once: sealing is not what is tested, and would take most of the time. */
export function corpus(random: Seeded, size: number): readonly Buffer[] {
  return Array.from({ length: size }, (_, index) => request(random, index));
}

export type Mutation = (bytes: Buffer, random: Seeded) => Buffer;

/** Each gets a copy that it may change. */
export const mutations: readonly Mutation[] = [
  (bytes) => bytes,
  (bytes) => bytes,
  (bytes, random) => flip(bytes, random.below(bytes.length), 1 << random.below(8)),
  (bytes, random) => flip(bytes, random.below(20), 1 << random.below(8)),
  (bytes, random) => flip(bytes, 4 + random.below(4), random.below(256)),
  (bytes, random) => flip(bytes, 19, random.below(256)),
  (bytes, random) => bytes.subarray(0, random.below(bytes.length)),
  (bytes, random) => bytes.subarray(random.below(bytes.length)),
  (bytes, random) => {
    bytes.writeUInt32BE(random.uint(), 4);
    return bytes;
  },
  (bytes, random) => {
    bytes.write(random.pick(words, 'echo').padEnd(11, ' '), 8, 11, 'latin1');
    return bytes;
  },
  (bytes, random) => Buffer.concat([bytes, random.bytes(random.below(40))]),
  (_bytes, random) => Buffer.from(random.bytes(1 + random.below(120))),
];

export function flip(bytes: Buffer, index: number, mask: number): Buffer {
  bytes[index] = (bytes[index] ?? 0) ^ mask;
  return bytes;
}

export function helloBytes(): Buffer {
  const body = Buffer.from('w wazuh worker 4.14.8');
  const token = seal.seal(body, { iv: new Uint8Array(16), unixSeconds: 0 });
  return Buffer.concat(encodeMessage({ counter: 1, word: 'hello' }, token, body.length));
}
