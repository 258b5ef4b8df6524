/**
 * pilotfish.exe as Wine 8 can run it: Node 26 does not start there (its memory reservation fails),
 * Node 22 does. The same bundle, another Node, so what is shown is our code and the installer, not
 * the executable that ships. Node 22 has no --build-sea: its blob is injected by postject.
 */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '../package/bundles.ts';
import { prepareNode } from '../package/node-base.ts';
import { run } from '../package/run.ts';
import { type Target, targets } from '../package/targets.ts';

const version = '22.23.2';
const postject = 'postject@1.0.0-alpha.6';
/** What Node looks for to know that something was injected. */
const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

export function buildWineBinary(output: string): void {
  mkdirSync(dirname(output), { recursive: true });
  const config = `${output}.json`;
  const blob = `${output}.blob`;
  const main = 'dist/pilotfish.cjs';
  writeFileSync(
    config,
    JSON.stringify({ main, output: blob, disableExperimentalSEAWarning: true }),
  );
  const maker = prepareNode(targetNamed('linux-x64'), { version });
  run([maker, '--experimental-sea-config', config], { cwd: root });
  copyFileSync(prepareNode(targetNamed('win-x64'), { version }), output);
  const words = ['NODE_SEA_BLOB', blob, '--sentinel-fuse', fuse];
  run(['npx', '--yes', postject, output, ...words], { cwd: join(root, 'dist') });
}

function targetNamed(name: Target['name']): Target {
  const found = targets.find((target) => target.name === name);
  if (found === undefined) throw new Error(`no target ${name}`);
  return found;
}
