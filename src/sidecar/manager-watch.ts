/** The probing of one manager, for as long as it is on the list. */
import type { Cancel, Clock, Random } from '../clock.ts';
import {
  type Health,
  type JudgeSettings,
  judgeOutcome,
  judgeSign,
  mayVote,
} from '../health/judge.ts';
import type { KeptProbe, ProbeOutcome, Prober, ProbeTarget } from '../health/probe.ts';
import type { Log } from '../log.ts';
import { Bell } from './bell.ts';
import { tellChange } from './health-book.ts';
import { watchLag } from './lag-watch.ts';

/** An answer takes a millisecond or four; after an eighth of the deadline the next question is asked too. */
const hedgeShare = 0.125;
/** A manager that died is asked as often as the one in use for so long, in case it comes back. */
const eagerMs = 30_000;
/** A connection that is closed again so soon is not worth keeping. */
const keptAtLeastMs = 10_000;

export interface WatchParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly prober: Prober;
  readonly settings: JudgeSettings;
  /** For one answer; a repeated probe has its own. */
  readonly deadlineMs: number;
  /** Between two probes of the manager in use. */
  readonly inUseMs: number;
  /** Between two probes of any other one. */
  readonly othersMs: number;
  /** Told at each bad sign, before it adds up to anything. */
  readonly troubled?: (managerId: string) => void;
}

/** What the sidecar knows of its own doing, so that probing follows it. */
export interface Focus {
  /** Managers that matter now: in use, or the target of a move under way. */
  readonly inUse: ReadonlySet<string>;
  /** Least time between two probes, so that a big fleet does not drown a manager. */
  readonly shareMs: number;
}

interface Identity {
  readonly id: string;
  readonly target: ProbeTarget;
  readonly changed: (health: Health) => void;
}

export class ManagerWatch {
  readonly target: ProbeTarget;
  /** Resolves after the first round, whatever it showed; also when stopped. */
  readonly firstRound: Promise<void>;
  ended: Promise<void> = Promise.resolve();
  health: Health | undefined;
  readonly #parts: WatchParts;
  readonly #identity: Identity;
  readonly #bell = new Bell();
  readonly #stop = new AbortController();
  #kept: KeptProbe | undefined;
  #inUse = false;
  #isAsking = false;
  #mayKeep = true;
  #closedAtMs = Number.NEGATIVE_INFINITY;
  #shareMs = 0;
  #planned: Cancel | undefined;
  #isAsked: () => void = () => undefined;

  constructor(parts: WatchParts, identity: Identity) {
    this.#parts = parts;
    this.#identity = identity;
    this.target = identity.target;
    this.firstRound = new Promise((resolve) => {
      this.#isAsked = resolve;
    });
  }

