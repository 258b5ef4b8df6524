/** The manager's user on this host, and becoming it. */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { HostError } from '../errors.ts';

export interface Account {
  readonly uid: number;
  readonly gid: number;
}

export function isRoot(): boolean {
  return process.geteuid?.() === 0;
}

/** Undefined: no such user here. */
export function findAccount(user: string, file = '/etc/passwd'): Account | undefined {
  try {
    const line = readFileSync(file, 'utf8')
      .split('\n')
      .find((one) => one.startsWith(`${user}:`));
    const [, , uid, gid] = line?.split(':') ?? [];
    if (!/^\d+$/.test(uid ?? '') || !/^\d+$/.test(gid ?? '')) return undefined;
    return { uid: Number(uid), gid: Number(gid) };
  } catch {
    return undefined;
  }
}

/** For good. Throws `HostError` where the system refuses. */
export function becomeAccount({ uid, gid }: Account): void {
  try {
    process.setgroups?.([gid]);
    process.setgid?.(gid);
    process.setuid?.(uid);
  } catch (cause) {
    throw new HostError('store_failed', `cannot become uid ${uid}`, { cause });
  }
}

export function ownAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? []).map(({ address }) => address),
  );
}
