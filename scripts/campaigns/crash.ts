/**
 * Does any crash, error or short write at any system call of a replace leave ossec.conf torn,
 * missing or with another owner or mode? Kills, every errno and lying results are injected by
 * strace; power cuts are images of an ext4 file system; full disks are small ones.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { pairFaults, pick, seededRandom, singleFaults } from '../crash/faults.ts';
import { fillDisks, tmpfsObstacle } from '../crash/full-disk.ts';
import { cutPower, loopObstacle } from '../crash/power-cut.ts';
import {
  countCalls,
  type Fault,
  runTraced,
  straceObstacle,
  type VictimRun,
} from '../crash/strace.ts';
import { judgeVictim, makeVictim, type VictimMode } from '../crash/victim.ts';

type Print = (line: string) => void;

interface Scenario {
  readonly mode: VictimMode;
  readonly tools: 'gnu' | 'none';
}

const scenarios: readonly Scenario[] = [
  { mode: 'rename', tools: 'none' },
  { mode: 'rename', tools: 'gnu' },
  { mode: 'in_place', tools: 'none' },
];

export const campaign = {
  name: 'crash',
  summary: 'kills, errors, short writes, full disks and power cuts at every step of a replace',
  usage: 'crash [--short] [--seed N] [--pairs N] [--power-cuts ROUNDS]',

  /** Exit code 0 without any violation, else 1. */
  async run(args: readonly string[], print: Print): Promise<number> {
    const { values } = parseArgs({
      args: [...args],
      options: {
        short: { type: 'boolean', default: false },
        seed: { type: 'string', default: '1' },
        pairs: { type: 'string' },
        'power-cuts': { type: 'string' },
      },
    });
    const isShort = values.short;
    const plan: Plan = {
      isShort,
      random: seededRandom(Number(values.seed)),
      pairs: Number(values.pairs ?? (isShort ? 2 : 400)),
      rounds: Number(values['power-cuts'] ?? (isShort ? 1 : 12)),
      print,
    };
    const parts = [await injectFaults(plan), await powerCuts(plan), await fullDisks(plan)];
    const violations = parts.flatMap((part) => part.violations);
    const runs = parts.reduce((total, part) => total + part.runs, 0);
    for (const violation of violations.slice(0, 20)) print(`VIOLATION ${violation}`);
    print(`crash: ${runs} runs, seed ${values.seed}: ${countKinds(violations)}`);
    return violations.length === 0 ? 0 : 1;
  },
};

interface Plan {
  readonly isShort: boolean;
  readonly random: () => number;
  readonly pairs: number;
  readonly rounds: number;
  readonly print: Print;
}

interface Part {
  readonly runs: number;
  readonly violations: readonly string[];
}

/** What a violation is called, by what the judge said of the file. */
const kinds: readonly (readonly [string, RegExp])[] = [
  ['torn', /torn|not recovered/],
  ['missing', /missing|ENOENT|not a plain file/],
  ['wrong owner', /owner \d/],
  ['wrong mode', /mode \d/],
];

function countKinds(violations: readonly string[]): string {
  const counts = kinds.map(
    ([kind, pattern]) => `${violations.filter((what) => pattern.test(what)).length} ${kind}`,
  );
  const isKnown = (what: string): boolean => kinds.some(([, pattern]) => pattern.test(what));
  const others = violations.filter((what) => !isKnown(what)).length;
  return [...counts, `${others} otherwise wrong`].join(', ');
}

