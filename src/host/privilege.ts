/**
 * Root works as the owner of a directory that an unprivileged service owns: nothing planted there
 * can turn root's writes elsewhere, and what is written belongs to whom it must. The effective
 * user is the whole process's, so one such work runs at a time. Windows: no-ops.
 */
import { stat } from 'node:fs/promises';

/** POSIX only, and unknown to the types of Node. */
const posix = process as typeof process & {
  readonly initgroups?: (user: number, extraGroup: number) => void;
};

interface Identity {
  readonly uid: number;
  readonly gid: number;
}

/** `work` as the owner of `directory`, when we are root and it is another's; else as we are. */
export async function asOwnerOf<T>(directory: string, work: () => Promise<T>): Promise<T> {
  const owner = await stat(directory).catch(() => undefined);
  if (owner === undefined || owner.uid === 0 || process.geteuid?.() !== 0) return work();
  become(owner);
  try {
    return await work();
  } finally {
    becomeRoot();
  }
}

/** The same for good: for a command that ends soon. */
export async function becomeOwnerOf(directory: string): Promise<void> {
  const owner = await stat(directory).catch(() => undefined);
  if (owner !== undefined && owner.uid !== 0 && process.geteuid?.() === 0) become(owner);
}

/** `work` as root again, inside `asOwnerOf`; refused by nobody, because we came from there. */
export async function asRoot<T>(work: () => Promise<T>): Promise<T> {
  const uid = process.geteuid?.() ?? 0;
  if (uid === 0 || process.getuid?.() !== 0) return work();
  const before = { uid, gid: process.getegid?.() ?? 0 };
  becomeRoot();
  try {
    return await work();
  } finally {
    become(before);
  }
}

/** Group memberships come along: the agent's files are read by one. */
function become({ uid, gid }: Identity): void {
  posix.initgroups?.(uid, gid);
  process.setegid?.(gid);
  process.seteuid?.(uid);
}

function becomeRoot(): void {
  process.seteuid?.(0);
  process.setegid?.(0);
  posix.initgroups?.(0, 0);
}
