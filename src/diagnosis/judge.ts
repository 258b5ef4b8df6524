/** What single facts add up to, for `doctor` of both programs. Pure. */
import { type AgentTimes, lintName } from '../dns/failover-lint.ts';
import { type Finding, fail, ok, skip, warn } from './finding.ts';

/** `skewMs`: our clock minus one that is believed more; undefined: nobody to compare with. */
export function judgeClock(
  skewMs: number | undefined,
  than: string,
  synchronised: boolean | undefined,
): readonly Finding[] {
  const fix = 'set the clock by NTP (chrony, systemd-timesyncd, w32time)';
  const sync =
    synchronised === false
      ? [warn('clock', 'the system says that its clock is not synchronised', fix)]
      : [];
  if (skewMs === undefined) {
    const told = synchronised === true ? 'synchronised, says the system' : 'nobody to compare with';
    return sync.length > 0
      ? sync
      : [synchronised === true ? ok('clock', told) : skip('clock', told)];
  }
  const seconds = Math.round(skewMs / 1_000);
  const text = `${Math.abs(seconds)} s ${seconds < 0 ? 'behind' : 'ahead of'} ${than}`;
  if (Math.abs(skewMs) >= 300_000) return [fail('clock', text, fix)];
  if (Math.abs(skewMs) >= 5_000) return [warn('clock', text, fix)];
  return [...sync, ok('clock', `within ${Math.max(1, Math.abs(seconds))} s of ${than}`)];
}

/** A file or folder as the system has it. */
export interface ModeSeen {
  readonly path: string;
  /** Permission bits; undefined where it is absent. */
  readonly mode?: number;
  readonly uid?: number;
}

/** `secret`: nobody else may read; `owned`: nobody else may write. */
export function judgeMode(seen: ModeSeen, need: 'secret' | 'owned'): Finding {
  const { path, mode } = seen;
  const check = `mode ${path}`;
  if (mode === undefined) return skip(check, 'is not there');
  const text = `has mode ${(mode & 0o7777).toString(8).padStart(4, '0')}`;
  if ((mode & 0o002) !== 0 || (mode & 0o020) !== 0) {
    return fail(check, `${text}: others may write there`, `chmod go-w ${path}; see who did`);
  }
  if (need === 'secret' && (mode & 0o077) !== 0) {
    return fail(check, `${text}: others may read it`, `chmod go-rwx ${path}; replace the key`);
  }
  return ok(check, text);
}

const lowDisk = { failBytes: 16 * 1024 * 1024, warnBytes: 256 * 1024 * 1024 } as const;

export function judgeDisk(path: string, freeBytes: number | undefined): Finding {
  const check = `disk ${path}`;
  if (freeBytes === undefined) return skip(check, 'could not be asked');
  const text = `${Math.floor(freeBytes / 1024 / 1024)} MiB free`;
  const fix = 'free some space: state that cannot be written is state that is lost';
  if (freeBytes < lowDisk.failBytes) return fail(check, text, fix);
  return freeBytes < lowDisk.warnBytes ? warn(check, text, fix) : ok(check, text);
}

/** Something with an end: a root, a list, a certificate. */
export function judgeExpiry(
  check: string,
  what: string,
  { expiresAtMs, nowMs, warnMs, fix }: ExpiryFacts,
): Finding {
  const leftMs = expiresAtMs - nowMs;
  const day = new Date(expiresAtMs).toISOString().slice(0, 16).replace('T', ' ');
  if (leftMs <= 0) return fail(check, `${what} expired at ${day}`, fix);
  const text = `${what} is good until ${day}`;
  return leftMs < warnMs ? warn(check, text, fix) : ok(check, text);
}

export interface ExpiryFacts {
  readonly expiresAtMs: number;
  readonly nowMs: number;
  /** Warned of so long before. */
  readonly warnMs: number;
  readonly fix: string;
}

/** The 32 characters of the cluster; its value is never in what is said. */
export function judgeClusterKey(key: string): Finding {
  const check = 'cluster key';
  if (/^[0-9a-fA-F]{32}$/.test(key)) {
    // Stock splits it in two halves, one to sign and one to encrypt (trust-and-safety 2).
    return warn(
      check,
      'has hex digits only: 64 bits for each half of it, where 95 fit',
      'take 32 of A-Z a-z 0-9 (`tr -dc A-Za-z0-9 </dev/urandom | head -c 32`) on every node at once',
    );
  }
  if (new Set(key).size < 8) {
    return warn(check, 'repeats few characters', 'take 32 random ones of A-Z a-z 0-9');
  }
  return ok(check, '32 characters, more than hex digits');
}

export interface NameSeen {
  readonly name: string;
  readonly addresses: readonly string[];
  /** Undefined: from the host's own table, nothing expires. */
  readonly ttlSec?: number;
  readonly isStale: boolean;
}

/** What a failover by this name takes, by the same lint as `resolve`. */
export function judgeName(
  { name, addresses, ttlSec, isStale }: NameSeen,
  times: AgentTimes,
): readonly Finding[] {
  const check = `dns ${name}`;
  const fix = 'lower the TTL to 60 s or less, or give every manager its own address in the list';
  if (isStale) {
    const mend = 'see why the name servers are silent: `pilotfish resolve` shows each';
    return [warn(check, `no name server answers; last known ${addresses.join(', ')}`, mend)];
  }
  if (ttlSec === undefined) return [ok(check, `${addresses.join(', ')} (hosts file)`)];
  // One address alone is how most managers are named: no news here, `resolve` tells it.
  const lints = lintName(ttlSec, Math.max(2, addresses.length), times).filter(
    ({ level }) => level === 'warn',
  );
  if (lints.length > 0) return lints.map(({ text }) => warn(check, text, fix));
  return [ok(check, `${addresses.join(', ')}, TTL ${ttlSec} s`)];
}

/** `4.14.8` against `4.14.9`; undefined when either is no version. */
export function compareVersions(left: string, right: string): number | undefined {
  const [a, b] = [left, right].map((text) => /^v?(\d+)\.(\d+)\.(\d+)/.exec(text)?.slice(1, 4));
  if (a === undefined || b === undefined) return undefined;
  for (const [index, one] of a.entries()) {
    const difference = Number(one) - Number(b[index]);
    if (difference !== 0) return difference;
  }
  return 0;
}
