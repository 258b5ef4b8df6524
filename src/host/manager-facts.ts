/** What a manager's home tells about itself: which daemons run, sums of group files. Reads only. */
import { createHash } from 'node:crypto';
import { access, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { DaemonStates, GroupSums, ManagerFacts } from '../cluster/calls/node-view.ts';
import type { JsonObject } from '../guards.ts';
import { systemCodeOf } from '../guards.ts';
import type { ManagerEdition } from '../wazuh/manager-edition.ts';

const algorithms: ReadonlySet<string> = new Set([
  'md5',
  'sha1',
  'sha224',
  'sha256',
  'sha384',
  'sha512',
]);
const groupForm = /^[A-Za-z0-9_.-]{1,255}$/;
/** A group's merged file; larger ones are no longer what agents take. */
const largestFileBytes = 64 * 1024 * 1024;

function isGroupName(name: string): boolean {
  return groupForm.test(name) && name !== '.' && name !== '..';
}

export class HomeFacts implements ManagerFacts {
  readonly #home: string;
  readonly #daemons: readonly string[];

  constructor(home: string, edition: ManagerEdition, role: 'master' | 'worker') {
    this.#home = home;
    this.#daemons = [...edition.daemons, ...(role === 'master' ? edition.masterDaemons : [])];
  }

  async daemons(): Promise<DaemonStates> {
    const files = await namesIn(join(this.#home, 'var', 'run'));
    const states = await Promise.all(
      this.#daemons.map(async (name) => [name, await stateOf(name, files)] as const),
    );
    return Object.fromEntries(states);
  }

  async groupSums(group: string, algorithm: string): Promise<GroupSums> {
    if (!algorithms.has(algorithm))
      throw new RangeError('hash_algorithm is none of the known ones');
    if (!isGroupName(group)) return {};
    const folder = join(this.#home, 'etc', 'shared', group);
    const [merged, config] = await Promise.all([
      sumOf(join(folder, 'merged.mg'), algorithm),
      sumOf(join(folder, 'agent.conf'), algorithm),
    ]);
    return {
      ...(merged === undefined ? {} : { merged }),
      ...(config === undefined ? {} : { config }),
    };
  }

  async mergedSum(groups: readonly string[]): Promise<string | undefined> {
    const [first = '', ...more] = groups;
    if (!groups.every(isGroupName)) return undefined;
    if (more.length === 0) {
      return sumOf(join(this.#home, 'etc', 'shared', first, 'merged.mg'), 'md5');
    }
    const folder = createHash('sha256').update(groups.join(',')).digest('hex').slice(0, 8);
    return sumOf(join(this.#home, 'var', 'multigroups', folder, 'merged.mg'), 'md5');
  }

  async basics(): Promise<JsonObject> {
    const offset = -new Date(0).getTimezoneOffset();
    const hours = String(Math.floor(Math.abs(offset) / 60)).padStart(2, '0');
    const minutes = String(Math.abs(offset) % 60).padStart(2, '0');
    return {
      path: this.#home,
      version: '',
      type: 'server',
      max_agents: 'unlimited',
      openssl_support: 'N/A',
      tz_offset: `${offset < 0 ? '-' : '+'}${hours}${minutes}`,
      tz_name: new Intl.DateTimeFormat().resolvedOptions().timeZone,
    };
  }
}

/** As stock reads `var/run`: a mark of failure or of a start counts before pid files. */
async function stateOf(name: string, files: readonly string[]): Promise<string> {
  if (files.includes(`${name}.failed`)) return 'failed';
  if (files.includes('.restart')) return 'restarting';
  if (files.includes(`${name}.start`)) return 'starting';
  const pids = files.flatMap((file) => {
    const pid = file.startsWith(`${name}-`) ? /-(\d{1,10})\.pid$/.exec(file)?.[1] : undefined;
    return pid === undefined ? [] : [pid];
  });
  if (pids.length === 0) return 'stopped';
  for (const pid of pids) if (await exists(`/proc/${pid}`)) return 'running';
  return 'failed';
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error;
    return [];
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Undefined: absent, not to be read, too large. */
async function sumOf(path: string, algorithm: string): Promise<string | undefined> {
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    if (size > largestFileBytes) return undefined;
    return createHash(algorithm)
      .update(await file.readFile())
      .digest('hex');
  } catch (error) {
    if (systemCodeOf(error) === undefined) throw error;
    return undefined;
  }
}
