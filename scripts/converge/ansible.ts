/** Ansible against one machine: an inventory, the collection from the source tree, recaps as values. */
import { spawnSync } from 'node:child_process';
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const collection = fileURLToPath(new URL('../../installers/ansible', import.meta.url));

export interface Recap {
  readonly ok: number;
  readonly changed: number;
  readonly failed: number;
}

export interface PlayRun {
  readonly output: string;
  readonly exit: number | null;
  /** By host. */
  readonly recap: ReadonlyMap<string, Recap>;
}

export interface AnsibleSite {
  /** Where inventory and collection path lie. */
  readonly folder: string;
  /** Lines of an INI inventory, groups included. */
  readonly inventory: readonly string[];
  readonly remoteTmp: string;
}

const playDeadlineMs = 900_000;

/** Lays out a site; its playbooks are named `pilotfish.fleet.NAME` or by path. */
export function layOutSite(site: AnsibleSite): void {
  const home = join(site.folder, 'collections/ansible_collections/pilotfish/fleet');
  cpSync(collection, home, { recursive: true, dereference: true });
  writeFileSync(join(site.folder, 'inventory.ini'), `${site.inventory.join('\n')}\n`);
}

export function environmentOf(site: AnsibleSite): NodeJS.ProcessEnv {
  return {
    ...process.env,
    ANSIBLE_COLLECTIONS_PATH: `${site.folder}/collections:/usr/lib/python3/dist-packages`,
    ANSIBLE_COLLECTIONS_PATHS: `${site.folder}/collections:/usr/lib/python3/dist-packages`,
    ANSIBLE_REMOTE_TMP: site.remoteTmp,
    ANSIBLE_LOCAL_TEMP: join(site.folder, 'tmp'),
    ANSIBLE_NOCOLOR: '1',
    ANSIBLE_PIPELINING: '1',
    ANSIBLE_DEPRECATION_WARNINGS: 'false',
    ANSIBLE_LOCALHOST_WARNING: 'false',
    ANSIBLE_RETRY_FILES_ENABLED: 'false',
    ANSIBLE_GATHER_SUBSET: '!all,min,system,pkg_mgr,service_mgr',
  };
}

export function play(site: AnsibleSite, playbook: string, ...flags: readonly string[]): PlayRun {
  const argv = ['-i', join(site.folder, 'inventory.ini'), playbook, ...flags];
  const ran = spawnSync('ansible-playbook', argv, {
    env: environmentOf(site),
    cwd: site.folder,
    timeout: playDeadlineMs,
    maxBuffer: 64 << 20,
  });
  const output = `${ran.stdout}${ran.stderr}`;
  return { output, exit: ran.status, recap: readRecap(output) };
}

function readRecap(output: string): ReadonlyMap<string, Recap> {
  const shape = /^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=\d+\s+failed=(\d+)/gm;
  return new Map(
    [...output.matchAll(shape)].map(([, host = '', ok, changed, failed]) => [
      host,
      { ok: Number(ok), changed: Number(changed), failed: Number(failed) },
    ]),
  );
}

/** Over all hosts. */
export function changesOf({ recap }: PlayRun): number {
  return [...recap.values()].reduce((sum, { changed }) => sum + changed, 0);
}
