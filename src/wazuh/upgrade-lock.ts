/**
 * Is an upgrade of the agent under way? Then nothing is written and nothing restarted: the upgrade
 * judges itself by `connected` soon after, and package scripts put ossec.conf back
 * (agent-side.md 7). A lock left behind by a crash counts for 15 minutes only.
 */

/** Longest time an upgrade lock is believed. */
export const maxUpgradeMs = 15 * 60_000;

export interface SeenLock {
  readonly path: string;
  readonly modifiedAtMs: number;
}

/** The path of a lock that is young enough to be believed, or undefined. A lock of the future is young. */
export function judgeUpgrade(seen: readonly SeenLock[], nowMs: number): string | undefined {
  return seen.find((lock) => nowMs - lock.modifiedAtMs < maxUpgradeMs)?.path;
}

/**
 * True when `/proc/locks` holds a lock on `inode` of device `major:minor`: how a running dpkg is
 * seen without taking its lock. Lines: `1: POSIX  ADVISORY  WRITE 1234 fd:01:567 0 EOF`.
 */
export function isLockHeld(
  procLocks: string,
  file: { readonly major: number; readonly minor: number; readonly inode: number },
): boolean {
  const hex = (value: number): string => value.toString(16).padStart(2, '0');
  const wanted = `${hex(file.major)}:${hex(file.minor)}:${file.inode}`;
  return procLocks.split('\n').some((line) => {
    const fields = line.trim().split(/\s+/);
    return fields[1] !== '->' && fields[5] === wanted;
  });
}
