/** Installs the packages into a booted Debian and lives through everything; see `--help`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Container, debianRoot, systemd } from '../install/container.ts';
import { measureInstallation } from '../install/figures.ts';
import { type Format, Installation, type Packages } from '../install/scenario.ts';
import { root } from '../package/bundles.ts';
import { packageAll } from '../package/main.ts';
import { missingPackages } from '../package/run.ts';

const usage = `usage: npm run campaign -- install [--format deb|rpm] [--root DIR] [--first DIR --later DIR]

Root only; needs debootstrap, systemd-container, rpm, gcc. Builds packages of two versions (or takes those
of two folders), boots a Debian by systemd-nspawn for each format, and there: publisher, stand-in
agent and managers, join by token, rewrite and move by the applier, a manager killed, ossec.conf
removed, drift, a search for secrets, figures, upgrade, downgrade, timer, removal; then a table of
the steps. The root is kept in dist/roots.`;

export const campaign = {
  name: 'install',
  summary: 'deb and rpm in a booted system: join, move, upgrade, downgrade, purge, figures',
  usage,
  run,
};

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
  const formats: readonly Format[] =
    value('--format') === undefined ? ['deb', 'rpm'] : [value('--format') as Format];
  const lower = debianRoot(systemd, value('--root'));
  const built = mkdtempSync(join(tmpdir(), 'pilotfish-packages-'));
  const first = value('--first') ?? join(built, 'first');
  const later = value('--later') ?? join(built, 'later');
  try {
    if (value('--first') === undefined) await packageAll(['--quick', '--output', first], print);
    if (value('--later') === undefined) {
      process.env.PILOTFISH_VERSION = '99.0.0';
      await packageAll(['--quick', '--output', later], print);
    }
    for (const format of formats) await once(format, { first, later }, lower, print);
    return 0;
  } finally {
    rmSync(built, { recursive: true, force: true });
  }
}

async function once(
  format: Format,
  packages: Packages,
  lower: string,
  print: (line: string) => void,
): Promise<void> {
  print(`-- ${format}`);
  const folders = [...new Set([root, packages.first, packages.later])];
  const host = await Container.boot(lower, folders);
  try {
    const installation = new Installation(host, format, packages, print);
    const shown = await installation.live((container) => measureInstallation(container, print));
    print(`\n${format}`);
    for (const { name, seconds, seen } of shown) {
      print(`${name.padEnd(14)}${String(seconds).padStart(4)} s  ${seen}`);
    }
  } catch (error) {
    print(host.try("journalctl --no-pager -n 60 -o cat -u 'pilotfish*'").out);
    throw error;
  } finally {
    await host.stop();
  }
}