async function injectFaults(plan: Plan): Promise<Part> {
  const obstacle = straceObstacle();
  if (obstacle !== undefined) {
    plan.print(`faults: not run, ${obstacle}`);
    return { runs: 0, violations: [] };
  }
  const root = await mkdtemp(join(tmpdir(), 'pf-crash-'));
  try {
    const bundle = await bundleChild(root);
    const parts: Part[] = [];
    for (const scenario of scenarios) {
      parts.push(await runScenario({ ...scenario, root, bundle }, plan));
    }
    return {
      runs: parts.reduce((total, part) => total + part.runs, 0),
      violations: parts.flatMap((part) => part.violations),
    };
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function bundleChild(root: string): Promise<string> {
  const outfile = join(root, 'child.mjs');
  const entry = new URL('../crash/child.ts', import.meta.url).pathname;
  const options = { bundle: true, platform: 'node', format: 'esm', logLevel: 'error' } as const;
  await build({ entryPoints: [entry], outfile, ...options });
  return outfile;
}

interface Place extends Scenario {
  readonly root: string;
  readonly bundle: string;
}

/** A run without faults counts the calls; then singles, then pairs, a few at a time. */
async function runScenario(place: Place, plan: Plan): Promise<Part> {
  const log = join(place.root, 'calls.log');
  const clean = await runOne(place, [], log);
  if (clean.kind !== 'new') {
    return { runs: 1, violations: [`${place.mode}: without any fault it ended ${clean.kind}`] };
  }
  const singles = singleFaults(await countCalls(log));
  const tried = plan.isShort ? sample(singles, 8, plan.random) : singles;
  const pairs = pairFaults(singles, plan.pairs, plan.random);
  const jobs = [...tried.map((fault) => [fault]), ...pairs];
  const startedMs = performance.now();
  const table = await runAll(place, jobs);
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
  const of = plan.isShort ? ` of ${singles.length}` : '';
  plan.print(
    `faults, ${place.mode}, attributes by ${place.tools}: ` +
      `${tried.length}${of} singles, ${pairs.length} pairs, ${seconds} s`,
  );
  printOutcomes(table.outcomes, plan.print);
  return { runs: jobs.length, violations: table.violations };
}

const endings: Readonly<Record<string, string>> = {
  done: 'said it was done',
  failed: 'said it failed',
  killed: 'was killed',
  unplanned: 'met a bug',
};
const files: Readonly<Record<string, string>> = {
  old: 'the old one, whole',
  new: 'the new one, whole',
  torn_until_recovery: 'torn, made whole by recovery',
  violation: 'VIOLATION',
};

/** A failure after the rename leaves the new file: the run says so and the next one agrees. */
function printOutcomes(outcomes: ReadonlyMap<string, number>, print: Print): void {
  print(`  ${'the run'.padEnd(18)} ${'ossec.conf afterwards'.padEnd(30)} runs`);
  for (const [outcome, count] of [...outcomes].toSorted()) {
    const [ended = '', kind = ''] = outcome.split(' -> ');
    const cells = [(endings[ended] ?? ended).padEnd(18), (files[kind] ?? kind).padEnd(30)];
    print(`  ${cells.join(' ')} ${String(count).padStart(4)}`);
  }
}

/** Kills always, errors by chance: short runs see every kind of effect. */
function sample(singles: readonly Fault[], count: number, random: () => number): readonly Fault[] {
  const kills = singles.filter(({ effect }) => effect === 'signal=KILL');
  const others = singles.filter(({ effect }) => effect !== 'signal=KILL');
  return Array.from({ length: count }, (_, index) =>
    pick(index % 2 === 0 ? kills : others, random),
  ).flatMap((fault) => (fault === undefined ? [] : [fault]));
}

interface Table {
  readonly outcomes: Map<string, number>;
  readonly violations: string[];
}

const parallel = 2;

async function runAll(place: Place, jobs: readonly (readonly Fault[])[]): Promise<Table> {
  const table: Table = { outcomes: new Map(), violations: [] };
  const waiting = [...jobs];
  const work = async (): Promise<void> => {
    for (let faults = waiting.pop(); faults !== undefined; faults = waiting.pop()) {
      const { kind, ended, said, what } = await runOne(place, faults, '/dev/null');
      const key = `${ended} -> ${kind}`;
      table.outcomes.set(key, (table.outcomes.get(key) ?? 0) + 1);
      const shown = faults.map(({ call, when, effect }) => `${call}:${effect}:when=${when}`);
      if (kind === 'violation' || ended === 'unplanned') {
        const wrong = kind === 'violation' ? what : said;
        table.violations.push(`${place.mode} ${shown.join(' + ')}: ${wrong}`);
      }
    }
  };
  await Promise.all(Array.from({ length: parallel }, work));
  return table;
}

interface Judged {
  readonly kind: string;
  /** First word of what the victim said: done, failed, unplanned; or killed. */
  readonly ended: string;
  readonly said: string;
  readonly what: string;
}

async function runOne(place: Place, faults: readonly Fault[], log: string): Promise<Judged> {
  const directory = await mkdtemp(join(place.root, 'victim-'));
  try {
    await makeVictim(directory);
    const run: VictimRun = { ...place, directory };
    const { ended } = await runTraced(run, faults, log);
    const verdict = await judgeVictim(directory, place.mode);
    const what = verdict.kind === 'violation' ? verdict.what : '';
    return { kind: verdict.kind, ended: ended.split(' ')[0] ?? ended, said: ended, what };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function powerCuts({ rounds, isShort, print }: Plan): Promise<Part> {
  const obstacle = await loopObstacle();
  if (obstacle !== undefined) {
    print(`power cuts: not run, ${obstacle}`);
    return { runs: 0, violations: [] };
  }
  let runs = 0;
  const violations: string[] = [];
  const options = isShort ? ['noauto_da_alloc'] : ['', 'noauto_da_alloc', 'data=writeback'];
  for (const mode of ['rename', 'in_place'] as const) {
    for (const option of options) {
      const cuts = await cutPower(rounds, mode, option);
      runs += cuts.images;
      const outcomes = [...cuts.outcomes].toSorted().map(([kind, count]) => `${kind} ${count}`);
      print(
        `power cuts, ${mode}, ext4 ${option || 'defaults'}: ${cuts.images} images: ${outcomes.join(', ')}`,
      );
      violations.push(...cuts.violations.map((what) => `power cut ${mode} ${option}: ${what}`));
    }
  }
  return { runs, violations };
}

async function fullDisks({ isShort, print }: Plan): Promise<Part> {
  const obstacle = await tmpfsObstacle();
  if (obstacle !== undefined) {
    print(`full disks: not run, ${obstacle}`);
    return { runs: 0, violations: [] };
  }
  const { runs, refused, violations } = await fillDisks(isShort ? 8_192 : 512);
  print(`full disks: ${runs} runs, ${refused} refused, ${runs - refused} written`);
  return { runs, violations };
}
