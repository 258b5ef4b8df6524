/**
 * What the built sidecar costs a host at rest: five managers up, an agent connected, a publisher
 * that holds the question back, nothing happens for a minute. Beside it a Node that does nothing.
 * Linux: it reads /proc. Private memory is what no other process shares and nothing can drop.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { control } from '../../test/fakes/agent-home.ts';
import { ownAddress } from '../../test/fakes/processes.ts';
import { type Bench, type Row, rowOf } from '../bench.ts';
import { Stage } from '../demonstration/stage.ts';

const help = `usage: npm run bench -- idle [--seconds 60] [--rounds 1] [--only WORDS]
Builds dist/ first. --only: subjects whose name holds these words, to stay below a limit of time.`;
const firstAddress = 230;
/** Everything is loaded, compiled and quiet by then. */
const settleMs = 15_000;
/** What the packages add (scripts/package/binary.ts, pilotfish.service). */
const options = ['--max-old-space-size=96', '--max-semi-space-size=1', '--max-lazy', '--expose-gc'];
const env = { MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: '32768' };
const root = fileURLToPath(new URL('../..', import.meta.url));

interface Subject {
  readonly name: string;
  readonly mode: 'agentd' | 'relay';
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

function subjectsOf(configPath: string): readonly Subject[] {
  const bundle = ['dist/pilotfish.cjs', 'run', '--config', configPath];
  return [
    { name: 'node, doing nothing', mode: 'agentd', argv: ['-e', 'setInterval(() => 0, 1e9)'] },
    { name: 'pilotfish, plain node', mode: 'agentd', argv: bundle },
    { name: 'pilotfish, as packaged', mode: 'agentd', argv: [...options, ...bundle], env },
    { name: 'the same with the relay', mode: 'relay', argv: [...options, ...bundle], env },
  ];
}

function chosen(configPath: string, words: string): readonly Subject[] {
  return subjectsOf(configPath).filter(({ name }) => name.includes(words));
}

async function run(args: readonly string[], note: (line: string) => void): Promise<readonly Row[]> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string', default: '60' },
      rounds: { type: 'string', default: '1' },
      only: { type: 'string', default: '' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    note(help);
    return [];
  }
  execFileSync(process.execPath, ['scripts/build.ts'], { cwd: root });
  const addresses = Array.from({ length: 5 }, (_, at) => ownAddress(firstAddress + at));
  const servers = addresses.map((address) => ({ address }));
  const stage = Stage.make({ addresses, servers, enrollment: 'no' });
  const samples = new Map<string, Sample[]>();
  try {
    await stage.startManagers();
    await stage.startPublisher();
    control(stage.home, 'start');
    configure(stage, 'agentd');
    stage.join();
    for (let round = 0; round < Number(values.rounds); round += 1) {
      for (const subject of chosen(stage.configPath, values.only)) {
        configure(stage, subject.mode);
        const sample = await measure(subject, Number(values.seconds));
        note(`${subject.name}: ${JSON.stringify(sample)}`);
        samples.set(subject.name, [...(samples.get(subject.name) ?? []), sample]);
      }
    }
  } finally {
    await stage.stop();
  }
  return [...samples].flatMap(([subject, all]) => rowsOf(subject, all));
}

function configure(stage: Stage, mode: Subject['mode']): void {
  const relay = { address: ownAddress(firstAddress + 5), port: 514 };
  stage.writeSidecarConfig({
    ...stage.impatientConfig({ mode }),
    status: { every: '20s' },
    ...(mode === 'relay' ? { relay } : {}),
  });
}

interface Sample {
  readonly cpuPct: number;
  readonly rssMb: number;
  readonly privateMb: number;
}

async function measure({ argv, env: own }: Subject, seconds: number): Promise<Sample> {
  const where = { cwd: root, stdio: 'ignore', env: { ...process.env, ...own } } as const;
  const child = spawn(process.execPath, argv, where);
  try {
    await pause(settleMs);
    const beforeNs = cpuNs(child);
    const startMs = performance.now();
    await pause(seconds * 1_000);
    const spentMs = (cpuNs(child) - beforeNs) / 1e6;
    return { cpuPct: (spentMs / (performance.now() - startMs)) * 100, ...memoryOf(child) };
  } finally {
    await ended(child);
  }
}

/** Of all threads so far, by the scheduler's own count: ticks of 10 ms would hide most of it. */
function cpuNs({ pid }: ChildProcess): number {
  return readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1');
    return sum + Number(stat.split(' ')[0]);
  }, 0);
}

function memoryOf({ pid }: ChildProcess): Pick<Sample, 'rssMb' | 'privateMb'> {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  const megabytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(rollup)?.[1]) / 1024;
  return { rssMb: megabytes('Rss'), privateMb: megabytes('Private_Dirty') };
}

function rowsOf(subject: string, samples: readonly Sample[]): readonly Row[] {
  const figure = (metric: string, unit: string, of: (sample: Sample) => number): Row =>
    rowOf({ subject, case: 'five managers, at rest', metric, unit }, samples.map(of));
  return [
    figure('cpu of one core', 'per cent', ({ cpuPct }) => cpuPct),
    figure('rss', 'MB', ({ rssMb }) => rssMb),
    figure('private', 'MB', ({ privateMb }) => privateMb),
  ];
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
    if (child.exitCode !== null) resolve();
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export const bench: Bench = {
  name: 'idle',
  summary: 'CPU and memory of the built sidecar at rest, with five managers',
  run,
};
