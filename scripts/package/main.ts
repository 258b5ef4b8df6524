/** `npm run package`: binaries and packages in `dist/package/`, a table of sizes and hashes. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { artefactOf, renderArtefacts, renderSums } from './artefact.ts';
import { buildBinary } from './binary.ts';
import { type Bundle, buildBundles, readStamp, root, type Stamp } from './bundles.ts';
import { buildDeb } from './deb.ts';
import { missingPackages, type Tool } from './run.ts';
import { programs, type Target, targets } from './targets.ts';

const help = `usage: npm run package -- [--all | --target NAME …] [options]

Builds pilotfish and pilotfish-publisher, each with Node.js inside, and the packages around them.
Same commit, same bytes: times are the commit's (or SOURCE_DATE_EPOCH), nothing else varies.

  --all            every target: ${targets.map(({ name }) => name).join(', ')}
  --target NAME    one target; without any: linux-x64
  --quick          little compression, for packages that are only installed in a test
  --output DIR     where finished files go (default dist/package)

The single-executable files are made by Node's own --build-sea, not by @yao-pkg/pkg: pkg's classic
form downloads a patched Node from its makers' site, its --sea form wants a cache of its inner
layout filled by hand and then does what --build-sea does. Node itself is the registry's package of
package-lock.json, checked by its integrity, stripped of symbols and of its maker's signature.
Start-up snapshot and code cache stay off: the first does not end, the second differs in each build.
`;

interface Options {
  readonly chosen: readonly Target[];
  readonly quick: boolean;
  readonly output: string;
}

export async function packageAll(
  argv: readonly string[],
  print: (line: string) => void,
): Promise<number> {
  if (argv.includes('--help')) {
    print(help);
    return 0;
  }
  const options = readOptions(argv);
  if (options === undefined) {
    print(help);
    return 2;
  }
  const missing = missingPackages(toolsFor(options.chosen));
  if (missing.length > 0) {
    print(`these Debian packages are needed: apt-get install ${missing.join(' ')}`);
    return 1;
  }
  process.umask(0o022);
  const artefacts = await buildAll(options, print);
  print(renderArtefacts(artefacts));
  return 0;
}

function readOptions(argv: readonly string[]): Options | undefined {
  const names: string[] = [];
  let [quick, output] = [false, join(root, 'dist/package')];
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index];
    if (word === '--all') names.push(...targets.map(({ name }) => name));
    else if (word === '--quick') quick = true;
    else if (word === '--target') names.push(argv[++index] ?? '');
    else if (word === '--output') output = argv[++index] ?? output;
    else return undefined;
  }
  const wanted = names.length === 0 ? ['linux-x64'] : names;
  const chosen = targets.filter(({ name }) => wanted.includes(name));
  return wanted.every((name) => targets.some((target) => target.name === name))
    ? { chosen, quick, output }
    : undefined;
}

function toolsFor(chosen: readonly Target[]): readonly Tool[] {
  return chosen.flatMap(({ os, toolPrefix }): readonly Tool[] => {
    if (os === 'linux') return ['dpkg-deb', `${toolPrefix}gcc` as Tool];
    return os === 'windows' ? ['osslsigncode'] : [];
  });
}

async function buildAll(options: Options, print: (line: string) => void) {
  const stamp = readStamp();
  const bundles = await buildBundles(stamp);
  rmSync(options.output, { recursive: true, force: true });
  mkdirSync(options.output, { recursive: true });
  const paths: string[] = [];
  for (const target of options.chosen) {
    print(`${target.name} …`);
    paths.push(...buildTarget({ target, options, stamp, bundles }));
  }
  const artefacts = await Promise.all(paths.map(artefactOf));
  writeFileSync(join(options.output, 'SHA256SUMS'), renderSums(artefacts));
  return artefacts;
}

interface TargetRequest {
  readonly target: Target;
  readonly options: Options;
  readonly stamp: Stamp;
  readonly bundles: readonly Bundle[];
}

/** Paths of the finished files. */
function buildTarget({ target, options, stamp, bundles }: TargetRequest): readonly string[] {
  const { output: outputFolder, quick } = options;
  return programs.flatMap((program) => {
    const binary = join(outputFolder, target.name, `${program}${target.suffix}`);
    buildBinary({ program, target, output: binary });
    const request = { program, target, stamp, bundles, binary, outputFolder, quick };
    return target.os === 'linux' ? [buildDeb(request)] : [binary];
  });
}
