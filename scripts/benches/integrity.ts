/**
 * First synchronisation of a cluster: time from the start of the workers until the last file is
 * in place, CPU and peak memory of both ends; a change on the master until it is on a worker; CPU of
 * a cluster in which nothing happens; pipelined requests on one connection.
 * With `--stock DIR` side by side with the stock daemon, where DIR is a home of it that runs, its
 * Python compiled. Its polls are shortened to one second, so that work is compared and not waiting;
 * first synchronisations are also measured with its own. Runs of the makes take turns.
 * `--only CASE` runs one case, `--subject ours` or `stock` one make. Linux: it reads /proc. Homes
 * lie in memory.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeMessage } from '../../src/cluster/wire/message.ts';
import { createSeal } from '../../src/cluster/wire/seal.ts';
import { type Bench, type Row, rowOf } from '../bench.ts';
import {
  countFiles,
  key,
  type Load,
  largeFiles,
  logOf,
  type Make,
  oursIn,
  smallFiles,
  stockFrom,
  type Usage,
  usageOf,
} from '../bench-peers/cluster-peers.ts';
import { Cluster, pause, until } from '../bench-peers/cluster-run.ts';

interface Case {
  readonly name: string;
  readonly load: Load;
  readonly rounds: number;
}

const cases: readonly Case[] = [
  { name: '1000 x 2 KB', load: smallFiles(1_000), rounds: 3 },
  { name: '10000 x 2 KB', load: smallFiles(10_000), rounds: 5 },
  { name: '200 MB + 100 x 1 MB', load: largeFiles, rounds: 1 },
];
const workerCounts = [1, 4] as const;
const changeRounds = 8;
const steadyS = 20;
const steadyWorkers = 10;
const requests = 20_000;
const window = 256;

export const bench: Bench = {
  name: 'integrity',
  summary: 'first synchronisation, idle cluster and requests per second, ours beside --stock DIR',
  async run(args, note) {
    const folder = mkdtempSync(join(tmpdir(), 'pf-bench-bundle-'));
    const subject = optionOf(args, '--subject')[0];
    const stock = optionOf(args, '--stock');
    const makes = [
      await oursIn(folder),
      ...stock.map((home) => stockFrom(home, 'short')),
      ...stock.map((home) => stockFrom(home, 'shipped')),
    ].filter((make) => subject === undefined || make.subject === subject);
    const only = optionOf(args, '--only')[0];
    const rows: Row[] = [];
    for (const one of cases.filter(({ name }) => only === undefined || name.includes(only))) {
      for (const workers of workerCounts) {
        rows.push(...(await firstSyncs(makes, one, workers, note)));
      }
    }
    for (const make of makes.filter((one) => one.subject !== 'stock as shipped')) {
      if (only === undefined || only === 'change') rows.push(...(await changes(make, note)));
      if (only === undefined || only === 'steady') rows.push(...(await steady(make, note)));
      if (only === undefined || only === 'requests') rows.push(...(await requestRate(make, note)));
    }
    rmSync(folder, { recursive: true, force: true });
    return rows;
  },
};

function optionOf(args: readonly string[], name: string): readonly string[] {
  const value = args[args.indexOf(name) + 1];
  return args.includes(name) && value !== undefined ? [value] : [];
}

/** What one first synchronisation cost. */
interface Sync {
  readonly timeS: number;
  readonly masterCpuS: number;
  readonly masterPeakMb: number;
  readonly workers: readonly Usage[];
}

async function firstSyncs(
  makes: readonly Make[],
  { name, load, rounds }: Case,
  workers: number,
  note: (line: string) => void,
): Promise<readonly Row[]> {
  const runs = makes.map((make) => ({ make, syncs: [] as Sync[] }));
  for (let round = 0; round < rounds; round++) {
    for (const { make, syncs } of runs) {
      note(`${make.subject}: ${name}, ${workers} worker(s), ${round + 1} of ${rounds}`);
      syncs.push(await firstSync(make, load, workers));
    }
  }
  const label = `${name} -> ${workers}`;
  return [
    ...runs.flatMap(({ make, syncs }) => syncRows(make.subject, label, syncs)),
    ...runs.slice(1).flatMap(({ make, syncs }) => {
      return ratioRows(make.subject, label, runs[0]?.syncs ?? [], syncs);
    }),
  ];
}

