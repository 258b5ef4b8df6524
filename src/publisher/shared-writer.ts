/**
 * The writer among several publishers. The store is the truth and the history follows it: a version is
 * written there first, in one transaction that compares the fencing token and what was written last,
 * and only then kept and served here. Whatever ends in between is repaired by the next look.
 */
import type { Clock } from '../clock.ts';
import { ListError } from '../errors.ts';
import type { LeaseEngine, Look } from '../leader/engine.ts';
import { comparePositions, renderPosition } from '../list/position.ts';
import type { VerifiedRoot } from '../list/root.ts';
import type { SigningKey } from '../list/sign.ts';
import type { History, PublishedList, RolloutMark } from './history.ts';
import { decodeRecord, encodeRecord, type SharedRecord } from './shared-state.ts';
import { firstTerm, notLeader, type Writer } from './writer.ts';

export interface SharedWriterParts {
  readonly engine: LeaseEngine;
  readonly history: History;
  readonly clock: Clock;
  readonly listKey: SigningKey;
  /** The newest one. */
  root(): VerifiedRoot;
  /** The fencing token of this publisher. Throws PeerError `not_leader`. */
  seat(): Promise<number>;
  /** A write was refused: `token` is no longer that of the seat. */
  fenced?(token: number): void;
  /** A newer version came from the store. */
  adopted?(entry: PublishedList): void;
}

interface Known {
  readonly revision: number;
  readonly record: SharedRecord | undefined;
}

export class SharedWriter implements Writer {
  readonly #parts: SharedWriterParts;
  #known: Known = { revision: 0, record: undefined };
  #askedRevision = 0;
  #token = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: SharedWriterParts) {
    this.#parts = parts;
  }

  /** What a look is asked with; only the answer to the last one is followed. */
  knownRevision(): number {
    this.#askedRevision = this.#known.revision;
    return this.#askedRevision;
  }

  /** Takes what the store has into the history. Throws ListError for what is not proven. */
  follow(look: Look): Promise<void> {
    const askedRevision = this.#askedRevision;
    return this.#inTurn(async () => {
      // Written meanwhile: the answer is older than what is known.
      if (askedRevision === this.#known.revision) await this.#take(look);
    });
  }

  async ready(): Promise<void> {
    this.#token = await this.#parts.seat();
  }

  termAfter(before: PublishedList | undefined): number {
    if (before === undefined) return firstTerm;
    const isOwn = this.#known.record?.token === this.#token;
    return isOwn ? before.term : before.term + 1;
  }

  append(entry: PublishedList, before: PublishedList | undefined): Promise<boolean> {
    return this.#inTurn(async () => {
      if (this.#isOvertaken(before)) return false;
      const mark = entry.rollout && this.#parts.history.markOf(entry.rollout.id);
      const isDone = await this.#write({ ...this.#withStable(entry), token: this.#token }, mark);
      if (isDone && !this.#parts.history.append(entry, before?.version)) {
        this.#parts.history.adopt(entry);
      }
      return isDone;
    });
  }

  /** Its own newest version for all others, where the store has none or an older one. */
  async seed(): Promise<void> {
    await this.ready();
    return this.#inTurn(async () => {
      const newest = this.#parts.history.newest();
      const { record } = this.#known;
      if (this.#isOvertaken(newest) || newest === undefined) return;
      if (record !== undefined && comparePositions(record.newest, newest) >= 0) return;
      const mark = newest.rollout && this.#parts.history.markOf(newest.rollout.id);
      await this.#write({ ...this.#withStable(newest), token: 0 }, mark);
    });
  }

  async noteSource(entry: PublishedList, source: string): Promise<void> {
    if (entry.source === source) return;
    const isDone = await this.#inTurn(() => this.#rewrite({ ...entry, source }));
    if (isDone) this.#parts.history.noteSource(entry.version, source);
  }

  async mark(mark: RolloutMark): Promise<void> {
    await this.ready(); // not in turn: a command looks first, which takes a turn of its own
    return this.#inTurn(async () => {
      const newest = this.#parts.history.newest();
      if (newest !== undefined && (await this.#rewrite(newest, mark))) {
        return this.#parts.history.mark(mark);
      }
      throw new ListError('shared_state', 'another version came meanwhile; nothing was marked');
    });
  }

  /** The same version, by the same writer as before. */
  async #rewrite(entry: PublishedList, mark?: RolloutMark): Promise<boolean> {
    if (this.#isOvertaken(entry)) return false;
    const word = mark ?? (entry.rollout && this.#parts.history.markOf(entry.rollout.id));
    const token = this.#known.record?.token ?? 0;
    return this.#write({ ...this.#withStable(entry), token }, word);
  }

  /**
   * True when the store is known to hold a newer version than `seen`, so that the next number is taken:
   * it came while `seen` was looked at, or the disk refused it here, and it is kept now. Throws as
   * `History` does.
   */
  #isOvertaken(seen: PublishedList | undefined): boolean {
    const { record } = this.#known;
    if (record === undefined || !isNewer(record.newest, seen)) return false;
    if (isNewer(record.newest, this.#parts.history.newest())) this.#adopt(record);
    return true;
  }

  #withStable(newest: PublishedList): { newest: PublishedList; stable?: PublishedList } {
    const version = newest.rollout?.stableVersion;
    const stable = version === undefined ? undefined : this.#parts.history.find(version);
    return { newest, ...(stable === undefined ? {} : { stable }) };
  }

  /** False: somebody else was first, and what they wrote is in the history now. */
  async #write(bare: SharedRecord, mark: RolloutMark | undefined): Promise<boolean> {
    const { engine, listKey, fenced } = this.#parts;
    const record = mark === undefined ? bare : { ...bare, mark };
    const bytes = encodeRecord(record, this.#parts.root().org, listKey);
    const written = await engine.write(this.#token, this.#known.revision, bytes);
    if (written.kind === 'written') {
      this.#known = { revision: written.revision, record };
      return true;
    }
    if (written.kind === 'fenced') {
      fenced?.(this.#token);
      throw notLeader(written.holder, 'a write was refused');
    }
    await this.#take(await engine.look(this.#known.revision));
    return false;
  }

  async #take({ revision, state }: Look): Promise<void> {
    if (revision === 0) this.#known = { revision, record: undefined };
    if (state === undefined) return;
    const { history } = this.#parts;
    const record = await decodeRecord(state.bytes, this.#parts.root(), this.#parts);
    const local = history.newest();
    const order = local === undefined ? 1 : comparePositions(record.newest, local);
    if (order === 0 && local?.hash !== record.newest.hash) {
      const seen = `list ${renderPosition(record.newest)}`;
      const two = `${local?.hash} here, ${record.newest.hash} in the store`;
      throw new ListError('equivocation', `${seen} exists twice: ${two}`);
    }
    if (order > 0) this.#adopt(record);
    if (order === 0) history.noteSource(record.newest.version, record.newest.source);
    if (order >= 0 && record.mark !== undefined) history.mark(record.mark);
    this.#known = { revision, record };
  }

  #adopt({ newest, stable }: SharedRecord): void {
    const { history, adopted } = this.#parts;
    if (stable !== undefined && history.find(stable.version)?.hash !== stable.hash) {
      history.adopt(stable);
    }
    history.adopt(newest);
    adopted?.(newest);
  }

  /** One after the other: what is known and what is written belong together. */
  #inTurn<Value>(work: () => Promise<Value>): Promise<Value> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined); // the caller of `done` hears of it
    return done;
  }
}

function isNewer(one: PublishedList, than: PublishedList | undefined): boolean {
  return than === undefined || comparePositions(one, than) > 0;
}
