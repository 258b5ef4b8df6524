/**
 * Two programs, each one file without imports, in `dist/`. The sidecar must not carry the
 * publisher's server packages; the build fails if it does. Same sources and commit, same bytes.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build, type Metafile } from 'esbuild';
import { bundlePage } from '../../src/host/web-page.ts';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export const entries = {
  pilotfish: 'sidecar-main',
  'pilotfish-publisher': 'publisher-main',
  // A worker thread of the publisher's cluster node; lies beside it, or inside its binary.
  'cluster-files-thread': 'host/cluster-files-thread',
} as const;

const publisherOnly = ['fastify', 'prom-client', 'src/publisher', 'src/cluster', 'src/web'];

/** What every build of this commit says about itself. */
export interface Stamp {
  readonly version: string;
  /** Twelve digits; `+` when the tree held changes; `unknown` outside a repository. */
  readonly commit: string;
  /** Seconds since 1970: time of the commit, or SOURCE_DATE_EPOCH. */
  readonly epoch: number;
}

/**
 * PILOTFISH_COMMIT and SOURCE_DATE_EPOCH speak for a source tree without its repository;
 * PILOTFISH_VERSION makes a package that a test upgrades to.
 */
export function readStamp(): Stamp {
  const own = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')).version as string;
  const { PILOTFISH_COMMIT, PILOTFISH_VERSION, SOURCE_DATE_EPOCH } = process.env;
  const dirty = git('status', '--porcelain', '--untracked-files=no') === '' ? '' : '+';
  const head = git('rev-parse', '--short=12', 'HEAD');
  return {
    version: PILOTFISH_VERSION ?? own,
    commit: PILOTFISH_COMMIT ?? (head === undefined ? 'unknown' : `${head}${dirty}`),
    epoch: Number(SOURCE_DATE_EPOCH ?? git('log', '-1', '--format=%ct') ?? 0),
  };
}

function git(...words: readonly string[]): string | undefined {
  try {
    const stdio = ['ignore', 'pipe', 'ignore'] as const;
    return execFileSync('git', words, { cwd: root, stdio: [...stdio] })
      .toString()
      .trim();
  } catch {
    return undefined;
  }
}

export interface Bundle {
  readonly name: keyof typeof entries;
  readonly path: string;
  readonly bytes: number;
  /** Names of the npm packages that are inside. */
  readonly packages: readonly string[];
}

export async function buildBundles(stamp: Stamp): Promise<readonly Bundle[]> {
  const bundles: Bundle[] = [];
  for (const name of Object.keys(entries) as (keyof typeof entries)[]) {
    bundles.push(await buildBundle(name, stamp));
  }
  return bundles;
}

async function buildBundle(name: keyof typeof entries, stamp: Stamp): Promise<Bundle> {
  const path = `dist/${name}.cjs`;
  const { version, commit, epoch } = stamp;
  const builtAt = new Date(epoch * 1000).toISOString().slice(0, 16).replace('T', ' ');
  const page = name === 'pilotfish-publisher' ? await bundlePage() : undefined;
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [`src/${entries[name]}.ts`],
    outfile: path,
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'cjs',
    metafile: true,
    minifySyntax: true,
    minifyWhitespace: true, // a third less to keep in memory; names stay readable in a stack
    legalComments: 'none',
    define: {
      'import.meta.url': '__moduleUrl',
      'globalThis.pilotfishBuild': JSON.stringify({ version, commit, builtAt }),
      // A file of its own it must not need: the page travels as text.
      ...(page === undefined ? {} : { 'globalThis.pilotfishPage': JSON.stringify(page.texts) }),
    },
    banner: { js: 'const __moduleUrl = require("node:url").pathToFileURL(__filename).href;' },
  });
  if (name === 'pilotfish') refuseServerPackages(metafile);
  const bytes = Object.values(metafile.outputs)[0]?.bytes ?? 0;
  return {
    name,
    path,
    bytes,
    packages: packagesOf([...Object.keys(metafile.inputs), ...(page?.inputs ?? [])]),
  };
}

function packagesOf(inputs: readonly string[]): readonly string[] {
  const names = inputs.flatMap((input) => {
    const name = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
    return name === undefined ? [] : [name];
  });
  return [...new Set(names)].toSorted();
}

function refuseServerPackages({ inputs }: Metafile): void {
  const carried = Object.keys(inputs).find((input) =>
    publisherOnly.some(
      (name) => input.startsWith(`node_modules/${name}/`) || input.startsWith(`${name}/`),
    ),
  );
  if (carried !== undefined) throw new Error(`the sidecar bundle carries ${carried}`);
}
