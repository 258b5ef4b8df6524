/**
 * The Ansible collection against a machine with a real, booted systemd, Debian or of the rpm family: check mode, first run,
 * second run unchanged, a changed setting, upgrade, drain, rotated key, everything removed. Managers
 * and agent are stand-ins; packages, units and systemd are real.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Campaign } from '../campaign.ts';
import {
  type AnsibleSite,
  changesOf,
  layOutSite,
  type PlayRun,
  play,
} from '../converge/ansible.ts';
import { type Distribution, debian, packageOf, rocky } from '../converge/distribution.ts';
import { Machine, prepareRoot } from '../converge/machine.ts';
import { missingPackages } from '../package/run.ts';

const repo = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const usage = `usage: npm run campaign -- converge [--root DIR] [--mirror URL] [--packages DIR] [--rpm] [--keep]

  --root DIR       the Debian root to copy, made when missing (default /var/tmp/pilotfish-root, -rpm)
  --mirror URL     where debootstrap finds packages (default http://deb.debian.org/debian)
  --packages DIR   packages of both programs; without: npm run package makes them
  --rpm            rpms, by dnf, on a machine that says it is a Rocky Linux
Needs root, debootstrap, systemd-container, ansible-core, rpm, gcc.`;

const tools = [
  ...(['debootstrap', 'systemd-nspawn', 'ansible-playbook'] as const),
  ...(['dpkg-deb', 'rpmbuild', 'x86_64-linux-gnu-gcc'] as const),
];

type Print = (line: string) => void;

interface Ground {
  readonly machine: Machine;
  readonly folder: string;
  readonly packages: string;
  readonly print: Print;
}

interface Lab {
  readonly distribution: Distribution;
  readonly machine: Machine;
  readonly site: AnsibleSite;
  readonly folder: string;
  readonly original: Buffer;
  readonly print: Print;
  /** Public halves of the keys that signed lists so far. */
  readonly listKeys: Set<string>;
}

export const campaign: Campaign = {
  name: 'converge',
  summary: 'Ansible roles on a machine with a booted systemd, Debian or --rpm',
  usage,
  async run(args, print) {
    const option = (name: string, fallback: string) => {
      const index = args.indexOf(name);
      return index < 0 ? fallback : (args[index + 1] ?? fallback);
    };
    const missing = missingPackages(tools);
    if (missing.length > 0) {
      print(`these Debian packages are needed: apt-get install ${missing.join(' ')}`);
      return 1;
    }
    const distribution = args.includes('--rpm') ? rocky : debian;
    const { include, suffix } = distribution;
    const template = option('--root', `/var/tmp/pilotfish-root${suffix === 'rpm' ? '-rpm' : ''}`);
    prepareRoot(
      template,
      { mirror: option('--mirror', 'http://deb.debian.org/debian'), include },
      print,
    );
    const folder = mkdtempSync(join(tmpdir(), 'pilotfish-converge-'));
    const packages = option('--packages', '') || buildPackages(join(folder, 'packages'), print);
    const machine = new Machine(template, folder, [repo]);
    try {
      await machine.boot();
      const lab = await prepareLab(distribution, { machine, folder, packages, print });
      for (const step of steps) runStep(lab, step);
      return 0;
    } catch (error) {
      print(error instanceof Error ? error.message : String(error));
      return 1;
    } finally {
      if (!args.includes('--keep')) await machine.stop();
    }
  },
};

function buildPackages(folder: string, print: Print): string {
  print('building the packages');
  const script = join(repo, 'scripts/package.ts');
  execFileSync(process.execPath, [script, '--quick', '--output', folder], { stdio: 'ignore' });
  return folder;
}

/** Two managers, an agent on the first of them, and a site that knows the machine by two names. */
async function prepareLab(distribution: Distribution, ground: Ground): Promise<Lab> {
  const { machine, folder, packages, print } = ground;
  const { suffix } = distribution;
  distribution.prepare(machine);
  const node = process.execPath;
  for (const [name, address] of managers) {
    const flags = ['--listen', `${address}:1514`, '--keep'];
    machine.must('systemd-run', `--unit=${name}`, node, `${repo}/test/fakes/manager.ts`, ...flags);
  }
  machine.must('groupadd', '--system', 'wazuh');
  const make = `import('${repo}/test/fakes/agent-home.ts').then((m) => m.makeAgentHome({ directory: '/var/ossec', servers: [{ address: '127.0.1.1' }], ownerPid: undefined }))`;
  machine.must(node, '-e', make);
  machine.must('chgrp', '-R', 'wazuh', '/var/ossec');
  machine.must('chmod', '0750', '/var/ossec');
  writeFileSync(join(machine.root, 'etc/systemd/system/wazuh-agent.service'), agentUnit);
  machine.must('systemctl', 'daemon-reload');
  machine.must('systemctl', 'start', 'wazuh-agent');
  copyFileSync(packageOf(packages, 'pilotfish', suffix), join(folder, `pilotfish.${suffix}`));
  await distribution.makeNewer(packages, join(folder, `pilotfish-next.${suffix}`));
  const site = siteOf(machine, folder, packageOf(packages, 'pilotfish-publisher', suffix));
  layOutSite(site);
  const original = machine.read('var/ossec/etc/ossec.conf');
  return { distribution, machine, site, folder, original, print, listKeys: new Set() };
}

