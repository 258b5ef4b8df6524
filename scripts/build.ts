/**
 * `npm run build`: two programs, each one file without imports, in `dist/`. The sidecar must not
 * carry the publisher's server packages; the build fails if it does.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build, type Metafile } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const version = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')).version as string;
const programs = {
  pilotfish: 'sidecar-main',
  'pilotfish-publisher': 'publisher-main',
  // A worker thread of the publisher's cluster node; lies beside it.
  'cluster-files-thread': 'host/cluster-files-thread',
} as const;
const publisherOnly = ['fastify', 'prom-client', 'src/publisher', 'src/cluster', 'src/web'];

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short=12', 'HEAD'], { cwd: root })
      .toString()
      .trim();
  } catch {
    return 'unknown';
  }
}

function refuseServerPackages(meta: Metafile): void {
  const carried = Object.keys(meta.inputs).filter((input) =>
    publisherOnly.some(
      (name) => input.startsWith(`node_modules/${name}/`) || input.startsWith(`${name}/`),
    ),
  );
  if (carried.length > 0) throw new Error(`the sidecar bundle carries ${carried[0]}`);
}

for (const [program, entry] of Object.entries(programs)) {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [`src/${entry}.ts`],
    outfile: `dist/${program}.cjs`,
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'cjs',
    metafile: true,
    minifySyntax: true,
    legalComments: 'none',
    define: {
      'import.meta.url': '__moduleUrl',
      'globalThis.pilotfishBuild': JSON.stringify({ version, commit: commit() }),
    },
    banner: { js: 'const __moduleUrl = require("node:url").pathToFileURL(__filename).href;' },
  });
  if (program === 'pilotfish') refuseServerPackages(metafile);
  const bytes = Object.values(metafile.outputs)[0]?.bytes ?? 0;
  process.stdout.write(`dist/${program}.cjs  ${(bytes / 1024).toFixed(0)} KiB\n`);
}
