/**
 * Power cuts without a device mapper: the victim lives on ext4 in a file. At every step of the
 * protocol the file is copied as it is (what the disk would hold) and the copy mounted, so that
 * the journal is replayed as after a real cut. What had returned must be there.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConfigFolder } from '../../src/applier/replace.ts';
import { judgeVictim, makeVictim, openVictim, type VictimMode } from './victim.ts';

export interface PowerCuts {
  readonly images: number;
  readonly outcomes: ReadonlyMap<string, number>;
  readonly violations: readonly string[];
}

const imageBytes = '16M';

/** Undefined when a loop image can be made and mounted here, else why not. */
export async function loopObstacle(): Promise<string | undefined> {
  const root = await mkdtemp(join(tmpdir(), 'pf-loop-'));
  try {
    await withImage(root, '', async () => undefined);
    return undefined;
  } catch (error) {
    return String(error).split('\n')[0];
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** `options` are mount options, such as `noauto_da_alloc`. */
export async function cutPower(
  rounds: number,
  mode: VictimMode,
  options: string,
): Promise<PowerCuts> {
  const outcomes = new Map<string, number>();
  const violations: string[] = [];
  let images = 0;
  for (let round = 0; round < rounds; round += 1) {
    const root = await mkdtemp(join(tmpdir(), 'pf-power-'));
    const cut = async (step: string, mustBeNew: boolean): Promise<void> => {
      images += 1;
      const kind = await judgeCopy(root, mode, options);
      outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1);
      const isLost = mustBeNew && kind !== 'new';
      if (kind.startsWith('violation') || isLost) violations.push(`${step}: ${kind}`);
    };
    try {
      await withImage(root, options, (mount) => replaceWithCuts(mount, mode, cut));
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  }
  return { images, outcomes, violations };
}

async function replaceWithCuts(
  mount: string,
  mode: VictimMode,
  cut: (step: string, mustBeNew: boolean) => Promise<void>,
): Promise<void> {
  await makeVictim(mount);
  execFileSync('sync', ['-f', mount]);
  const file = openVictim(mount, mode, false, (folder) => cutAround(folder, cut));
  await file.replace(await file.read(), await readFile(join(mount, 'new.conf')));
  await cut('after return', true);
}

/** A cut before and after every step of the protocol. */
function cutAround(
  folder: ConfigFolder,
  cut: (step: string, mustBeNew: boolean) => Promise<void>,
): ConfigFolder {
  const around = async <Value>(step: string, run: () => Promise<Value>): Promise<Value> => {
    await cut(`before ${step}`, false);
    const value = await run();
    await cut(`after ${step}`, false);
    return value;
  };
  return {
    async createTemp() {
      const temp = await around('create', () => folder.createTemp());
      return {
        ...temp,
        carryAttributes: () => around('attributes', () => temp.carryAttributes()),
        write: (bytes) => around('write', () => temp.write(bytes)),
        readBack: () => around('read back', () => temp.readBack()),
      };
    },
    commit: (temp, before) => around('rename', () => folder.commit(temp, before)),
    sync: () => around('sync', () => folder.sync()),
    overwrite: (before, bytes) => around('overwrite', () => folder.overwrite(before, bytes)),
  };
}

const mostCopies = 30;

/**
 * The disk as it is at one moment: the kernel may write to it while it is copied, and what was copied
 * before and after that was never together on any disk. Two equal readings are one moment.
 */
async function copyMoment(image: string, copy: string): Promise<void> {
  for (let tries = 0; tries < mostCopies; tries += 1) {
    await copyFile(image, copy);
    if ((await readFile(image)).equals(await readFile(copy))) return;
  }
  throw new Error(`${image} never stood still while it was copied ${mostCopies} times`);
}

async function judgeCopy(root: string, mode: VictimMode, options: string): Promise<string> {
  const copy = join(root, 'copy.img');
  await copyMoment(join(root, 'disk.img'), copy);
  const verdict = await mounted(copy, join(root, 'copy'), options, (mount) =>
    judgeVictim(mount, mode),
  );
  return verdict.kind === 'violation' ? `violation (${verdict.what})` : verdict.kind;
}

async function withImage(
  root: string,
  options: string,
  use: (mount: string) => Promise<void>,
): Promise<void> {
  const image = join(root, 'disk.img');
  execFileSync('truncate', ['-s', imageBytes, image]);
  execFileSync('mkfs.ext4', ['-q', '-F', image], { stdio: 'pipe' });
  await mounted(image, join(root, 'disk'), options, use);
}

async function mounted<Value>(
  image: string,
  mount: string,
  options: string,
  use: (mount: string) => Promise<Value>,
): Promise<Value> {
  await mkdir(mount, { recursive: true });
  const flags = ['loop', ...(options === '' ? [] : [options])].join(',');
  execFileSync('mount', ['-t', 'ext4', '-o', flags, image, mount], { stdio: 'pipe' });
  try {
    return await use(mount);
  } finally {
    const { status } = spawnSync('umount', [mount]);
    if (status !== 0) spawnSync('umount', ['-l', mount]);
  }
}
