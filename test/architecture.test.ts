/** The rule of the house: imports point one way, pure folders stay pure, no cycles. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const files = globSync('src/**/*.ts', { cwd: root }).sort();

/** Lower layers come later; a file may import its own folder and any layer below its own. */
const layers: readonly (readonly string[])[] = [
  ['src/sidecar-main.ts', 'src/publisher-main.ts'],
  ['src/cli'],
  ['src/host'],
  ['src/simulation', 'src/web'],
  ['src/sidecar', 'src/publisher'],
  ['src/applier'],
  ['src/promotion'],
  [
    'src/cluster/master',
    'src/cluster/worker',
    'src/cluster',
    'src/leader',
    'src/relay',
    'src/balancer',
    'src/diagnosis',
  ],
  ['src/wazuh'],
  ['src/agent-config', 'src/health', 'src/dns', 'src/cluster/session'],
  ['src/list', 'src/cluster/wire'],
  ['src/log.ts'],
  ['src/errors.ts', 'src/clock.ts', 'src/bytes.ts', 'src/guards.ts'],
];

const purePaths = [
  'src/list/',
  'src/agent-config/',
  'src/cluster/wire/',
  'src/cluster/session/',
  'src/dns/',
  'src/health/judge',
  'src/sidecar/decide',
];
/** Deterministic parts of Node that pure code may use. */
const pureModules = ['node:crypto', 'node:buffer', 'node:net', 'node:zlib', 'node:util'];
const impure =
  /\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bset(?:Timeout|Interval|Immediate)\(|\bprocess\.|\bconsole\./;
const chance = /\brandom(?:Bytes|Int|UUID|FillSync)\b/;

interface Import {
  readonly from: string;
  readonly to: string;
  readonly isType: boolean;
}

function importsOf(file: string): Import[] {
  const source = readFileSync(join(root, file), 'utf8');
  const pattern =
    /^\s*(?:import|export)\s+(type\s)?[^'"`;]*?\bfrom\s+'([^']+)'|^\s*import\s+'([^']+)'|\bimport\('([^']+)'\)/gm;
  return [...source.matchAll(pattern)].map((match) => {
    const target = match[2] ?? match[3] ?? match[4] ?? '';
    const to = target.startsWith('.') ? normalize(join(dirname(file), target)) : target;
    return { from: file, to, isType: match[1] !== undefined };
  });
}

const edges = files.flatMap(importsOf);

/** The layer whose longest prefix matches `path`. */
function layerOf(path: string): { readonly index: number; readonly part: string } {
  const found = layers
    .flatMap((parts, index) => parts.map((part) => ({ index, part })))
    .filter(({ part }) => path === part || path.startsWith(`${part}/`))
    .sort((left, right) => right.part.length - left.part.length)[0];
  assert.ok(found, `${path} belongs to no layer: add it to the layout or move it`);
  return found;
}

test('imports point one way', () => {
  const wrong = edges
    .filter((edge) => edge.to.startsWith('src/'))
    .filter((edge) => {
      const from = layerOf(edge.from);
      const to = layerOf(edge.to);
      if (from.part === to.part) return false;
      // host implements ports: it may name any type its consumers declare.
      return to.index <= from.index && !isClusterInside(from.part, to.part);
    })
    .map((edge) => `${edge.from} -> ${edge.to}`);
  assert.deepEqual(wrong, []);
});

/** `cluster/link.ts` and the roles sit side by side; the roles use the link. */
function isClusterInside(from: string, to: string): boolean {
  return from.startsWith('src/cluster/') && to === 'src/cluster';
}

test('only cli/build-* and host name host', () => {
  const wrong = edges
    .filter((edge) => edge.to.startsWith('src/host/'))
    .filter((edge) => !edge.from.startsWith('src/host/') && !/^src\/cli\/build-/.test(edge.from))
    .map((edge) => `${edge.from} -> ${edge.to}`);
  assert.deepEqual(wrong, []);
});

test('pure folders read no clock, chance, disk, socket or log', () => {
  const wrong: string[] = [];
  for (const file of files.filter((name) => purePaths.some((path) => name.startsWith(path)))) {
    const text = readFileSync(join(root, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    if (impure.test(text)) wrong.push(`${file}: ${impure.exec(text)?.[0]}`);
    if (chance.test(text)) wrong.push(`${file}: ${chance.exec(text)?.[0]}`);
    for (const edge of importsOf(file)) {
      const isForbidden =
        (edge.to.startsWith('node:') && !pureModules.includes(edge.to)) || edge.to === 'src/log.ts';
      if (isForbidden && !edge.isType) wrong.push(`${file} -> ${edge.to}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('time and chance are read in host only', () => {
  const wrong = files
    .filter((file) => !file.startsWith('src/host/') && file !== 'src/web/browser.ts')
    .filter((file) =>
      /\bDate\.now\(|\bMath\.random\(|\bset(?:Timeout|Interval)\(/.test(
        readFileSync(join(root, file), 'utf8'),
      ),
    );
  assert.deepEqual(wrong, []);
});

test('the web page takes nothing but types from the programs', () => {
  const wrong = edges
    .filter(({ from, isType }) => from.startsWith('src/web/') && !isType)
    .filter(({ to }) => !to.startsWith('src/web/') && to !== 'uplot')
    .map((edge) => `${edge.from} -> ${edge.to}`);
  assert.deepEqual(wrong, []);
});

test('only the main files touch process', () => {
  const wrong = files
    .filter((file) => !/^src\/(?:host\/|[a-z]+-main\.ts$)/.test(file))
    .filter((file) => {
      const text = readFileSync(join(root, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
      return /\bprocess\.(?:env|argv|exit|exitCode|cwd|pid|on|once|kill|getuid|geteuid)\b/.test(
        text,
      );
    });
  assert.deepEqual(wrong, []);
});

test('no import cycles', () => {
  const graph = new Map<string, string[]>();
  for (const edge of edges.filter((one) => one.to.startsWith('src/'))) {
    graph.set(edge.from, [...(graph.get(edge.from) ?? []), edge.to]);
  }
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    assert.ok(!path.includes(file), `cycle: ${[...path, file].join(' -> ')}`);
    if (done.has(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
});

test('files stay small enough to hold one idea', () => {
  const long = files
    .map((file) => ({ file, lines: readFileSync(join(root, file), 'utf8').split('\n').length }))
    .filter(({ lines }) => lines > 400);
  assert.deepEqual(long, []);
});

test('the sidecar reaches no server package and no publisher code', () => {
  const seen = new Set<string>();
  const stack = ['src/sidecar-main.ts'];
  while (stack.length > 0) {
    const file = stack.pop() ?? '';
    if (seen.has(file)) continue;
    seen.add(file);
    stack.push(
      ...edges.filter((edge) => edge.from === file && !edge.isType).map((edge) => edge.to),
    );
  }
  const heavy = [...seen].filter((path) =>
    /^(?:fastify|prom-client|@fastify\/|src\/publisher\/|src\/web\/)/.test(path),
  );
  assert.deepEqual(heavy, []);
});
