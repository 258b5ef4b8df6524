/** A directory like the agent's with a file worth losing, and the verdict on what became of it. */
import { existsSync } from 'node:fs';
import { chmod, chown, lstat, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConfigFile } from '../../src/applier/config-file.ts';
import type { ConfigFolder } from '../../src/applier/replace.ts';
import { messageOf } from '../../src/guards.ts';
import { openBackupStore } from '../../src/host/backup-store.ts';
import { gnuAttributes, noAttributes } from '../../src/host/file-attributes.ts';
import { systemClock, systemRandom } from '../../src/host/system-clock.ts';
import { openTwoGenerationFile } from '../../src/host/two-generation-file.ts';
import { openUnixConfigFile } from '../../src/host/unix-config-file.ts';

/** in_place: the rename is answered with "busy", as over a bind-mounted file. */
export type VictimMode = 'rename' | 'in_place';

const server = (address: string): string =>
  `    <server>\n      <address>${address}</address>\n    </server>\n`;
const filler = '  <!-- a line that makes the file as long as installed ones are -->\n'.repeat(180);
const config = (servers: string): Buffer =>
  Buffer.from(`<ossec_config>\n  <client>\n${servers}  </client>\n${filler}</ossec_config>\n`);

export const oldConfig = config(server('10.0.0.1'));
export const newConfig = config(server('10.0.0.2') + server('10.0.0.3'));
export const owner = { uid: 4321, gid: 8765, mode: 0o640 } as const;

export function openVictim(
  directory: string,
  mode: VictimMode,
  isGnu: boolean,
  wrap: (folder: ConfigFolder) => ConfigFolder = (folder) => folder,
): ConfigFile {
  const stateDirectory = join(directory, 'state');
  return openUnixConfigFile({
    path: join(directory, 'etc', 'ossec.conf'),
    stateDirectory,
    maxBytes: 8 * 1024 * 1024,
    onLostAttributes: 'refuse',
    attributes: isGnu ? gnuAttributes : noAttributes,
    backups: openBackupStore(join(stateDirectory, 'backups')),
    clock: systemClock,
    random: systemRandom,
    wrap: (folder) =>
      wrap(mode === 'rename' ? folder : { ...folder, commit: () => Promise.resolve('busy') }),
  });
}

export async function makeVictim(directory: string): Promise<void> {
  await mkdir(join(directory, 'etc'), { recursive: true });
  await mkdir(join(directory, 'state'), { mode: 0o700 });
  const path = join(directory, 'etc', 'ossec.conf');
  await writeFile(path, oldConfig);
  if (process.getuid?.() === 0) await chown(path, owner.uid, owner.gid);
  await chmod(path, owner.mode);
  await writeFile(join(directory, 'new.conf'), newConfig);
  await openTwoGenerationFile(join(directory, 'state', 'memory')).write(Buffer.from('before'));
}

export type Verdict =
  | { readonly kind: 'old' | 'new' | 'torn_until_recovery'; readonly orphans: number }
  | { readonly kind: 'violation'; readonly what: string };

/** What is on disk after a crash, and that a next run makes everything new again. */
export async function judgeVictim(directory: string, mode: VictimMode): Promise<Verdict> {
  const path = join(directory, 'etc', 'ossec.conf');
  try {
    const first = await contentOf(path);
    const wrong = await wrongAttributes(path);
    if (wrong !== undefined) return { kind: 'violation', what: wrong };
    if (first === 'torn' && mode === 'rename') return { kind: 'violation', what: 'torn' };
    const names = await readdir(join(directory, 'etc'));
    const remembered = await openTwoGenerationFile(join(directory, 'state', 'memory')).read();
    if (remembered === undefined) return { kind: 'violation', what: 'the memory is gone' };
    const file = openVictim(directory, mode, false);
    await file.recover();
    if ((await contentOf(path)) === 'torn') return { kind: 'violation', what: 'not recovered' };
    await file.replace(await file.read(), newConfig);
    if ((await contentOf(path)) !== 'new') return { kind: 'violation', what: 'next run failed' };
    const again = await wrongAttributes(path);
    if (again !== undefined) return { kind: 'violation', what: `next run: ${again}` };
    return { kind: first === 'torn' ? 'torn_until_recovery' : first, orphans: names.length - 1 };
  } catch (error) {
    return { kind: 'violation', what: messageOf(error) };
  }
}

async function contentOf(path: string): Promise<'old' | 'new' | 'torn'> {
  if (!existsSync(path)) throw new Error('ossec.conf is missing');
  const bytes = await readFile(path);
  if (bytes.equals(oldConfig)) return 'old';
  return bytes.equals(newConfig) ? 'new' : 'torn';
}

async function wrongAttributes(path: string): Promise<string | undefined> {
  const stats = await lstat(path);
  if (!stats.isFile() || stats.nlink !== 1) return 'not a plain file of one name';
  if ((stats.mode & 0o7777) !== owner.mode) return `mode ${(stats.mode & 0o7777).toString(8)}`;
  const { uid, gid } = process.getuid?.() === 0 ? owner : stats;
  return stats.uid === uid && stats.gid === gid ? undefined : `owner ${stats.uid}:${stats.gid}`;
}
