/** `npm run package`: binaries and packages in `dist/package/`, a table of sizes and hashes. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Artefact, artefactOf, renderArtefacts, renderSums } from './artefact.ts';
import { buildBinary } from './binary.ts';
import { type Bundle, buildBundles, readStamp, type Stamp } from './bundles.ts';
import { buildDeb } from './deb.ts';
import { buildMac, packFolder } from './macos.ts';
import { buildMsi } from './msi.ts';
import { help, type Options, readOptions } from './options.ts';
import { buildRpm } from './rpm.ts';
import { missingPackages, type Tool } from './run.ts';
import { renderSbom } from './sbom.ts';
import { signSums } from './sign-sums.ts';
import { programs, type Target } from './targets.ts';

type Print = (line: string) => void;

export async function packageAll(argv: readonly string[], print: Print): Promise<number> {
  const options = argv.includes('--help') ? undefined : readOptions(argv);
  if (options === undefined) {
    print(help);
    return argv.includes('--help') ? 0 : 2;
  }
  const missing = missingPackages(toolsFor(options.chosen));
  if (missing.length > 0) {
    print(`these Debian packages are needed: apt-get install ${missing.join(' ')}`);
    return 1;
  }
  process.umask(0o022);
  const first = await buildAll(options, print);
  print(renderArtefacts(first));
  return options.verify ? verify(options, first, print) : 0;
}

/** Everything once more: the same bytes, or the build is not reproducible. */
async function verify(options: Options, first: readonly Artefact[], print: Print): Promise<number> {
  const output = `${options.output}-again`;
  const second = await buildAll({ ...options, output }, print);
  const differing = first.filter(({ sha256 }, index) => sha256 !== second[index]?.sha256);
  rmSync(output, { recursive: true });
  for (const { path } of differing) print(`differs in a second build: ${path}`);
  if (differing.length === 0) print(`second build: all ${first.length} files identical`);
  return differing.length === 0 ? 0 : 1;
}

function toolsFor(chosen: readonly Target[]): readonly Tool[] {
  return chosen.flatMap(({ os, toolPrefix }): readonly Tool[] => {
    if (os === 'linux') return ['dpkg-deb', 'rpmbuild', `${toolPrefix}gcc` as Tool];
    if (os !== 'windows') return [];
    return ['osslsigncode', 'wixl', 'msibuild', 'faketime', 'x86_64-w64-mingw32-gcc'];
  });
}

async function buildAll(options: Options, print: Print): Promise<readonly Artefact[]> {
  const { output, chosen, sumsKey } = options;
  const stamp = readStamp();
  const bundles = await buildBundles(stamp);
  rmSync(output, { recursive: true, force: true });
  mkdirSync(output, { recursive: true });
  const paths: string[] = [];
  for (const program of programs) {
    const path = join(output, `${program}-${stamp.version}.cdx.json`);
    writeFileSync(path, renderSbom(program, bundles, stamp));
    paths.push(path);
  }
  for (const target of chosen) {
    print(`${target.name} …`);
    paths.push(...buildTarget({ target, options, stamp, bundles }));
  }
  const artefacts = await Promise.all(paths.map(artefactOf));
  const sums = join(output, 'SHA256SUMS');
  writeFileSync(sums, renderSums(artefacts));
  if (sumsKey === undefined) print('SHA256SUMS is not signed: --sums-key names an Ed25519 key');
  else signSums(sums, sumsKey);
  return artefacts;
}

interface TargetRequest {
  readonly target: Target;
  readonly options: Options;
  readonly stamp: Stamp;
  readonly bundles: readonly Bundle[];
}

/** Paths of the finished files; the bare executables travel as an archive for each target. */
function buildTarget(request: TargetRequest): readonly string[] {
  const { target, options, stamp } = request;
  const { output: outputFolder } = options;
  const packages = programs.flatMap((program) => {
    const binary = join(outputFolder, target.name, `${program}${target.suffix}`);
    buildBinary({ program, target, output: binary });
    return packagesOf(request, program, binary);
  });
  if (options.quick) return packages;
  const archive = join(outputFolder, `pilotfish-binaries-${stamp.version}-${target.name}.tar.gz`);
  packFolder(outputFolder, target.name, archive, stamp);
  return [...packages, archive];
}

function packagesOf(
  { target, options, stamp, bundles }: TargetRequest,
  program: (typeof programs)[number],
  binary: string,
): readonly string[] {
  const { output: outputFolder, quick, signer } = options;
  if (target.os === 'linux') {
    const request = { program, target, stamp, bundles, binary, outputFolder, quick };
    return [buildDeb(request), buildRpm(request)];
  }
  // Managers run on Linux: the publisher has no installer elsewhere.
  if (program !== 'pilotfish') return [];
  if (target.os === 'macos') return buildMac({ target, stamp, binary, outputFolder });
  return [buildMsi({ binary, outputFolder, stamp, signer })];
}
