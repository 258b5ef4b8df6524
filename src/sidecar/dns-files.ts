/**
 * The list from DNS as the file source sees it: reading it asks the name servers (their answers are
 * kept for their TTL), signs a new version when the managers changed, and gives the newest one. When
 * nobody answers, or there is no such name any more, the last one stays.
 */
import type { Clock } from '../clock.ts';
import { PilotfishError } from '../errors.ts';
import { parseEnvelope } from '../list/envelope.ts';
import type { Manager, Root } from '../list/model.ts';
import { parseList } from '../list/parse-list.ts';
import type { SigningKey } from '../list/sign.ts';
import { type DnsSource, nextLocalList, signLocalList } from './dns-list.ts';
import type { SourceFiles } from './source.ts';

export interface DnsAnswer {
  readonly managers: readonly Manager[];
  /** Until it must be asked again. */
  readonly ttlLeftMs: number;
}

export interface DnsFilesParts {
  readonly source: DnsSource;
  /** Where the list is kept; only this path is ours, every other read goes to `files`. */
  readonly path: string;
  readonly files: SourceFiles;
  readonly clock: Clock;
  readonly root: Root;
  readonly key: SigningKey;
  /** Durable. Throws HostError `write_failed`. */
  write(bytes: Uint8Array): Promise<void>;
  /** Throws PeerError `dns_failed`. */
  ask(source: DnsSource): Promise<DnsAnswer>;
}

/** While name servers fail or deny, they are asked so often. */
const againMs = 5_000;
/** A long TTL must not keep a change of this host (its resolver, its hosts file) unseen. */
const maxPauseMs = 60_000;
const afterTtlMs = 50;

export class DnsFiles implements SourceFiles {
  readonly #parts: DnsFilesParts;
  #pauseMs = againMs;

  constructor(parts: DnsFilesParts) {
    this.#parts = parts;
  }

  /** How long until asking again can show something new. */
  paceMs(): number {
    return this.#pauseMs;
  }

  async read(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    const { files } = this.#parts;
    const before = await files.read(path, maxBytes);
    if (path !== this.#parts.path) return before;
    try {
      const { managers, ttlLeftMs } = await this.#parts.ask(this.#parts.source);
      this.#pauseMs = Math.min(Math.max(ttlLeftMs + afterTtlMs, afterTtlMs), maxPauseMs);
      return await this.#newest(before, managers);
    } catch (thrown) {
      this.#pauseMs = againMs;
      if (before === undefined || !(thrown instanceof PilotfishError)) throw thrown;
      return before; // what was true last is better than nothing
    }
  }

  async #newest(before: Uint8Array | undefined, managers: readonly Manager[]): Promise<Uint8Array> {
    const { root, key, clock, write } = this.#parts;
    const last = before === undefined ? undefined : parseList(parseEnvelope(before).payloadBytes);
    const next = nextLocalList(root, managers, last, clock.nowMs());
    if (next === undefined && before !== undefined) return before;
    if (next === undefined) throw new TypeError('a first list is always due');
    const envelope = signLocalList(next, key);
    await write(envelope);
    return envelope;
  }
}
