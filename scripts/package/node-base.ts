/**
 * The Node that goes into a binary: exactly the package of our lock file, proven by its integrity,
 * without debug symbols and without the signature of its maker (ours would break it anyway).
 */
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './bundles.ts';
import { run } from './run.ts';
import type { Target } from './targets.ts';

interface LockedPackage {
  readonly version: string;
  readonly integrity: string;
}

/** Other lines of Node than the locked one are for tests under Wine only, and are not proven. */
export interface NodeChoice {
  readonly version?: string;
}

/** Path of the prepared program. Downloads once, into `dist/`. */
export function prepareNode(target: Target, { version }: NodeChoice = {}): string {
  const locked = lockedPackage(target.nodePackage);
  const wanted = version ?? locked.version;
  const folder = join(root, 'dist/node', `${target.name}-${wanted}`);
  const ready = join(folder, `node${target.suffix}`);
  if (existsSync(ready)) return ready;
  mkdirSync(folder, { recursive: true });
  const raw = join(folder, 'raw');
  const installed = join(root, 'node_modules', target.nodePackage, target.nodePath);
  const isInstalled = existsSync(installed) && installedVersion(target) === wanted;
  if (isInstalled) copyFileSync(installed, raw);
  else download(target, wanted, wanted === locked.version ? locked.integrity : undefined, raw);
  lighten(target, raw);
  renameSync(raw, ready);
  return ready;
}

function lockedPackage(name: string): LockedPackage {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, LockedPackage>>;
  };
  const found = lock.packages[`node_modules/${name}`];
  if (found === undefined) throw new Error(`package-lock.json does not name ${name}`);
  return found;
}

function installedVersion({ nodePackage }: Target): string {
  const path = join(root, 'node_modules', nodePackage, 'package.json');
  return (JSON.parse(readFileSync(path, 'utf8')) as { readonly version: string }).version;
}

function download(target: Target, version: string, integrity: string | undefined, to: string) {
  const folder = join(root, 'dist/node', `${target.name}-${version}`);
  const spec = `${target.nodePackage}@${version}`;
  const file = run(['npm', 'pack', '--silent', spec], { cwd: folder }).trim();
  const archive = join(folder, file);
  const hash = createHash('sha512').update(readFileSync(archive)).digest('base64');
  if (integrity !== undefined && integrity !== `sha512-${hash}`) {
    rmSync(archive);
    throw new Error(`${spec} is not the one of package-lock.json (sha512-${hash})`);
  }
  const inside = `package/${target.nodePath}`;
  run(['tar', '-xzf', archive, '-C', folder, inside]);
  renameSync(join(folder, inside), to);
  rmSync(join(folder, 'package'), { recursive: true });
  rmSync(archive);
}

function lighten({ os, toolPrefix }: Target, path: string): void {
  if (os === 'linux') run([`${toolPrefix}strip`, path]);
  if (os !== 'windows') return;
  run(['osslsigncode', 'remove-signature', '-in', path, '-out', `${path}.bare`]);
  renameSync(`${path}.bare`, path);
}
