/**
 * For macOS: a tarball with program, LaunchDaemon, install and uninstall script, and a pkg of the
 * same; same bytes each time.
 */
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root, type Stamp } from './bundles.ts';
import { buildMacPkg } from './mac-pkg.ts';
import { run } from './run.ts';
import type { Target } from './targets.ts';

export interface MacRequest {
  readonly target: Target;
  readonly stamp: Stamp;
  /** The finished and signed executable. */
  readonly binary: string;
  readonly outputFolder: string;
}

const files = [
  'org.pilotfish.sidecar.plist',
  'install.sh',
  'postinstall',
  'uninstall.sh',
  'make-pkg.sh',
  'entitlements.plist',
];

/** Paths of the archive and of the pkg. */
export function buildMac({ target, stamp, binary, outputFolder }: MacRequest): readonly string[] {
  const name = `pilotfish-${stamp.version}-${target.name}`;
  const folder = join(outputFolder, name);
  mkdirSync(folder, { recursive: true });
  copyFileSync(binary, join(folder, 'pilotfish'));
  for (const file of files) {
    copyFileSync(join(root, 'installers/macos', file), join(folder, file));
  }
  const archive = `${folder}.tar.gz`;
  packFolder(outputFolder, name, archive, stamp);
  const pkg = buildMacPkg({ target, ...stamp, folder, outputFolder });
  rmSync(folder, { recursive: true });
  return [archive, pkg];
}

/** `name` in `folder` as tar.gz, with fixed order, times and owners. */
export function packFolder(folder: string, name: string, output: string, stamp: Stamp): void {
  const fixed = ['--sort=name', `--mtime=@${stamp.epoch}`, '--owner=0', '--group=0'];
  const words = ['--numeric-owner', '--format=gnu', '-C', folder];
  const tar = output.replace(/\.gz$/, '');
  run(['tar', ...fixed, ...words, '-cf', tar, name]);
  run(['gzip', '-9n', '-f', tar]);
}
