/**
 * One program and Node in one executable file. `@yao-pkg/pkg` cannot work without downloads from
 * its own site (its classic form) or needs a cache of its inner layout filled by hand (`--sea`);
 * Node's own `--build-sea` makes the same executable for every platform from here, so that is used.
 * Code cache and start-up snapshot stay off: with them two builds differ (or do not end).
 */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from './bundles.ts';
import { signAdHoc } from './macho-sign.ts';
import { prepareNode } from './node-base.ts';
import { run } from './run.ts';
import type { ProgramName, Target } from './targets.ts';

/**
 * Options that the binary starts with. Nothing else is taken from environment or arguments
 * (`execArgvExtension: none`), no signal opens a debugger, no native addon is loaded, and no
 * OpenSSL configuration of the environment can name an engine.
 */
const commonOptions = [
  '--disable-sigusr1',
  '--disable-proto=delete',
  '--no-addons',
  '--openssl-config=/dev/null',
];
const programOptions: Readonly<Record<ProgramName, readonly string[]>> = {
  // Small for life: a young generation that does not grow, nothing compiled before it runs, and a
  // collection when it is at rest (rest-memory.ts).
  pilotfish: ['--max-old-space-size=96', '--max-semi-space-size=1', '--max-lazy', '--expose-gc'],
  'pilotfish-publisher': [],
};

export interface BinaryRequest {
  readonly program: ProgramName;
  readonly target: Target;
  /** Where the executable goes. */
  readonly output: string;
}

export function buildBinary({ program, target, output }: BinaryRequest): void {
  const executable = prepareNode(target);
  mkdirSync(dirname(output), { recursive: true });
  const made = `${output}.new`;
  const config = {
    main: `dist/${program}.cjs`, // relative: the path is written into the executable
    output: made,
    executable,
    disableExperimentalSEAWarning: true,
    useSnapshot: false,
    useCodeCache: false,
    execArgv: optionsOf(program, target),
    execArgvExtension: 'none',
    ...(program === 'pilotfish-publisher'
      ? { assets: { 'cluster-files-thread.cjs': 'dist/cluster-files-thread.cjs' } }
      : {}),
  };
  const configPath = `${output}.sea.json`;
  writeFileSync(configPath, JSON.stringify(config));
  run([join(root, 'node_modules/.bin/node'), '--build-sea', configPath], { cwd: root });
  rmSync(configPath);
  if (target.os === 'macos') signAdHoc(made, `io.pilotfish.${program}`);
  renameSync(made, output);
}

function optionsOf(program: ProgramName, { os }: Target): readonly string[] {
  const common = os === 'windows' ? commonOptions.map(windowsOption) : commonOptions;
  return [...common, ...programOptions[program]];
}

function windowsOption(option: string): string {
  return option.replace('/dev/null', 'NUL');
}
