/** Runs the tools that packages are made with; a missing one is told with its Debian package. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Throws with what the program said. Returns its standard output. */
export function run(argv: readonly string[], { cwd, env }: RunOptions = {}): string {
  const [program = '', ...words] = argv;
  try {
    return execFileSync(program, words, {
      ...(cwd === undefined ? {} : { cwd }),
      env: { ...process.env, LC_ALL: 'C', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 64 * 1024 * 1024,
    }).toString();
  } catch (error) {
    const { stderr, stdout, message } = error as Error & { stderr?: Buffer; stdout?: Buffer };
    const said = `${stderr ?? ''}${stdout ?? ''}`.trim().split('\n').slice(-8).join('\n  ');
    throw new Error(`${argv.join(' ')}: ${said === '' ? message : said}`);
  }
}

/** Debian package of each tool that is not everywhere. */
const tools = {
  'dpkg-deb': 'dpkg',
  rpmbuild: 'rpm',
  wixl: 'wixl',
  msibuild: 'msitools',
  osslsigncode: 'osslsigncode',
  faketime: 'faketime',
  'x86_64-w64-mingw32-gcc': 'gcc-mingw-w64-x86-64',
  'x86_64-linux-gnu-gcc': 'gcc',
  'aarch64-linux-gnu-gcc': 'gcc-aarch64-linux-gnu',
  bsdtar: 'libarchive-tools',
  wine: 'wine',
  debootstrap: 'debootstrap',
  'systemd-nspawn': 'systemd-container',
  'ansible-playbook': 'ansible-core',
} as const;
export type Tool = keyof typeof tools;

/** Debian packages that must be installed before; empty when everything is there. */
export function missingPackages(wanted: readonly Tool[]): readonly string[] {
  const path = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`.split(':');
  const missing = wanted.filter((tool) => !path.some((folder) => existsSync(`${folder}/${tool}`)));
  return [...new Set(missing.map((tool) => tools[tool]))];
}
