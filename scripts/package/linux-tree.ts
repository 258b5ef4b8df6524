/** The files of a Linux package, laid out as they will lie on the host. */
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Bundle, root, type Stamp } from './bundles.ts';
import { completionPath, renderCompletion, shells } from './completion.ts';
import { renderManPage } from './man-page.ts';
import { run } from './run.ts';
import { renderSbom } from './sbom.ts';
import { readSurface } from './surface.ts';
import type { ProgramName, Target } from './targets.ts';

export interface LinuxRequest {
  readonly program: ProgramName;
  readonly target: Target;
  readonly stamp: Stamp;
  readonly bundles: readonly Bundle[];
  /** The finished executable. */
  readonly binary: string;
  readonly outputFolder: string;
  /** Little compression: for tests that only install. */
  readonly quick: boolean;
}

export const maintainer = 'Pilotfish contributors <pilotfish@localhost>';

export type LinuxFormat = 'deb' | 'rpm';

export interface LinuxTree {
  readonly folder: string;
  /** Of all files together. */
  readonly bytes: number;
}

export function layLinuxTree(request: LinuxRequest, format: LinuxFormat): LinuxTree {
  const { program, binary, target, outputFolder } = request;
  const folder = join(outputFolder, `tree-${format}-${program}-${target.name}`);
  rmSync(folder, { recursive: true, force: true });
  const lib = `usr/lib/${program}`;
  const linux = join(root, 'installers/linux');
  const put = (to: string, from: string, mode = 0o644): void =>
    writeFile(folder, to, readFileSync(from), mode);
  put(`usr/bin/${program}`, binary, 0o755);
  if (program === 'pilotfish-publisher') linkControl(folder, lib);
  compileNotify(`${target.toolPrefix}gcc`, join(folder, lib, 'notify'));
  for (const name of unitsOf(program)) {
    put(`usr/lib/systemd/system/${name}`, join(linux, 'units', name));
  }
  put(`${lib}/init/sysv`, join(linux, 'init', `${program}.sysv`), 0o755);
  put(`${lib}/init/openrc`, join(linux, 'init', `${program}.openrc`), 0o755);
  layDocuments(request, format, folder);
  return { folder, bytes: bytesOf(folder) };
}

/** Beside Wazuh's own `/var/ossec/bin/cluster_control`, never in its place. */
function linkControl(folder: string, lib: string): void {
  mkdirSync(join(folder, lib, 'bin'), { recursive: true, mode: 0o755 });
  symlinkSync('../../../bin/pilotfish-publisher', join(folder, lib, 'bin/cluster_control'));
}

export function unitsOf(program: ProgramName): readonly string[] {
  const isPublisher = program === 'pilotfish-publisher';
  return readdirSync(join(root, 'installers/linux/units'))
    .filter((name) => name.startsWith('pilotfish-publisher.') === isPublisher)
    .toSorted();
}

/** Freestanding: links nothing of the machine that builds. */
export function compileNotify(compiler: string, output: string): void {
  mkdirSync(dirname(output), { recursive: true });
  const source = join(root, 'installers/linux/native/notify.c');
  const flags = ['-O2', '-s', '-static', '-nostdlib', '-ffreestanding', '-fno-stack-protector'];
  run([compiler, ...flags, '-Wall', '-Wextra', '-Wl,--build-id=none', '-o', output, source]);
}

function layDocuments(request: LinuxRequest, format: LinuxFormat, folder: string): void {
  const { program, stamp, bundles } = request;
  const documents = `usr/share/doc/${program}`;
  const put = (path: string, text: string | Buffer): void => writeFile(folder, path, text, 0o644);
  put(`${documents}/CHANGELOG.md.gz`, gzipped(readFileSync(join(root, 'CHANGELOG.md'))));
  if (format === 'deb') {
    put(`${documents}/changelog.gz`, gzipped(renderChangelog(program, stamp)));
    put(`usr/share/lintian/overrides/${program}`, renderOverrides(program));
  }
  put(`${documents}/copyright`, copyright);
  put(`${documents}/sbom.cdx.json`, renderSbom(program, bundles, stamp));
  const surface = readSurface(program);
  put(`usr/share/man/man1/${program}.1.gz`, gzipped(renderManPage(surface, stamp)));
  for (const shell of shells) {
    put(completionPath(shell, program, format), renderCompletion(surface, shell));
  }
}

/** Debian's form; what changed is told by CHANGELOG.md beside it. */
function renderChangelog(program: ProgramName, { version, commit, epoch }: Stamp): string {
  const date = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000');
  return `${program} (${version}) stable; urgency=medium

  * Built from commit ${commit}; see CHANGELOG.md.gz.

 -- ${maintainer}  ${date}
`;
}

/** One executable with its own Node, made to run on any distribution: these rules cannot hold. */
function renderOverrides(program: ProgramName): string {
  return [
    'embedded-library',
    'hardening-no-pie',
    'statically-linked-binary',
    'maintainer-script-calls-systemctl',
    'maintainer-script-calls-init-script-directly',
    'command-with-path-in-maintainer-script',
    'script-in-etc-init.d-not-registered-via-update-rc.d',
  ]
    .map((tag) => `${program}: ${tag}\n`)
    .join('');
}

const copyright = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: pilotfish

Files: *
Copyright: 2026 Pilotfish contributors
License: Apache-2.0

License: Apache-2.0
 Licensed under the Apache License, Version 2.0. On Debian systems the full text is in
 /usr/share/common-licenses/Apache-2.0.
Comment: The executable contains Node.js and npm packages; sbom.cdx.json beside this file names each
 with its version and licence.
`;

function gzipped(content: string | Buffer): Buffer {
  return gzipSync(content, { level: 9 });
}

function writeFile(folder: string, to: string, content: string | Buffer, mode: number): void {
  const path = join(folder, to);
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  writeFileSync(path, content, { mode });
}

function bytesOf(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}
