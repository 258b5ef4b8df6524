/**
 * Who may check its integrity now, judged by a master for one worker (cluster-protocol.md 4.3):
 * never before the first complete scan, once a round, and not while a check or a
 * synchronisation is under way, and no more often than a busy cluster needs: the cluster key alone
 * must not keep a master busy. A lock that is held too long is freed. Pure.
 */

export interface PermissionRules {
  readonly maxLockedMs: number;
}

export interface PermissionQuestion {
  /** The local scan that answers are judged by is there. */
  readonly isScanned: boolean;
  /** Round of the master's local integrity; a stock worker is served once in each. */
  readonly round: number;
  /** Our own workers ask when something happened, not by the clock. */
  readonly isOncePerRound: boolean;
  readonly nowMs: number;
}

export interface PermissionAnswer {
  readonly isGranted: boolean;
  /** The lock was freed by force; to be logged. */
  readonly isReleased: boolean;
}

/** Checks that a worker may have in a row, and in a second in the long run. */
const burst = 120;
const perSecond = 4;

/** The state of one worker's lock. */
export class IntegrityPermission {
  readonly #rules: PermissionRules;
  #lockedAtMs: number | undefined;
  #servedRound = -1;
  #credits = burst;
  #countedAtMs = Number.NEGATIVE_INFINITY;

  constructor(rules: PermissionRules) {
    this.#rules = rules;
  }

  get isFree(): boolean {
    return this.#lockedAtMs === undefined;
  }

  ask(question: PermissionQuestion): PermissionAnswer {
    const { isScanned, round, isOncePerRound, nowMs } = question;
    const isReleased = this.#releaseStuck(nowMs);
    if (!isScanned || (isOncePerRound && round === this.#servedRound)) {
      return { isGranted: false, isReleased };
    }
    this.#servedRound = round;
    return { isGranted: this.isFree && this.#hasCredit(nowMs), isReleased };
  }

  /** False: a check is under way (stock starts a second one anyway), or there were too many. */
  lock(nowMs: number): boolean {
    this.#releaseStuck(nowMs);
    if (!this.isFree || !this.spend(nowMs)) return false;
    this.#lockedAtMs = nowMs;
    return true;
  }

  /** Counts as a check. False: there were too many. */
  spend(nowMs: number): boolean {
    const isThere = this.#hasCredit(nowMs);
    if (isThere) this.#credits -= 1;
    return isThere;
  }

  /** The check that locked at that time ended; one that had outlived its lock frees no other's. */
  release(lockedAtMs = this.#lockedAtMs): void {
    if (lockedAtMs === this.#lockedAtMs) this.#lockedAtMs = undefined;
  }

  #hasCredit(nowMs: number): boolean {
    const gained = ((nowMs - this.#countedAtMs) / 1000) * perSecond;
    this.#credits = Math.min(burst, this.#credits + gained);
    this.#countedAtMs = nowMs;
    return this.#credits >= 1;
  }

  #releaseStuck(nowMs: number): boolean {
    if (this.#lockedAtMs === undefined) return false;
    if (nowMs - this.#lockedAtMs <= this.#rules.maxLockedMs) return false;
    this.#lockedAtMs = undefined;
    return true;
  }
}
