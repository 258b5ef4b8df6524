/**
 * Ten workers on one master, each node and each store a process of its own: as many as a stock
 * master takes from one address. Ten minutes of virtual load in one, as in `many-workers.ts`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Row, rowOf } from '../bench.ts';
import { ended, logOf, type Make, usageOf } from '../bench-peers/cluster-peers.ts';
import { Load } from './load.ts';
import { memoryFolder } from './memory-folder.ts';
import { freePort } from './ports.ts';
import { PatientDb } from './wdb-client.ts';

const workers = 10;
const shape = { agents: 10_000, rounds: 60, roundS: 1 };
const startMs = 180_000;
const store = fileURLToPath(new URL('./store-process.ts', import.meta.url));

export async function tenWorkers(
  make: Make,
  note: (line: string) => void,
): Promise<readonly Row[]> {
  const root = memoryFolder('pf-ten-');
  const children: ChildProcess[] = [];
  const dbs: PatientDb[] = [];
  const port = await freePort();
  try {
    const names = ['m', ...Array.from({ length: workers }, (_, n) => `w${n}`)];
    for (const name of names) {
      const type = typeOf(name);
      const home = join(root, name);
      make.prepare(home, type, name, port);
      const words = [store, home, type, String(shape.agents)];
      children.push(spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'inherit'] }));
      dbs.push(new PatientDb(home));
    }
    for (const db of dbs) await db.rows("insert or ignore into `group` (name) values ('web')");
    const nodes = names.map((name) => make.start(join(root, name), typeOf(name), name, port));
    children.push(...nodes);
    await allInStep(names.slice(1).map((name) => join(root, name)));
    const [master, ...others] = dbs;
    if (master === undefined) throw new RangeError('no master');
    const load = new Load(master, others, shape);
    const idleS = nodes.map(({ pid = 0 }) => usageOf(pid).cpuS);
    await load.run();
    const settledS = await load.settled();
    const usages = nodes.map(({ pid = 0 }, n) => {
      const { cpuS, peakMb } = usageOf(pid);
      return { cpuS: cpuS - (idleS[n] ?? 0), peakMb };
    });
    note(`${make.subject}, ten workers: in step ${settledS} s after the last round`);
    return rowsOf(make.subject, settledS, usages);
  } finally {
    for (const db of dbs) db.close();
    await Promise.all(children.map(ended));
    rmSync(root, { recursive: true, force: true });
  }
}

function typeOf(name: string): 'master' | 'worker' {
  return name === 'm' ? 'master' : 'worker';
}

/** Every worker is connected and has nothing to report: the start is not measured. */
async function allInStep(homes: readonly string[]): Promise<void> {
  const endMs = performance.now() + startMs;
  while (!homes.every((home) => logOf(home).includes('[Agent-info sync] No sync'))) {
    if (performance.now() > endMs) throw new Error(`no worker in step within ${startMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

function rowsOf(
  subject: string,
  settledS: number,
  [master, ...others]: readonly { readonly cpuS: number; readonly peakMb: number }[],
): readonly Row[] {
  const row = (metric: string, unit: string, value: number): Row =>
    rowOf({ subject, case: '10 workers, 10 virtual minutes', metric, unit }, [value]);
  const sum = (values: readonly number[]): number => values.reduce((all, one) => all + one, 0);
  return [
    row('all in step after the last round', 's', settledS),
    row('CPU of the master', 's', master?.cpuS ?? Number.NaN),
    row('peak of the master', 'MB', master?.peakMb ?? Number.NaN),
    row('CPU of the workers', 's', sum(others.map(({ cpuS }) => cpuS))),
    row('peak of a worker', 'MB', Math.max(...others.map(({ peakMb }) => peakMb))),
  ];
}