function syncRows(subject: string, label: string, syncs: readonly Sync[]): readonly Row[] {
  const row = (metric: string, unit: string, values: readonly number[]): Row =>
    rowOf({ subject, case: label, metric, unit }, values);
  const workers = syncs.flatMap((one) => one.workers);
  return [
    row('time', 's', syncs.map(timeOf)),
    row('master cpu', 's', syncs.map(masterCpuOf)),
    row(
      'worker cpu, start included',
      's',
      workers.map(({ cpuS }) => cpuS),
    ),
    row('cpu of all', 's', syncs.map(cpuOf)),
    row(
      'master peak memory',
      'MB',
      syncs.map(({ masterPeakMb }) => masterPeakMb),
    ),
    row(
      'worker peak memory',
      'MB',
      workers.map(({ peakMb }) => peakMb),
    ),
  ];
}

/** Of rounds that ran one after the other. */
function ratioRows(
  subject: string,
  label: string,
  ours: readonly Sync[],
  theirs: readonly Sync[],
): readonly Row[] {
  const row = (metric: string, of: (sync: Sync) => number): Row => {
    const labels = { subject: `ours / ${subject}`, case: label, metric, unit: '1' };
    const pairs = ours.map((one, round) => [one, theirs[round]] as const);
    return rowOf(
      labels,
      pairs.flatMap(([one, other]) => (other === undefined ? [] : [of(one) / of(other)])),
    );
  };
  return [
    row('time', timeOf),
    row('master cpu', masterCpuOf),
    row('worker cpu, start included', workersCpuOf),
    row('cpu of all', cpuOf),
  ];
}

const timeOf = ({ timeS }: Sync): number => timeS;
const masterCpuOf = ({ masterCpuS }: Sync): number => masterCpuS;
const workersCpuOf = ({ workers }: Sync): number =>
  workers.reduce((total, { cpuS }) => total + cpuS, 0);
const cpuOf = (sync: Sync): number => sync.masterCpuS + workersCpuOf(sync);

async function firstSync(make: Make, load: Load, workers: number): Promise<Sync> {
  const cluster = new Cluster(make);
  try {
    const master = await cluster.startMaster(load);
    const names = Array.from({ length: workers }, (_, index) => `w${index}`);
    const homes = names.map((one) => cluster.prepareWorker(one));
    const before = usageOf(master.pid);
    const startedMs = performance.now();
    const pids = homes.map((home, index) => cluster.startWorker(home, names[index] ?? ''));
    const timeS = (await doneAtMs(homes, master.files)) / 1000 - startedMs / 1000;
    const after = usageOf(master.pid);
    return {
      timeS,
      masterCpuS: after.cpuS - before.cpuS,
      masterPeakMb: after.peakMb,
      workers: pids.map(usageOf),
    };
  } finally {
    await cluster.close();
  }
}

/**
 * When the last worker said that it had finished: files are counted behind that instant, as counting
 * ten thousand takes its time. Some makes finish several times until all files are there.
 */
async function doneAtMs(homes: readonly string[], files: number): Promise<number> {
  let atMs = 0;
  let rounds = 0;
  await until(
    () => {
      const finished = homes.map(
        (home) => logOf(home).split('Integrity sync] Finished').length - 1,
      );
      const all = finished.reduce((sum, one) => sum + one, 0);
      if (finished.includes(0)) return false;
      if (all > rounds) [rounds, atMs] = [all, performance.now()];
      return homes.every((home) => countFiles(home) === files);
    },
    300_000,
    20,
  );
  return atMs;
}

/** Each home is counted until it is done and no longer. */
function allDone(homes: readonly string[], files: number): () => boolean {
  let open = homes;
  return () => {
    open = open.filter((home) => !isDone(home, files));
    return open.length === 0;
  };
}

function isDone(home: string, files: number): boolean {
  return /Integrity sync\] Finished/.test(logOf(home)) && countFiles(home) === files;
}

/** A file of 2 KB among a thousand is written on the master, until the worker has it. */
async function changes(make: Make, note: (line: string) => void): Promise<readonly Row[]> {
  note(`${make.subject}: ${changeRounds} changes on the master`);
  const cluster = new Cluster(make);
  try {
    const master = await cluster.startMaster(smallFiles(1_000));
    const home = cluster.prepareWorker('w0');
    cluster.startWorker(home, 'w0');
    await until(() => isDone(home, master.files), 300_000);
    const times: number[] = [];
    for (let round = 0; round < changeRounds; round++) {
      await pause(2_000 + 130 * round);
      times.push(await changeTime(cluster.masterHome, home, `${round}`.repeat(2_000)));
    }
    const label = { subject: make.subject, case: 'a change on the master' };
    return [rowOf({ ...label, metric: 'until on the worker', unit: 's' }, times)];
  } finally {
    await cluster.close();
  }
}

