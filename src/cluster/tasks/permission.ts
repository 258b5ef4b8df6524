/**
 * Who may check its integrity now, judged by a master for one worker (cluster-protocol.md 4.3):
 * never before the first complete scan, once a round, and not while a check or a
 * synchronisation is under way. A lock that is held too long is freed. Pure.
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

/** The state of one worker's lock. */
export class IntegrityPermission {
  readonly #rules: PermissionRules;
  #lockedAtMs: number | undefined;
  #servedRound = -1;

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
    return { isGranted: this.isFree, isReleased };
  }

  /** False: a check is under way already; a second one is refused (stock starts it anyway). */
  lock(nowMs: number): boolean {
    this.#releaseStuck(nowMs);
    if (!this.isFree) return false;
    this.#lockedAtMs = nowMs;
    return true;
  }

  release(): void {
    this.#lockedAtMs = undefined;
  }

  #releaseStuck(nowMs: number): boolean {
    if (this.#lockedAtMs === undefined) return false;
    if (nowMs - this.#lockedAtMs <= this.#rules.maxLockedMs) return false;
    this.#lockedAtMs = undefined;
    return true;
  }
}
