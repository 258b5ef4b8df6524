/**
 * What a machine to converge on is: Debian with its debs, or one of the rpm family, where dnf puts
 * rpms onto the same root. That one has rpm's own database, knows Debian's files as one package of
 * the distribution, and tells Ansible that it is a Rocky Linux.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildBundles, readStamp } from '../package/bundles.ts';
import { buildRpm } from '../package/rpm.ts';
import { programs, targets } from '../package/targets.ts';
import type { Machine } from './machine.ts';

export interface Distribution {
  readonly suffix: 'deb' | 'rpm';
  /** Debian packages that the root has beside the usual ones. */
  readonly include: readonly string[];
  /** What is left to do once a copy of the root has booted. */
  prepare(machine: Machine): void;
  /** The sidecar's package of `packages` under the next version number, at `output`. */
  makeNewer(packages: string, output: string): Promise<void>;
  /** The newer one is installed. */
  isUpgraded(machine: Machine): boolean;
}

export const debian: Distribution = {
  suffix: 'deb',
  include: ['python3-apt'],
  prepare: () => undefined,
  makeNewer(packages, output) {
    const tree = `${output}.tree`;
    execFileSync('dpkg-deb', ['-R', packageOf(packages, 'pilotfish', 'deb'), tree]);
    const control = join(tree, 'DEBIAN/control');
    writeFileSync(control, readFileSync(control, 'utf8').replace(/^Version: .*/m, '$&+next'));
    execFileSync('dpkg-deb', ['--root-owner-group', '-Znone', '-b', tree, output]);
    rmSync(tree, { recursive: true });
    return Promise.resolve();
  },
  isUpgraded: (machine) => machine.must('dpkg-query', '-W', 'pilotfish').includes('+next'),
};

export const rocky: Distribution = {
  suffix: 'rpm',
  include: ['dnf', 'python3-dnf', 'rpm'],
  prepare(machine) {
    machine.must(
      'rm',
      '-f',
      '/usr/bin/apt-get',
      '/usr/bin/apt',
      '/etc/debian_version',
      '/etc/os-release',
    );
    machine.write('etc/os-release', osRelease);
    machine.write('etc/redhat-release', 'Rocky Linux release 9.4 (Blue Onyx)\n');
    machine.must('rpm', '--initdb');
    machine.must('rpm', '-i', join(machine.shared, buildBase(machine.shared)));
  },
  async makeNewer(packages, output) {
    const [target] = targets.filter(({ name }) => name === 'linux-x64');
    const [program] = programs.filter((name) => name === 'pilotfish');
    if (target === undefined || program === undefined) throw new Error('no such target');
    const stamp = readStamp();
    const outputFolder = `${output}.build`;
    mkdirSync(outputFolder);
    const built = buildRpm({
      ...{ program, target, outputFolder, quick: true, bundles: await buildBundles(stamp) },
      stamp: { ...stamp, version: `${stamp.version}+next` },
      binary: join(packages, target.name, program),
    });
    renameSync(built, output);
    rmSync(outputFolder, { recursive: true });
  },
  isUpgraded: (machine) => machine.must('rpm', '-q', 'pilotfish').includes('+next'),
};

const osRelease = `NAME="Rocky Linux"
VERSION="9.4 (Blue Onyx)"
ID="rocky"
ID_LIKE="rhel centos fedora"
VERSION_ID="9.4"
PLATFORM_ID="platform:el9"
`;

/** The distribution itself, as far as our packages ask for it: an rpm without files. */
function buildBase(folder: string): string {
  const spec = join(folder, 'base.spec');
  writeFileSync(
    spec,
    `Name: distribution-base
Version: 9.4
Release: 1
Summary: What the root has
License: none
BuildArch: noarch
Provides: glibc = 2.36, libstdc++, libatomic, shadow-utils, coreutils, systemd, openssl, curl, /bin/sh

%description
What the root has.

%files
`,
  );
  execFileSync('rpmbuild', ['-bb', '--define', `_topdir ${folder}/rpmbuild`, spec], {
    stdio: 'ignore',
  });
  return 'rpmbuild/RPMS/noarch/distribution-base-9.4-1.noarch.rpm';
}

/** The package of `program` in `folder`. */
export function packageOf(folder: string, program: string, suffix: 'deb' | 'rpm'): string {
  const shape = new RegExp(`^${program}[_-]\\d.*\\.${suffix}$`);
  const name = readdirSync(folder).find((file) => shape.test(file));
  if (name === undefined) throw new Error(`no ${suffix} of ${program} in ${folder}`);
  return join(folder, name);
}
