/**
 * The collection: lint, and a short converge of the shell applier on this host inside a mount namespace
 * of its own. `npm run campaign -- converge` is the long form, on a booted machine with packages.
 */
import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { environmentOf, layOutSite } from '../../scripts/converge/ansible.ts';
import { rankManagers } from '../../src/list/select.ts';
import { config, listNow, OwnPublisher, PosixHost } from './posix-stage.ts';

const has = (program: string) => spawnSync(program, ['--version']).status === 0;

function siteFor(t: TestContext, inventory: readonly string[] = []) {
  const folder = mkdtempSync(join(tmpdir(), 'pilotfish-ansible-'));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 9 }));
  const site = { folder, inventory, remoteTmp: join(folder, 'remote') };
  layOutSite(site);
  return site;
}

const collectionOf = (site: { readonly folder: string }): string =>
  join(site.folder, 'collections/ansible_collections/pilotfish/fleet');

/** In a mount namespace, so that /opt and /etc/pilotfish are nobody's but ours. */
const script = `set -e
mount -t tmpfs tmpfs /opt
mount -t tmpfs tmpfs layers
mkdir layers/upper layers/work
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$PWD/layers/upper,workdir=$PWD/layers/work" /etc
rm -rf /etc/pilotfish
exec ansible-playbook -i inventory.ini plays.yml
`;

/** Every play in one process: Ansible takes seconds to start and to look at a host. */
const playbook = `- name: check
  hosts: all
  check_mode: true
  roles: [pilotfish.fleet.sidecar]
  post_tasks:
    - ansible.builtin.shell: test ! -e /opt/pilotfish && test ! -e /etc/pilotfish
      check_mode: false
      changed_when: false
- name: first
  hosts: all
  gather_facts: false
  roles: [pilotfish.fleet.sidecar]
- name: apply
  hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.shell: |
        PILOTFISH_CONF=/etc/pilotfish/pilotfish-sh.conf sh /opt/pilotfish/pilotfish-sh run &&
        cp "$HOME_OF_AGENT/etc/ossec.conf" {{ site }}/written.conf &&
        stat -c %a /etc/pilotfish/join.token >{{ site }}/token.mode
    - ansible.builtin.include_role: {name: pilotfish.fleet.sidecar, tasks_from: wazuh_managers}
    - ansible.builtin.copy:
        content: "{{ {'file': wazuh_managers, 'list': list} | to_json }}"
        dest: "{{ site }}/managers.json"
        mode: "0600"
      vars:
        list: "{{ lookup('pilotfish.fleet.wazuh_managers', token_file=pilotfish_join_token_file, agent_id='007', state_dir=site, wantlist=True) }}"
- name: second
  hosts: all
  gather_facts: false
  roles: [pilotfish.fleet.sidecar]
- name: absent
  hosts: all
  gather_facts: false
  vars: {pilotfish_state: absent}
  roles: [pilotfish.fleet.sidecar]
  post_tasks:
    - ansible.builtin.shell: test ! -e /opt/pilotfish && test ! -e /etc/pilotfish
      changed_when: false
`;