  start(signal: AbortSignal): void {
    const both = AbortSignal.any([signal, this.#stop.signal]);
    this.ended = this.#watch(both).catch((thrown: unknown) => {
      if (!both.aborted) throw thrown;
    });
    void this.ended.finally(() => this.#end());
  }

  stop(): void {
    this.#stop.abort(new DOMException('no longer listed', 'AbortError'));
  }

  focus({ inUse, shareMs }: Focus): void {
    const isInUse = inUse.has(this.#identity.id);
    this.#shareMs = shareMs;
    if (isInUse === this.#inUse) return;
    this.#inUse = isInUse;
    if (isInUse) this.#bell.ring();
    else this.#unkeep();
  }

  suspect(why: string): void {
    const { clock, settings } = this.#parts;
    this.#parts.troubled?.(this.#identity.id);
    // A connection that stands answers also where new ones are left alone: ask on a new one.
    if (!this.#isAsking) this.#unkeep();
    if (this.health !== undefined) {
      this.#set(judgeSign(this.health, why, settings, clock.nowMs()));
    }
    this.#bell.ring();
  }

  /** Its verdict is about to be acted upon: asked now, unless that has just been done. */
  refresh(): void {
    const { clock, inUseMs } = this.#parts;
    const ageMs = clock.nowMs() - (this.health?.probedAtMs ?? 0);
    const isFresh = ageMs >= 0 && ageMs < inUseMs;
    if (!this.#isAsking && !isFresh) this.#bell.ring();
  }

  /**
   * Somebody else has just died: is this one still there? A whole fleet asks that in the same second,
   * so a big one spreads it.
   */
  confirm(): void {
    const { clock, random } = this.#parts;
    this.#planned ??= clock.after(random.fraction() * this.#shareMs, () => {
      this.#planned = undefined;
      this.#bell.ring();
    });
  }

  /** ask -> judge -> wait, for ever */
  async #watch(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#round(signal);
      this.#isAsked();
      await this.#bell.wait(this.#parts.clock, this.#pauseMs(), signal);
    }
  }

  /** A question; a second one when the first fails, or takes as long as none ever should. */
  async #round(signal: AbortSignal): Promise<void> {
    const { clock, deadlineMs, prober } = this.#parts;
    const lag = watchLag(clock);
    this.#isAsking = true;
    try {
      const first = this.#ask(signal);
      const early = await within(clock, deadlineMs * hedgeShare, first);
      if (early?.kind === 'alive') return this.#count(early, 0);
      const again = prober.probe(this.target, deadlineMs, signal);
      again.catch(() => undefined); // awaited below; `first` may reject before
      this.#count(await first, lag.worstMs());
      this.#count(await again, lag.worstMs());
    } finally {
      this.#isAsking = false;
      lag.stop();
    }
  }

  #ask(signal: AbortSignal): Promise<ProbeOutcome> {
    const { prober, deadlineMs } = this.#parts;
    if (this.#inUse && this.#mayKeep && this.#kept === undefined) {
      this.#kept = prober.keep?.(this.target, () => this.#keptClosed());
    }
    return this.#kept?.ask(deadlineMs, signal) ?? prober.probe(this.target, deadlineMs, signal);
  }

  /** A manager that dies closes it: asked at once. One that always does so is asked anew each time. */
  #keptClosed(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    if (nowMs - this.#closedAtMs < keptAtLeastMs) {
      this.#mayKeep = false;
      this.#unkeep();
      return;
    }
    this.#closedAtMs = nowMs;
    this.#parts.troubled?.(this.#identity.id);
    this.#bell.ring();
  }

  #count(outcome: ProbeOutcome, ownLagMs: number): void {
    const { clock, settings } = this.#parts;
    if (outcome.kind === 'dead') this.#parts.troubled?.(this.#identity.id);
    if (!mayVote(outcome, ownLagMs)) return;
    this.#set(judgeOutcome(this.health, outcome, settings, clock.nowMs()));
  }

  #set(after: Health): void {
    const before = this.health;
    this.health = after;
    if (before?.verdict === after.verdict) return;
    tellChange(this.#parts.log, this.#identity.id, before, after);
    this.#identity.changed(after);
  }

  #pauseMs(): number {
    const { random, inUseMs, othersMs } = this.#parts;
    const isFast = this.#inUse || this.#isUnsettled();
    const jitter = 0.9 + 0.2 * random.fraction();
    return Math.max(isFast ? inUseMs : othersMs, this.#shareMs) * jitter;
  }

  /** Not known yet, coming back, or dead only just now. */
  #isUnsettled(): boolean {
    const { clock, settings } = this.#parts;
    const { health } = this;
    if (health === undefined || health.verdict === 'unknown') return true;
    if (health.verdict === 'up') return health.lastKind === 'dead' && health.streak > 0;
    return (
      (health.lastKind === 'alive' && health.streak < settings.rise) ||
      clock.nowMs() - health.sinceAtMs < eagerMs
    );
  }

  #unkeep(): void {
    this.#kept?.close();
    this.#kept = undefined;
  }

  #end(): void {
    this.#planned?.();
    this.#unkeep();
    this.#isAsked();
  }
}

/** What `work` came to within `ms`, or undefined when it needs longer; rejects as `work` does. */
function within<T>(clock: Clock, ms: number, work: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(ms, () => resolve(undefined));
    void work.then(resolve, reject).finally(cancel);
  });
}
