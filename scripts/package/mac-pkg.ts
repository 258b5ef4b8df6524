/**
 * The installer package of macOS, made on Linux: a product archive (Distribution) with one component
 * in it, unsigned. The files are those that `install.sh --lay-out` puts there, the script is its
 * `postinstall`. A product archive, because only that can say for which processor it is (without
 * `hostArchitectures` an Apple silicon Mac asks for Rosetta) and because an MDM installs nothing else.
 * No Mac has opened it: installers/macos/README.md.
 */
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeBom } from './bom.ts';
import { encodeCpio } from './cpio.ts';
import { type MacEntry, readMacTree } from './mac-tree.ts';
import { minimumMacOs } from './macho-sign.ts';
import { run } from './run.ts';
import type { Target } from './targets.ts';
import { encodeXar } from './xar.ts';

/** Also the label of the LaunchDaemon; `pkgutil --forget` in uninstall.sh names it. */
const identifier = 'org.pilotfish.sidecar';
const component = 'pilotfish.pkg';

export interface MacPkgRequest {
  readonly target: Pick<Target, 'name'>;
  readonly version: string;
  /** Seconds since 1970, of everything inside. */
  readonly epoch: number;
  /** What the tarball holds: the program and the scripts. */
  readonly folder: string;
  readonly outputFolder: string;
}

/** Path of the package. */
export function buildMacPkg(request: MacPkgRequest): string {
  const { target, version, epoch, folder, outputFolder } = request;
  const output = join(outputFolder, `pilotfish-${version}-${target.name}.pkg`);
  const work = `${output}.work`;
  const [payload, scripts] = [join(work, 'payload'), join(work, 'scripts')];
  for (const place of [payload, scripts]) mkdirSync(place, { recursive: true, mode: 0o755 });
  run(['sh', join(folder, 'install.sh'), '--lay-out'], { env: { PREFIX: payload } });
  copyFileSync(join(folder, 'postinstall'), join(scripts, 'postinstall'));
  chmodSync(join(scripts, 'postinstall'), 0o755);
  const tree = readMacTree(payload);
  const files = [
    { name: 'Bom', bytes: encodeBom(tree, epoch) },
    { name: 'PackageInfo', bytes: Buffer.from(renderPackageInfo(version, tree)) },
    { name: 'Payload', bytes: gzipped(join(work, 'Payload'), encodeCpio(tree, epoch)) },
    {
      name: 'Scripts',
      bytes: gzipped(join(work, 'Scripts'), encodeCpio(readMacTree(scripts), epoch)),
    },
  ];
  const minimum = minimumMacOs(readFileSync(join(folder, 'pilotfish')));
  const distribution = renderDistribution({ request, tree, minimum });
  const entries = [
    { name: 'Distribution', bytes: Buffer.from(distribution) },
    { name: component, files },
  ];
  writeFileSync(output, encodeXar(entries, epoch));
  rmSync(work, { recursive: true });
  return output;
}

/** By the program, not by our zlib: its bytes do not depend on the processor. */
function gzipped(path: string, bytes: Buffer): Buffer {
  writeFileSync(path, bytes);
  run(['gzip', '-9nf', path]);
  return readFileSync(`${path}.gz`);
}

function kilobytes(tree: readonly MacEntry[]): number {
  const bytes = tree.reduce((sum, one) => sum + (one.kind === 'file' ? one.bytes.length : 0), 0);
  return Math.ceil(bytes / 1024);
}

/** `overwrite-permissions` false: folders that are there keep their owner (/usr/local/bin is often a user's). */
function renderPackageInfo(version: string, tree: readonly MacEntry[]): string {
  return `<?xml version="1.0" encoding="utf-8"?>
<pkg-info format-version="2" identifier="${identifier}" version="${version}" install-location="/"
  auth="root" overwrite-permissions="false" relocatable="false" postinstall-action="none">
    <payload numberOfFiles="${tree.length}" installKBytes="${kilobytes(tree)}"/>
    <scripts>
        <postinstall file="./postinstall"/>
    </scripts>
</pkg-info>
`;
}

interface Described {
  readonly request: MacPkgRequest;
  readonly tree: readonly MacEntry[];
  /** Of macOS, as in `13.5`. */
  readonly minimum: string;
}

/** Only onto the volume that runs: `postinstall` talks to the launchd of this Mac. */
function renderDistribution({ request, tree, minimum }: Described): string {
  const { version, target } = request;
  const architecture = target.name === 'macos-arm64' ? 'arm64' : 'x86_64';
  const reference = `id="${identifier}" version="${version}"`;
  return `<?xml version="1.0" encoding="utf-8"?>
<installer-gui-script minSpecVersion="2">
    <title>Pilotfish ${version}</title>
    <options customize="never" require-scripts="false" hostArchitectures="${architecture}"/>
    <domains enable_anywhere="false" enable_currentUserHome="false" enable_localSystem="true"/>
    <volume-check>
        <allowed-os-versions>
            <os-version min="${minimum}"/>
        </allowed-os-versions>
    </volume-check>
    <choices-outline>
        <line choice="default">
            <line choice="${identifier}"/>
        </line>
    </choices-outline>
    <choice id="default"/>
    <choice id="${identifier}" visible="false">
        <pkg-ref id="${identifier}"/>
    </choice>
    <pkg-ref ${reference} auth="root" onConclusion="none" installKBytes="${kilobytes(tree)}">#${component}</pkg-ref>
    <product ${reference}/>
</installer-gui-script>
`;
}