const managers = [
  ['wm-a', '127.0.1.1'],
  ['wm-b', '127.0.1.2'],
] as const;

const agentUnit = `[Service]
Type=forking
ExecStart=/usr/bin/env /var/ossec/bin/wazuh-control start
ExecStop=/usr/bin/env /var/ossec/bin/wazuh-control stop
KillMode=process
RemainAfterExit=yes
`;

function siteOf(machine: Machine, folder: string, publisherPackage: string): AnsibleSite {
  const enter = `ansible_connection=local ansible_shell_executable=${machine.shell} ansible_python_interpreter=/usr/bin/python3 ansible_become=false`;
  const list = managers.map(([id, address]) => `{"id": "${id}", "address": "${address}"}`);
  return {
    folder,
    remoteTmp: join(machine.shared, 'tmp'),
    inventory: [
      ...['[pilotfish_publishers]', `publisher ${enter}`, '[pilotfish_agents]', `agent ${enter}`],
      '[all:vars]',
      `pilotfish_publisher_package_file=${publisherPackage}`,
      'pilotfish_publisher_org=acme',
      `pilotfish_publisher_managers=[${list.join(', ')}]`,
      "pilotfish_publisher_urls=['https://127.0.0.1:8443']",
      `pilotfish_publisher_token_dest=${folder}/join.token`,
      `pilotfish_join_token_file=${folder}/join.token`,
      `pilotfish_package_file=${folder}/pilotfish.${extname(publisherPackage).slice(1)}`,
      "pilotfish_config={'apply': {'spread': '1s', 'cooldown': '1s', 'minInterval': '1s'}}",
    ],
  };
}

interface Step {
  readonly name: string;
  readonly playbook: string;
  readonly flags?: readonly string[];
  /** Throws what is wrong. */
  judge(lab: Lab, ran: PlayRun): void;
}

function runStep(lab: Lab, step: Step): void {
  const startMs = performance.now();
  const playbook = step.playbook.includes('/') ? step.playbook : `pilotfish.fleet.${step.playbook}`;
  const newer = join(lab.folder, `pilotfish-next.${lab.distribution.suffix}`);
  const flags = (step.flags ?? []).map((flag) => flag.replace('NEWER', newer));
  const ran = play(lab.site, playbook, ...flags);
  if (ran.exit !== 0) throw new Error(`${step.name}: exit ${ran.exit}\n${ran.output}`);
  try {
    step.judge(lab, ran);
  } catch (error) {
    throw new Error(`${step.name}: ${String(error)}\n${ran.output}`, { cause: error });
  }
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(0);
  lab.print(`${step.name}: changed=${changesOf(ran)} (${seconds} s)`);
}

function demand(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(what);
}

function entries({ machine }: Lab): readonly string[] {
  const file = machine.read('var/ossec/etc/ossec.conf').toString('latin1');
  const text = file.replaceAll(/<!--.*?-->/gs, '');
  return [...text.matchAll(/<address>(.*?)<\/address>/g)].map(([, address = '']) => address);
}

function becomes(what: string, isSo: () => boolean): void {
  for (let attempt = 0; attempt < 60; attempt += 1) {
    if (isSo()) return;
    execFileSync('sleep', ['1']);
  }
  throw new Error(`${what} did not come true within a minute`);
}

function isConnected({ machine }: Lab): boolean {
  return machine.read('var/ossec/var/run/wazuh-agentd.state').includes("status='connected'");
}

