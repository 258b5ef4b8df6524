/**
 * While this node is the master: every content of `client.keys` goes on record, fenced, soon after
 * it is in the file, with the changes that lead to it. What is on record is what a promotion keeps.
 */
import { type Clock, sleep } from '../clock.ts';
import { PeerError, PilotfishError } from '../errors.ts';
import type { LeaseEngine } from '../leader/engine.ts';
import { addStep, hasGrownFrom, type TextSeal } from './keys-steps.ts';
import type { KeysFile, KeysSeen } from './ports.ts';
import { encodeRecord, parseRecord, type RoleRecord, type WorkerSeen } from './record.ts';

export interface LedgerParts {
  readonly engine: LeaseEngine;
  readonly clock: Clock;
  readonly keys: KeysFile;
  readonly seal: TextSeal;
  readonly token: number;
  /** Is the role this node's at this very instant? */
  holds(): boolean;
  /** Connected to this master now. */
  workers(): readonly WorkerSeen[];
  /** A write was refused: it is another node's. */
  fenced(): void;
  /** Undefined: it works again. */
  failed(error: PilotfishError | undefined): void;
  written(record: RoleRecord, revision: number): void;
}

export interface Recorded {
  readonly record: RoleRecord;
  readonly revision: number;
  /** The content that the record tells of. */
  readonly content: Buffer;
}

const lookEveryMs = 200;
const againMs = 300;
const workersEveryMs = 2_000;
const mostWorkers = 1_000;

export class KeysLedger {
  readonly #parts: LedgerParts;
  #last: Recorded;
  #running: Promise<void> | undefined;
  #writtenAtMs = 0;

  constructor(parts: LedgerParts, begin: Recorded) {
    this.#parts = parts;
    this.#last = begin;
  }

  /**
   * Before anything on this host gives out keys: what a late sync of the old master put there
   * gives way to what is on record. What only came after it stays. Throws HostError.
   */
  async begin(): Promise<void> {
    const { keys } = this.#parts;
    const { record, content } = this.#last;
    const { bytes, facts } = await keys.read();
    const isGood = facts.digest === record.keys.digest || hasGrownFrom(bytes, record.keys.digest);
    if (!isGood) await keys.replace(content);
  }

  /** Until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, failed } = this.#parts;
    while (!signal.aborted) {
      try {
        await this.#once();
        failed(undefined);
      } catch (thrown) {
        if (!(thrown instanceof PilotfishError)) throw thrown;
        if (!signal.aborted) failed(thrown);
      }
      await sleep(clock, lookEveryMs, signal).catch(() => undefined);
    }
  }

  /**
   * Resolves when everything that is in the file now is on record. Throws PeerError
   * `master_outdated` when the role was lost before that.
   */
  async noted(): Promise<void> {
    const { clock, holds } = this.#parts;
    await this.#running?.catch(() => undefined); // it may have read the file too early
    while (holds()) {
      try {
        await this.#once();
        if (holds()) return;
      } catch (thrown) {
        if (!(thrown instanceof PilotfishError)) throw thrown;
        await sleep(clock, againMs);
      }
    }
    throw new PeerError('master_outdated', 'this node is not the master any more');
  }

  #once(): Promise<void> {
    this.#running ??= this.#note().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #note(): Promise<void> {
    const { keys, clock } = this.#parts;
    const { record } = this.#last;
    const seen = await keys.read();
    const isNew = seen.facts.digest !== record.keys.digest;
    const isDue = clock.monotonicMs() - this.#writtenAtMs > workersEveryMs;
    const workers = isNew || isDue ? this.#workersNow() : record.workers;
    const isSame = JSON.stringify(workers) === JSON.stringify(record.workers);
    if (isNew || !isSame) await this.#write(seen, workers);
  }

  #workersNow(): WorkerSeen[] {
    const order = (left: WorkerSeen, right: WorkerSeen): number =>
      left.name < right.name ? -1 : 1;
    return [...this.#parts.workers()].sort(order).slice(0, mostWorkers);
  }

  async #write({ bytes, facts }: KeysSeen, workers: WorkerSeen[]): Promise<void> {
    const { engine, token, seal, fenced, written } = this.#parts;
    const { record, revision, content } = this.#last;
    const isSame = facts.digest === record.keys.digest;
    const steps = isSame
      ? record.keys.steps
      : [...addStep(record.keys.steps, content, bytes, seal)];
    const generation = record.keys.generation + (isSame ? 0 : 1);
    const next = { ...record, workers, keys: { ...facts, generation, steps } };
    this.#writtenAtMs = this.#parts.clock.monotonicMs();
    const outcome = await engine.write(token, revision, encodeRecord(next));
    if (outcome.kind === 'written') {
      this.#last = { record: next, revision: outcome.revision, content: bytes };
      written(next, outcome.revision);
      return;
    }
    if (outcome.kind === 'fenced') {
      fenced();
      throw new PeerError('master_outdated', 'another node has the role');
    }
    await this.#lookAgain();
    throw new PeerError('leader_unreachable', 'the record was written meanwhile');
  }

  /** A write of ours that was done although its answer was lost. */
  async #lookAgain(): Promise<void> {
    const { state, revision } = await this.#parts.engine.look(0);
    const record = state && parseRecord(state.bytes);
    if (revision === 0) this.#last = { ...this.#last, revision }; // somebody removed it
    if (record === undefined || record.token !== this.#parts.token) return;
    const isLast = record.keys.digest === this.#last.record.keys.digest;
    // Of another content than the one known here no steps can be told.
    const steps = isLast ? record.keys.steps : [];
    this.#last = {
      ...this.#last,
      revision,
      record: { ...record, keys: { ...record.keys, steps } },
    };
  }
}
