/**
 * Watches which node stands behind the manager in use, so that a virtual IP that moved is known.
 * Asking costs a manager a TLS handshake, so it is asked when it comes in use, when something was
 * wrong, when its neighbour entry changed, and otherwise rarely. Bounded: one question at a time.
 */
import { type Clock, type Random, sleep } from '../clock.ts';
import {
  compareMarks,
  type Holding,
  isContested,
  judgeHolder,
  judgeSplit,
  type Marks,
  type Neighbour,
} from '../health/holder.ts';
import type { PublisherAddress } from '../list/model.ts';
import type { Log } from '../log.ts';
import { Bell } from './bell.ts';
import type { HolderSeen } from './seen.ts';
import type { HolderView } from './world.ts';

export interface HolderTarget {
  readonly id: string;
  /** IP literal: where it answered last. */
  readonly address: string;
  readonly port: number;
  /** Of the root: where a publisher may answer beside it, and who vouches for it. */
  readonly publishers: readonly PublisherAddress[];
}

export interface HolderParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  /** What the node at this address shows; resolves with nothing when nobody answers in time. */
  ask(target: HolderTarget, signal: AbortSignal): Promise<Marks>;
  /** Hardware addresses by IPv4 address; empty where the system does not say. */
  neighbours(): ReadonlyMap<string, string>;
  /** Told when another node was found; must not throw. */
  moved(): void;
}

/** A quiet manager is asked again after so long, so that a move without any sign is known as well. */
const routineMs = 600_000;
const confirmMs = 150;
const againMs = 500;
/** For so long somebody is waited for after trouble … */
const patienceMs = 60_000;
/** … and for so long the old node is asked again: it may answer once more before it lets go. */
const watchfulMs = 6_000;

interface KnownNeighbour extends Neighbour {
  readonly address: string;
  /** The host has no such entry any more; kept, so that another one is noticed as a change. */
  readonly isGone: boolean;
}

export class HolderWatch implements HolderView {
  readonly #parts: HolderParts;
  readonly #bell = new Bell();
  readonly #holdings = new Map<string, Holding>();
  readonly #neighbours = new Map<string, KnownNeighbour>();
  #target: HolderTarget | undefined;
  #shareMs = 0;
  #troubledAtMs: number | undefined;

  constructor(parts: HolderParts) {
    this.#parts = parts;
  }