async function changeTime(from: string, to: string, content: string): Promise<number> {
  const name = 'etc/shared/g3/f333.conf';
  const startedMs = performance.now();
  writeFileSync(join(from, name), content);
  await until(() => readFileSync(join(to, name), 'utf8') === content, 60_000, 5);
  return (performance.now() - startedMs) / 1000;
}

async function steady(make: Make, note: (line: string) => void): Promise<readonly Row[]> {
  note(`${make.subject}: ${steadyWorkers} workers, 10000 files, nothing happens for ${steadyS} s`);
  const cluster = new Cluster(make);
  try {
    const master = await cluster.startMaster(smallFiles(10_000));
    const names = Array.from({ length: steadyWorkers }, (_, index) => `w${index}`);
    const homes = names.map((one) => cluster.prepareWorker(one));
    const pids = homes.map((home, index) => cluster.startWorker(home, names[index] ?? ''));
    await until(allDone(homes, master.files), 300_000);
    await pause(5_000);
    const before = [master.pid, ...pids].map(usageOf);
    await pause(steadyS * 1_000);
    const percent = [master.pid, ...pids].map(
      (pid, index) => ((usageOf(pid).cpuS - (before[index]?.cpuS ?? 0)) / steadyS) * 100,
    );
    const label = { subject: make.subject, case: `${steadyWorkers} workers idle`, unit: '% core' };
    return [
      rowOf({ ...label, metric: 'master cpu' }, percent.slice(0, 1)),
      rowOf({ ...label, metric: 'worker cpu' }, percent.slice(1)),
    ];
  } finally {
    await cluster.close();
  }
}

async function requestRate(make: Make, note: (line: string) => void): Promise<readonly Row[]> {
  note(`${make.subject}: ${requests} echoes, ${window} under way`);
  const cluster = new Cluster(make);
  try {
    const master = await cluster.startMaster(smallFiles(1));
    const before = usageOf(master.pid).cpuS;
    const rates: number[] = [];
    for (let round = 0; round < 4; round++) rates.push(await echoRate(master.port, `b${round}`));
    const cpuUs = ((usageOf(master.pid).cpuS - before) / (requests * rates.length)) * 1e6;
    const label = { subject: make.subject, case: `echo, window ${window}` };
    return [
      rowOf({ ...label, metric: 'requests', unit: '1/s' }, rates.slice(1)),
      rowOf({ ...label, metric: 'master cpu per request', unit: 'us' }, [cpuUs]),
    ];
  } finally {
    await cluster.close();
  }
}

/** Sealed beforehand; answers all have one length, so bytes tell how many came. */
async function echoRate(port: number, node: string): Promise<number> {
  const seal = createSeal(key);
  const frame = (counter: number, word: string, text: string): Buffer => {
    const salt = { iv: new Uint8Array(16), unixSeconds: 1_700_000_000 };
    const plain = Buffer.from(text);
    return Buffer.concat(encodeMessage({ counter, word }, seal.seal(plain, salt), plain.length));
  };
  const socket = connect(port, '127.0.0.1').setNoDelay(true);
  const greeted = new Promise((resolve) => socket.once('data', resolve));
  socket.write(frame(1, 'hello', `${node} wazuh worker 4.14.8`));
  await greeted;
  const frames = Array.from({ length: requests }, (_, index) =>
    frame(index + 2, 'echo', 'keepalive'),
  );
  const answerBytes = frames[0]?.length ?? 1;
  const { promise, resolve } = Promise.withResolvers<void>();
  let received = 0;
  let sent = 0;
  const startedMs = performance.now();
  const fill = (): void => {
    const upTo = Math.min(requests, Math.floor(received / answerBytes) + window);
    if (upTo > sent) socket.write(Buffer.concat(frames.slice(sent, upTo)));
    sent = Math.max(sent, upTo);
    if (received >= requests * answerBytes) resolve();
  };
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length;
    fill();
  });
  fill();
  await promise;
  const seconds = (performance.now() - startedMs) / 1000;
  socket.destroy();
  return requests / seconds;
}
