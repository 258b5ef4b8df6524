/**
 * The list from DNS as the file source sees it: reading it asks the name servers (their answers are
 * kept for their TTL), signs a new version when the managers changed, and gives the newest one. When
 * nobody answers, or there is no such name any more, the last one stays.
 */
import type { Clock } from '../clock.ts';
import { PilotfishError } from '../errors.ts';
import { parseEnvelope } from '../list/envelope.ts';
import type { Manager, ManagerList, Root } from '../list/model.ts';
import { parseList } from '../list/parse-list.ts';
import type { SigningKey } from '../list/sign.ts';
import { type DnsSource, nextLocalList, signLocalList, withUnanswered } from './dns-list.ts';
import type { SourceFiles } from './source.ts';

export interface DnsAnswer {
  readonly managers: readonly Manager[];
  /** Until it must be asked again; 0: stale, or nothing that expires. */
  readonly ttlLeftMs: number;
  /** The family of addresses that nobody answered for. */
  readonly unanswered?: 4 | 6;
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
  /** No answer older than `maxAgeMs`. Throws PeerError `dns_failed`. */
  ask(source: DnsSource, maxAgeMs?: number): Promise<DnsAnswer>;
  /** The list as this host accepted it last, for when the file is damaged or gone. */
  remembered?(): Promise<Uint8Array | undefined>;
  /** Some manager of the list is dead: perhaps the record has been changed already. */
  isInTrouble?(): boolean;
}

/** While name servers fail or deny, they are asked so often. */
const againMs = 5_000;
/**
 * While a manager is dead the record is asked about so often, whatever its TTL, by how long it has
 * been so; after that as after a failure. Who moves a manager changes its record at about that time.
 */
const troublePaces = [
  { untilMs: 1_500, everyMs: 250 },
  { untilMs: 30_000, everyMs: 1_000 },
] as const;
/** A long TTL must not keep a change of this host (its resolver, its hosts file) unseen. */
const maxPauseMs = 60_000;
const afterTtlMs = 50;
/**
 * Asked anew so long before the TTL ends, so that an agent that has to be restarted is on the new
 * address within it and a second. A server that keeps the answer itself gives it again, with the
 * rest of the TTL: then its end is waited for.
 */
const aheadMs = 2_000;

export class DnsFiles implements SourceFiles {
  readonly #parts: DnsFilesParts;
  #pauseMs = againMs;
  #troubleAtMs: number | undefined;
  /** Monotonic; from here on what is cached is not new enough. */
  #dueAtMs = Number.POSITIVE_INFINITY;

  constructor(parts: DnsFilesParts) {
    this.#parts = parts;
  }

  /** How long until asking again can show something new. */
  paceMs(): number {
    const troubledMs = this.#troubledForMs();
    if (troubledMs === undefined) return this.#pauseMs;
    return Math.min(this.#pauseMs, troublePaceMs(troubledMs));
  }

  #troubledForMs(): number | undefined {
    const nowMs = this.#parts.clock.monotonicMs();
    if (this.#parts.isInTrouble?.() === true) this.#troubleAtMs ??= nowMs;
    else this.#troubleAtMs = undefined;
    return this.#troubleAtMs === undefined ? undefined : nowMs - this.#troubleAtMs;
  }

  async read(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    const { files } = this.#parts;
    const onDisk = await files.read(path, maxBytes);
    if (path !== this.#parts.path) return onDisk;
    const before = isList(onDisk) ? onDisk : await this.#parts.remembered?.();
    try {
      const answer = await this.#parts.ask(this.#parts.source, this.#maxAgeMs());
      this.#pauseFor(answer.ttlLeftMs);
      return await this.#newest(before, answer, before === onDisk);
    } catch (thrown) {
      this.#pauseAgain();
      if (before === undefined || !(thrown instanceof PilotfishError)) throw thrown;
      return before; // what was true last is better than nothing
    }
  }

  #maxAgeMs(): number | undefined {
    if (this.#parts.clock.monotonicMs() >= this.#dueAtMs) return 0;
    const troubledMs = this.#troubledForMs();
    return troubledMs === undefined ? undefined : troublePaceMs(troubledMs) - afterTtlMs;
  }

  #pauseFor(ttlLeftMs: number): void {
    if (ttlLeftMs <= 0) {
      this.#pauseAgain(); // stale, or of the hosts file, which has no TTL
      return;
    }
    const isLong = ttlLeftMs > 2 * aheadMs;
    const untilMs = isLong ? ttlLeftMs - aheadMs : ttlLeftMs + afterTtlMs;
    this.#pauseMs = Math.min(Math.max(untilMs, afterTtlMs), maxPauseMs);
    this.#dueAtMs = this.#parts.clock.monotonicMs() + untilMs;
  }

  #pauseAgain(): void {
    this.#pauseMs = againMs;
    this.#dueAtMs = Number.POSITIVE_INFINITY;
  }

  async #newest(
    before: Uint8Array | undefined,
    { managers: answered, unanswered }: DnsAnswer,
    isOnDisk: boolean,
  ): Promise<Uint8Array> {
    const { root, key, clock, write } = this.#parts;
    const last = before === undefined ? undefined : listIn(before);
    const managers =
      unanswered === undefined ? answered : withUnanswered(answered, last, unanswered);
    const next = nextLocalList(root, managers, last, clock.nowMs());
    if (next === undefined && before !== undefined) {
      if (!isOnDisk) await write(before); // mended: it was damaged or gone
      return before;
    }
    if (next === undefined) throw new TypeError('a first list is always due');
    const envelope = signLocalList(next, key);
    await write(envelope);
    return envelope;
  }
}

function troublePaceMs(troubledMs: number): number {
  return troublePaces.find(({ untilMs }) => troubledMs < untilMs)?.everyMs ?? againMs;
}

function listIn(bytes: Uint8Array): ManagerList {
  return parseList(parseEnvelope(bytes).payloadBytes);
}

function isList(bytes: Uint8Array | undefined): boolean {
  try {
    return bytes !== undefined && listIn(bytes).version > 0;
  } catch (thrown) {
    if (thrown instanceof PilotfishError) return false;
    throw thrown;
  }
}
