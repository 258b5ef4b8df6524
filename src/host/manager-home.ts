/** The manager beside which the publisher runs: daemons, queues, disk, from its own files. */
import { readdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { LocalState } from '../publisher/roster/view.ts';
import { parseManagerState, queueUsage } from '../wazuh/manager-state.ts';
import { readBounded } from './read-bounded.ts';

const daemons = ['wazuh-remoted', 'wazuh-analysisd', 'wazuh-db'] as const;
const stateFiles = ['wazuh-remoted.state', 'wazuh-analysisd.state'] as const;
const maxStateBytes = 256 * 1024;

/** Undefined where no manager's home is, or it went away meanwhile: then nothing is known. */
export async function readManagerHome(home: string): Promise<LocalState | undefined> {
  const run = join(home, 'var/run');
  const names = await readdir(run).catch(() => undefined);
  if (names === undefined) return undefined;
  const missing = daemons.filter((daemon) => !names.some((name) => isAlive(name, daemon)));
  const texts = await Promise.all(
    stateFiles.map(async (name) => (await readBounded(join(run, name), maxStateBytes))?.toString()),
  );
  const usages = texts.map((text) => queueUsage(parseManagerState(text ?? '')));
  const disk = await statfs(home).catch(() => undefined);
  if (disk === undefined) return undefined;
  const { bavail, blocks } = disk;
  return {
    missingDaemons: missing,
    queueUsage: Math.max(0, ...usages),
    diskFree: blocks === 0 ? 1 : bavail / blocks,
  };
}

/** `wazuh-remoted-1234.pid`, and that process is there. */
function isAlive(name: string, daemon: string): boolean {
  const pid = new RegExp(`^${daemon}-([0-9]{1,10})\\.pid$`).exec(name)?.[1];
  if (pid === undefined) return false;
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
