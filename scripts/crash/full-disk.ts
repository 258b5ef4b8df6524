/** Real short writes: the victim on file systems of every size from empty to enough. */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PilotfishError } from '../../src/errors.ts';
import { judgeVictim, makeVictim, newConfig, openVictim } from './victim.ts';

/** Undefined when a small tmpfs can be mounted here, else why not. */
export async function tmpfsObstacle(): Promise<string | undefined> {
  try {
    await onTmpfs(async () => undefined);
    return undefined;
  } catch (error) {
    return String(error).split('\n')[0];
  }
}

export interface FullDisk {
  readonly runs: number;
  readonly refused: number;
  readonly violations: readonly string[];
}

/** Free space from nothing to `newConfig` twice over, in steps of one page (the unit of tmpfs). */
export async function fillDisks(stepBytes: number): Promise<FullDisk> {
  const violations: string[] = [];
  let runs = 0;
  let refused = 0;
  for (let free = 0; free <= newConfig.length * 6; free += stepBytes) {
    runs += 1;
    await onTmpfs(async (mount) => {
      await makeVictim(mount);
      await leaveFree(mount, free);
      const file = openVictim(mount, 'rename', false);
      try {
        await file.replace(await file.read(), newConfig);
      } catch (error) {
        if (!(error instanceof PilotfishError)) throw error;
        refused += 1;
      }
      await rm(join(mount, 'filler'));
      const verdict = await judgeVictim(mount, 'rename');
      if (verdict.kind === 'violation') violations.push(`${free} bytes free: ${verdict.what}`);
    });
  }
  return { runs, refused, violations };
}

async function leaveFree(mount: string, freeBytes: number): Promise<void> {
  const filler = join(mount, 'filler');
  await writeFile(filler, Buffer.alloc(1024 * 1024)).catch(() => undefined); // ends when it is full
  const { size } = await stat(filler);
  await truncate(filler, Math.max(0, size - freeBytes));
}

async function onTmpfs(use: (mount: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'pf-full-'));
  const mount = join(root, 'mount');
  await mkdir(mount);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=755', 'tmpfs', mount], {
      stdio: 'pipe',
    });
    try {
      await use(mount);
    } finally {
      execFileSync('umount', [mount]);
    }
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}
