/** The deb of one program: dpkg-deb over a tree, with fixed times and owners. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './bundles.ts';
import { type LinuxRequest, type LinuxTree, layLinuxTree, maintainer } from './linux-tree.ts';
import { run } from './run.ts';
import type { ProgramName } from './targets.ts';

/** Path of the package. */
export function buildDeb(request: LinuxRequest): string {
  const { program, target, stamp, outputFolder, quick } = request;
  const tree = layLinuxTree(request, 'deb');
  const control = join(tree.folder, 'DEBIAN');
  mkdirSync(control, { recursive: true });
  writeFileSync(join(control, 'control'), renderControl(request, tree));
  for (const name of ['preinst', 'postinst', 'prerm', 'postrm'] as const) {
    const text = script(program, name);
    if (text !== undefined) writeFileSync(join(control, name), text, { mode: 0o755 });
  }
  const places = agentOrManager[program].folders.map((path) => `interest-noawait ${path}\n`);
  writeFileSync(join(control, 'triggers'), places.join(''));
  const output = join(outputFolder, `${program}_${stamp.version}_${target.debArch}.deb`);
  const level = quick ? ['-Zgzip', '-z1'] : ['-Zxz', '-z6'];
  const words = ['--root-owner-group', ...level, '--build', tree.folder, output];
  run(['dpkg-deb', ...words], { env: { SOURCE_DATE_EPOCH: String(stamp.epoch) } });
  rmSync(tree.folder, { recursive: true });
  return output;
}

function renderControl({ program, target, stamp }: LinuxRequest, { bytes }: LinuxTree): string {
  const fields = {
    Package: program,
    Version: stamp.version,
    Architecture: target.debArch,
    Maintainer: maintainer,
    'Installed-Size': String(Math.ceil(bytes / 1024)),
    // Node is built against glibc 2.28 and needs libatomic.
    Depends: 'libc6 (>= 2.28), libstdc++6 (>= 8), libatomic1, passwd',
    ...(program === 'pilotfish' ? { Enhances: 'wazuh-agent' } : {}),
    Section: 'admin',
    Priority: 'optional',
    Description: descriptions[program],
  };
  return `${Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n')}\n`;
}

interface Neighbour {
  readonly folders: readonly string[];
  readonly rpm: string;
}

/** What may be installed after us, and lets us into its group: folders for dpkg, a name for rpm. */
export const agentOrManager: Readonly<Record<ProgramName, Neighbour>> = {
  pilotfish: { folders: ['/var/ossec/etc'], rpm: 'wazuh-agent' },
  'pilotfish-publisher': {
    folders: ['/var/ossec/etc', '/var/wazuh-manager/etc'],
    rpm: 'wazuh-manager',
  },
};

export const summaries: Readonly<Record<ProgramName, string>> = {
  pilotfish: 'keeps a Wazuh agent connected to the managers of a signed list',
  'pilotfish-publisher': 'signs and serves the list of managers of Wazuh agents',
};

const descriptions: Readonly<Record<ProgramName, string>> = {
  pilotfish: `${summaries.pilotfish}
 Pulls the signed list, proves it, probes the managers, rewrites the server
 entries of the agent's ossec.conf without touching another byte, moves the
 agent, and puts everything back if the agent does not connect.`,
  'pilotfish-publisher': `${summaries['pilotfish-publisher']}
 Runs on the managers: builds the list, signs it, serves it over HTTPS,
 keeps its history and rolls it back.`,
};

/** Maintainer scripts share one body of functions, so that deb and rpm behave alike. */
export function script(program: ProgramName, name: string, format = 'deb'): string | undefined {
  const folder = join(root, 'installers/linux/scripts');
  const shared = readFileSync(join(folder, `${program}.sh`), 'utf8');
  const called = `${format}_${name}`;
  if (!shared.includes(`\n${called}() {`)) return undefined;
  return `${shared}\n${called} "$@"\n`;
}