  /** Once a cycle: who is in use, and over how long a whole fleet spreads a question. */
  look(target: HolderTarget | undefined, listed: ReadonlySet<string>, shareMs: number): void {
    for (const id of [...this.#holdings.keys()]) if (!listed.has(id)) this.#holdings.delete(id);
    for (const id of [...this.#neighbours.keys()]) if (!listed.has(id)) this.#neighbours.delete(id);
    this.#shareMs = shareMs;
    const before = this.#target;
    this.#target = target;
    const table = this.#parts.neighbours();
    for (const [id, { address }] of this.#neighbours) {
      if (id !== target?.id) this.#noteNeighbour({ id, address }, table); // left, and still told of
    }
    if (target === undefined) return;
    if (this.#noteNeighbour(target, table)) this.trouble(target.id);
    if (before?.id !== target.id) this.#bell.ring();
  }

  /** Something was wrong with it: a connection that broke, a question without an answer. */
  trouble(managerId: string): void {
    if (managerId !== this.#target?.id) return;
    this.#troubledAtMs ??= this.#parts.clock.monotonicMs();
    this.#bell.ring();
  }

  seen(): ReadonlyMap<string, HolderSeen> {
    const ids = new Set([...this.#holdings.keys(), ...this.#neighbours.keys()]);
    return new Map(
      [...ids].map((id) => {
        const { isGone = true, mac = '', sinceAtMs = 0 } = this.#neighbours.get(id) ?? {};
        const holding = this.#holdings.get(id) ?? { marks: {}, changes: [] };
        return [id, { ...holding, ...(isGone ? {} : { neighbour: { mac, sinceAtMs } }) }];
      }),
    );
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#parts;
    for (;;) {
      await this.#bell.wait(clock, routineMs * (0.9 + 0.2 * random.fraction()), signal);
      const target = this.#target;
      if (target === undefined) continue;
      await sleep(clock, random.fraction() * this.#shareMs, signal);
      const isCalm = this.#troubledAtMs === undefined && this.#holdings.has(target.id);
      if (isCalm) await this.#askOnce(target, signal);
      else await this.#follow(target, signal);
    }
  }

  /** Until it is known, another node has answered, the old one for a while, or nobody for a minute. */
  async #follow(target: HolderTarget, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const startMs = this.#troubledAtMs ?? clock.monotonicMs();
    let answeredAtMs: number | undefined;
    let pauseMs = againMs;
    while (this.#target?.id === target.id) {
      const nowMs = clock.monotonicMs();
      const outcome = await this.#askOnce(this.#target, signal);
      if (outcome === 'moved' || outcome === 'split') break;
      if (outcome === 'same' && this.#troubledAtMs === undefined) break; // known from now on
      if (outcome === 'same') answeredAtMs ??= nowMs;
      else answeredAtMs = undefined;
      if (nowMs - (answeredAtMs ?? nowMs) >= watchfulMs || nowMs - startMs >= patienceMs) break;
      await sleep(clock, answeredAtMs === undefined ? pauseMs : watchfulMs / 2, signal);
      if (this.#troubledAtMs === undefined) pauseMs = Math.min(pauseMs * 2, watchfulMs);
    }
    this.#troubledAtMs = undefined;
  }

  /** A new node is asked once more: an address that two nodes answer shows both. */
  async #askOnce(
    target: HolderTarget,
    signal: AbortSignal,
  ): Promise<'silent' | 'same' | 'moved' | 'split'> {
    const { clock, ask } = this.#parts;
    const marks = await ask(target, signal);
    const before = this.#holdings.get(target.id);
    if (marks.publisher === undefined && marks.server === undefined) return 'silent';
    if (before === undefined || compareMarks(before.marks, marks) !== 'other') {
      this.#set(target, judgeHolder(before, { marks, goneMs: 0 }, clock.nowMs()));
      return 'same';
    }
    await sleep(clock, confirmMs, signal);
    if (compareMarks(marks, await ask(target, signal)) === 'other') {
      this.#set(target, judgeSplit(before, clock.nowMs()));
      return 'split';
    }
    const goneMs = clock.monotonicMs() - (this.#troubledAtMs ?? clock.monotonicMs());
    this.#set(target, judgeHolder(before, { marks, goneMs }, clock.nowMs()));
    return 'moved';
  }

  #set(target: HolderTarget, holding: Holding | undefined): void {
    if (holding === undefined) return;
    const before = this.#holdings.get(target.id);
    this.#holdings.set(target.id, holding);
    const nowMs = this.#parts.clock.nowMs();
    const fields = { manager: target.id, address: target.address };
    const isNew = before !== undefined && holding.movedAtMs !== before.movedAtMs;
    if (isNew) this.#parts.log.warn('vip.moved', { ...fields, goneMs: holding.goneMs });
    const wasContested = before !== undefined && isContested(before, nowMs);
    if (!wasContested && isContested(holding, nowMs))
      this.#parts.log.error('vip.contested', fields);
    if (isNew) this.#parts.moved();
  }

  /** True: the entry has changed. What an entry says is read, never written. */
  #noteNeighbour(
    { id, address }: Pick<HolderTarget, 'id' | 'address'>,
    table: ReadonlyMap<string, string>,
  ): boolean {
    const mac = table.get(address);
    const known = this.#neighbours.get(id);
    const before = known?.address === address ? known : undefined;
    if (before !== undefined && (mac === undefined || mac === before.mac)) {
      this.#neighbours.set(id, { ...before, isGone: mac === undefined });
      return false;
    }
    if (mac === undefined) return false;
    const sinceAtMs = this.#parts.clock.nowMs();
    this.#neighbours.set(id, { mac, address, sinceAtMs, isGone: false });
    return before !== undefined;
  }
}
