/**
 * Which new connection gets a handshake while more come than may: who was served lately before who
 * was not, who comes seldom before who comes all the time, alone or with its network. One bucket for
 * all; the less is known of somebody, the more must be left in it for others. So a flood is held to
 * the part that nobody better wants, and without one everybody has the whole rate. Pure bookkeeping.
 */
import { buildTokenBucket } from './token-bucket.ts';

/** The address, or the /64, and the network it lies in; see `sourceOf`. */
interface Source {
  readonly host: string;
  readonly network: string;
}

export interface HandshakeGate {
  /** May it shake hands now? Every try counts, also one that is refused. `nowMs` is monotonic. */
  admit(source: Source, nowMs: number): boolean;
  /** It got a good answer. */
  noteServed(host: string, nowMs: number): void;
  /** It was served lately. */
  isKnown(host: string, nowMs: number): boolean;
}

/** Share of the bucket that must be left when one of these takes from it. */
const leaves = {
  known: { seldom: 0, often: 0.3 },
  stranger: { seldom: 0.4, often: 0.6 },
} as const;
const knownForMs = 10 * 60_000;
const maxKnown = 131_072;
const maxCounted = 32_768;
/** More than this over some seconds is often. */
const often = { host: 2, network: 8 } as const;
const overMs = 5_000;

export function buildHandshakeGate(perSecond: number): HandshakeGate {
  const bucket = buildTokenBucket(perSecond, perSecond);
  const hosts = new Frequencies();
  const networks = new Frequencies();
  const known = new Lately<number>(maxKnown);
  const isKnown = (host: string, nowMs: number): boolean => nowMs < (known.get(host) ?? 0);
  return {
    isKnown,
    noteServed(host, nowMs) {
      known.set(host, nowMs + knownForMs);
    },
    admit({ host, network }, nowMs) {
      const perHost = hosts.count(host, nowMs);
      const perNetwork = networks.count(network, nowMs);
      const isOften = perHost > often.host || perNetwork > often.network;
      const kind = leaves[isKnown(host, nowMs) ? 'known' : 'stranger'];
      return bucket.take(nowMs, perSecond * kind[isOften ? 'often' : 'seldom']);
    },
  };
}

/** How often each came, fading with time. */
class Frequencies {
  readonly #entries = new Lately<{ readonly sum: number; readonly atMs: number }>(maxCounted);

  /** One more; how many a second that makes. */
  count(name: string, nowMs: number): number {
    const before = this.#entries.get(name);
    const passedMs = before === undefined ? 0 : Math.max(0, nowMs - before.atMs);
    const sum = 1 + (before?.sum ?? 0) * Math.exp(-passedMs / overMs);
    this.#entries.set(name, { sum, atMs: nowMs });
    return (sum * 1_000) / overMs;
  }
}

/** At most `max` entries, and at least the half of it that was set last: two halves take turns. */
class Lately<Value> {
  readonly #half: number;
  #young = new Map<string, Value>();
  #old: ReadonlyMap<string, Value> = new Map();

  constructor(max: number) {
    this.#half = max / 2;
  }

  get(name: string): Value | undefined {
    return this.#young.get(name) ?? this.#old.get(name);
  }

  set(name: string, value: Value): void {
    if (this.#young.size >= this.#half && !this.#young.has(name)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(name, value);
  }
}