/** How many tasks of each play changed something, by the play's name. */
function changesByPlay(output: string): ReadonlyMap<string, number> {
  const plays = output.split(/^PLAY \[/m).slice(1);
  return new Map(
    plays.map((text) => [
      text.slice(0, text.indexOf(']')),
      text.match(/^changed: /gm)?.length ?? 0,
    ]),
  );
}

/** What it says until it ends, both streams. */
function readAll({ stdout, stderr }: ChildProcessWithoutNullStreams): () => string {
  let text = '';
  for (const stream of [stdout, stderr]) {
    stream.on('data', (chunk) => {
      text += chunk;
    });
  }
  return () => text;
}

describe('the collection', { concurrency: 2 }, () => {
  test('ansible-lint has nothing to say, profile production', async (t) => {
    if (!has('ansible-lint')) return t.skip('no ansible-lint');
    const site = siteFor(t);
    const child = spawn(
      'ansible-lint',
      ['--offline', '--nocolor', '-q', '--profile', 'production'],
      {
        cwd: collectionOf(site),
        env: { ...environmentOf(site), XDG_CACHE_HOME: join(site.folder, 'cache') },
      },
    );
    const output = readAll(child);
    const [exit] = await once(child, 'close');
    assert.equal(exit, 0, output());
  });

  test('the shell applier by Ansible: check mode, first run, second run unchanged, removal byte for byte', async (t) => {
    if (process.getuid?.() !== 0 || !has('ansible-playbook'))
      return t.skip('needs root and ansible');
    if (spawnSync('unshare', ['-m', 'true']).status !== 0)
      return t.skip('no mount namespaces here');
    const overlay =
      'mount -t tmpfs t /mnt && mkdir /mnt/u /mnt/w && mount -t overlay o -o lowerdir=/etc,upperdir=/mnt/u,workdir=/mnt/w /etc';
    if (spawnSync('unshare', ['-m', 'sh', '-c', overlay]).status !== 0)
      return t.skip('no overlays here');
    const publisher = new OwnPublisher();
    await publisher.start(t);
    const list = listNow();
    publisher.serve(list);
    const host = new PosixHost(t, publisher);
    const settings = {
      ...{ agent_home: host.home, state_dir: host.path('state'), restart: host.path('restart') },
      ...{ confirm: 5, spread: 0, min_interval: 0, probe: 'no', quiet_log: 'yes' },
    };
    const site = siteFor(t, [
      'host ansible_connection=local ansible_python_interpreter=/usr/bin/python3',
      '[all:vars]',
      'pilotfish_posix=true',
      `pilotfish_posix_config=${JSON.stringify(settings)}`,
      `pilotfish_join_token_file=${host.path('token')}`,
      `site=${host.path('.')}`,
      `pilotfish_agent_config=${host.configPath}`,
    ]);
    writeFileSync(join(site.folder, 'plays.yml'), playbook);
    mkdirSync(join(site.folder, 'layers'));
    const bin = join(site.folder, 'bin');
    mkdirSync(bin);
    writeFileSync(join(bin, 'crontab'), fakeCrontab(join(site.folder, 'crontab')));
    chmodSync(join(bin, 'crontab'), 0o755);
    const child = spawn('unshare', ['-m', 'sh', '-c', script], {
      cwd: site.folder,
      env: { ...environmentOf(site), PATH: `${bin}:${process.env.PATH}`, HOME_OF_AGENT: host.home },
      stdio: 'pipe',
    });
    const output = readAll(child);
    const [exit] = await once(child, 'close');
    assert.equal(exit, 0, output());
    assert.ok(!output().includes(publisher.token), 'the token is in the output');
    const changes = changesByPlay(output());
    const changed = (name: string): number => changes.get(name) ?? Number.NaN;
    assert.ok(changed('check') > 3 && changed('first') > 3 && changed('absent') > 1, output());
    assert.equal(changed('second'), 0, output());
    const order = rankManagers(list.managers, { agentId: '007' }).map((one) => one.address);
    const written = readFileSync(host.path('written.conf'), 'latin1');
    assert.deepEqual(
      [...written.matchAll(/<address>(.*?)</g)].map((one) => one[1]),
      order,
    );
    const seen = JSON.parse(readFileSync(host.path('managers.json'), 'utf8'));
    const expected = order.map((address) => ({ address, port: 1514, protocol: 'tcp' }));
    assert.deepEqual(seen, { file: expected, list: expected });
    assert.equal(readFileSync(host.path('token.mode'), 'utf8'), '600\n');
    assert.equal(host.readConfig(), config);
  });

  test('a removal that could not put the entries back fails, and so ends the wave', (t) => {
    if (process.getuid?.() !== 0 || !has('ansible-playbook'))
      return t.skip('needs root and ansible');
    if (spawnSync('unshare', ['-m', 'true']).status !== 0)
      return t.skip('no mount namespaces here');
    const site = siteFor(t, [
      'host ansible_connection=local ansible_python_interpreter=/usr/bin/python3',
    ]);
    const play = `- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: pilotfish.fleet.sidecar, tasks_from: linux_unrestored}
`;
    writeFileSync(join(site.folder, 'plays.yml'), play);
    const removed = (left: string) => {
      const steps = `mount -t tmpfs tmpfs /var/lib && ${left} && exec ansible-playbook -i inventory.ini plays.yml`;
      const options = { cwd: site.folder, env: environmentOf(site) };
      return spawnSync('unshare', ['-m', 'sh', '-c', steps], options);
    };
    const clean = removed('true');
    assert.equal(clean.status, 0, String(clean.stdout));
    const left = removed(
      'mkdir /var/lib/pilotfish-apply && : >/var/lib/pilotfish-apply/unrestored',
    );
    assert.notEqual(left.status, 0);
    assert.match(String(left.stdout), /backups\/original\.conf; put them back/);
    const tasks = join(collectionOf(site), 'roles/sidecar/tasks/linux_absent.yml');
    assert.match(readFileSync(tasks, 'utf8'), /import_tasks: linux_unrestored\.yml\n$/);
  });

  test('what publisher.yml holds, the key of the cluster too, is in no difference that Ansible prints', (t) => {
    if (!has('ansible-playbook')) return t.skip('no ansible');
    const key = 'c98b62a9b6169ac5f67dae55ae4a9088';
    const config = { cluster: { name: 'wazuh', key }, dns: { zone: 'agents.example' } };
    const site = siteFor(t, [
      'host ansible_connection=local ansible_python_interpreter=/usr/bin/python3',
      '[all:vars]',
      'pilotfish_publisher_org=acme',
      'pilotfish_publisher_urls=["https://p1.example:8443"]',
      'pilotfish_publisher_managers=[{"id": "wm1", "address": "10.0.0.1"}]',
      `pilotfish_publisher_config=${JSON.stringify(config)}`,
      `pilotfish_publisher_dir=${JSON.stringify('{{ playbook_dir }}/publisher')}`,
    ]);
    mkdirSync(join(site.folder, 'publisher'));
    writeFileSync(join(site.folder, 'publisher/publisher.yml'), 'org: acme\n');
    const play = '- hosts: all\n  gather_facts: false\n  roles: [pilotfish.fleet.publisher]\n';
    writeFileSync(join(site.folder, 'plays.yml'), play);
    const words = [
      '-i',
      'inventory.ini',
      'plays.yml',
      '--check',
      '--diff',
      '-t',
      'pilotfish_config',
    ];
    const ran = spawnSync('ansible-playbook', words, {
      cwd: site.folder,
      env: environmentOf(site),
    });
    const output = `${ran.stdout}${ran.stderr}`;
    assert.equal(ran.status, 0, output);
    assert.match(output, /Write publisher\.yml\][^\n]*\n(?:.*\n)*?changed/);
    assert.ok(!output.includes(key), output);
  });
});

/** Keeps its table in a file of the test. */
function fakeCrontab(table: string): string {
  return `#!/bin/sh
for last in "$@"; do :; done
case " $* " in
  *' -l '*) cat '${table}' 2>/dev/null || { echo 'no crontab for root' >&2; exit 1; } ;;
  *' -r '*) rm -f '${table}' ;;
  *) cat "$last" >'${table}' ;;
esac
`;
}
