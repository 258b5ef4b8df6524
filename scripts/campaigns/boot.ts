/** Start at boot where there is no systemd; see `--help`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BootLife, type OldInit, openRc, sysv } from '../install/boot-life.ts';
import { Container, debianRoot } from '../install/container.ts';
import { root } from '../package/bundles.ts';
import { packageAll } from '../package/main.ts';
import { missingPackages } from '../package/run.ts';

const usage = `usage: npm run campaign -- boot [--init sysv|openrc] [--root DIR] [--packages DIR]

Root only; needs debootstrap, systemd-container, rpm, gcc. Builds debs (or takes those of a folder), boots a
Debian with sysvinit, then one with OpenRC, installs both programs, enables their scripts, reboots: both
were stopped in order, run again, and the agent leaves a dead manager; then purge. systemd-nspawn only
plays the machine; nothing of systemd is inside. Roots are kept in dist/roots.`;

export const campaign = {
  name: 'boot',
  summary: 'SysV and OpenRC scripts: started at boot, stopped at shutdown',
  usage,
  run,
};

const inits: Readonly<Record<string, OldInit>> = { sysv, openrc: openRc };

async function run(args: readonly string[], print: (line: string) => void): Promise<number> {
  const missing = missingPackages([
    ...(['debootstrap', 'systemd-nspawn', 'dpkg-deb', 'rpmbuild', 'x86_64-linux-gnu-gcc'] as const),
  ]);
  if (missing.length > 0) {
    print(`these Debian packages are needed: apt-get install ${missing.join(' ')}`);
    return 1;
  }
  const value = (name: string): string | undefined => {
    const index = args.indexOf(name);
    return index < 0 ? undefined : args[index + 1];
  };
  const chosen = value('--init');
  const built = mkdtempSync(join(tmpdir(), 'pilotfish-packages-'));
  const packages = value('--packages') ?? built;
  try {
    if (packages === built) await packageAll(['--quick', '--output', packages], print);
    for (const [name, init] of Object.entries(inits)) {
      if (chosen === undefined || chosen === name) {
        print(`-- ${name}`);
        await once(init, debianRoot(init, value('--root')), packages, print);
      }
    }
    return 0;
  } finally {
    rmSync(built, { recursive: true, force: true });
  }
}

async function once(
  init: OldInit,
  lower: string,
  packages: string,
  print: (line: string) => void,
): Promise<void> {
  const host = await Container.boot(lower, [root, packages], init);
  try {
    await new BootLife(host, init, packages, print).live();
  } catch (error) {
    print(host.try('tail -n 40 /var/log/pilotfish*.log').out);
    throw error;
  } finally {
    await host.stop();
  }
}