const steps: readonly Step[] = [
  {
    name: 'check mode on an empty machine',
    playbook: 'rollout',
    flags: ['--check', '--limit', 'publisher'],
    judge: ({ machine }) =>
      demand(
        machine.run('test', '-e', '/usr/bin/pilotfish-publisher').status !== 0,
        'check mode installed something',
      ),
  },
  {
    name: 'first run',
    playbook: 'rollout',
    judge(lab, ran) {
      demand(changesOf(ran) > 5, 'nothing changed');
      lab.listKeys.add(readListKey(lab.machine).x);
      becomes('both managers stand in ossec.conf', () => entries(lab).length === 2);
      becomes('the agent is connected', () => isConnected(lab));
      demand(
        lab.machine.must('systemctl', 'is-enabled', 'pilotfish.service').trim() === 'enabled',
        'not enabled',
      );
    },
  },
  {
    name: 'second run',
    playbook: 'rollout',
    judge: (_lab, ran) => demand(changesOf(ran) === 0, 'the second run changed something'),
  },
  {
    name: 'check mode with another setting',
    playbook: 'rollout',
    flags: ['--check', '-e', 'pilotfish_zone=z9'],
    judge(lab, ran) {
      demand(changesOf(ran) > 0, 'check mode does not see the change');
      demand(!lab.machine.read('etc/pilotfish/pilotfish.yml').includes('z9'), 'check mode wrote');
    },
  },
  {
    name: 'upgrade',
    playbook: 'rollout',
    flags: ['-e', 'pilotfish_package_file=NEWER'],
    judge(lab, ran) {
      demand(changesOf(ran) > 0, 'nothing was upgraded');
      demand(lab.distribution.isUpgraded(lab.machine), 'the old version stands');
      demand(entries(lab).length === 2 && isConnected(lab), 'the upgrade lost the list');
      demand(
        lab.machine.must('systemctl', 'is-active', 'pilotfish.service').trim() === 'active',
        'not running',
      );
    },
  },
  {
    name: 'drain',
    playbook: 'drain',
    flags: ['-e', 'pilotfish_manager=wm-a'],
    judge(lab) {
      becomes('the agent starts at the other manager', () => entries(lab)[0] === '127.0.1.2');
      becomes('the agent is connected', () => isConnected(lab));
    },
  },
  {
    name: 'a second drain',
    playbook: 'drain',
    flags: ['-e', 'pilotfish_manager=wm-a'],
    judge: (_lab, ran) => demand(changesOf(ran) === 0, 'drained twice'),
  },
  {
    name: 'take back',
    playbook: 'drain',
    flags: ['-e', 'pilotfish_manager=wm-a', '-e', 'pilotfish_action=undrain'],
    judge: (lab, ran) => {
      demand(changesOf(ran) === 1, 'not taken back');
      checkSecrets(lab);
    },
  },
  {
    name: 'rotate the list key',
    playbook: 'rotate_keys',
    judge(lab) {
      demand(!lab.listKeys.has(readListKey(lab.machine).x), 'the list key is the old one');
      const status = () => lab.machine.run('pilotfish', 'status', '--json').out;
      becomes('the sidecar follows the next root', () => /"rootVersion":\s*[2-9]/.test(status()));
      becomes('the agent is connected', () => isConnected(lab));
      checkSecrets(lab);
    },
  },
  {
    name: 'remove everything',
    playbook: 'remove',
    judge(lab) {
      demand(
        lab.machine.read('var/ossec/etc/ossec.conf').equals(lab.original),
        'ossec.conf is not as it was',
      );
      demand(
        lab.machine.run('test', '-e', '/usr/bin/pilotfish').status !== 0,
        'the program is still there',
      );
      demand(
        lab.machine.run('test', '-e', '/etc/pilotfish').status !== 0,
        'the configuration is still there',
      );
    },
  },
  {
    name: 'remove what is gone',
    playbook: 'remove',
    judge: (_lab, ran) => demand(changesOf(ran) === 0, 'removing again changed something'),
  },
];

function readListKey(machine: Machine): { readonly d: string; readonly x: string } {
  return JSON.parse(machine.read('var/lib/pilotfish-publisher/list-key.jwk').toString());
}

/** Keys of the publisher and the token: in no log, no argument, no file that others may read. */
function checkSecrets({ machine, folder }: Lab): void {
  const token = readFileSync(join(folder, 'join.token'), 'utf8').trim();
  demand((statSync(join(folder, 'join.token')).mode & 0o077) === 0, 'others may read the token');
  const key = readListKey(machine);
  const journal = machine.must('journalctl', '--no-pager', '-o', 'cat');
  const processes = machine.must(
    'sh',
    '-c',
    'cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr "\\0" "\\n"',
  );
  for (const secret of [token, key.d]) {
    demand(!journal.includes(secret), 'a secret stands in the journal');
    demand(!processes.includes(secret), 'a secret is an argument or in an environment');
    const readable = `grep -rlF -- '${secret}' /etc /var /opt /tmp /run 2>/dev/null | xargs -r stat -c '%a %n' | grep -v '0 '`;
    demand(machine.run('sh', '-c', readable).out.trim() === '', 'others may read a secret');
  }
}
