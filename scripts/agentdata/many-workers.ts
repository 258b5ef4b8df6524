/**
 * 25 workers on one master, each on its own 127.0.0.N: ten minutes of virtual load in one of real
 * time, intervals and load at ten times the pace. 10 000 agents.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { buildClusterNode, type ClusterNode } from '../../src/cli/build-cluster.ts';
import { type Row, rowOf } from '../bench.ts';
import { fillAgents, Load, type LoadedDb } from './load.ts';
import { memoryFolder } from './memory-folder.ts';
import { nodeOptions } from './node-options.ts';
import { freePort } from './ports.ts';

const workers = 25;
const agentsEach = 400;
const pace = 10;
const virtualS = 600;
const roundS = 10 / pace;
const silent = { line: () => undefined };

export async function manyWorkers(note: (line: string) => void): Promise<readonly Row[]> {
  const root = memoryFolder('pf-many-');
  const stop = new AbortController();
  const port = await freePort();
  const make = (name: string, role: 'master' | 'worker', localAddress: string): ClusterNode => {
    const folder = join(root, name);
    for (const item of ['shared/default', 'shared/web', 'rules', 'decoders', 'lists']) {
      mkdirSync(join(folder, 'home/etc', item), { recursive: true });
    }
    const wish = { role, name, folder, port, address: '127.0.0.1', everyS: roundS, log: silent };
    return buildClusterNode({ ...nodeOptions(wish), localAddress, maxConnectionsPerAddress: 1 });
  };
  const master = make('m', 'master', '127.0.0.1');
  const nodes = Array.from({ length: workers }, (_, n) =>
    make(`w${n}`, 'worker', `127.0.0.${n + 2}`),
  );
  const running = [master, ...nodes].map((node) => node.run(stop.signal));
  try {
    const dbs = nodes.map(dbOf);
    const shape = { agents: workers * agentsEach, rounds: virtualS / 10, roundS };
    await fillAgents([dbOf(master), ...dbs], shape.agents);
    const load = new Load(dbOf(master), dbs, shape);
    const delay = monitorEventLoopDelay({ resolution: 20 });
    delay.enable();
    const usage = process.cpuUsage();
    await load.run();
    const cpuS = (process.cpuUsage(usage).user + process.cpuUsage(usage).system) / 1e6;
    const settledS = await load.settled();
    const peakMb = process.resourceUsage().maxRSS / 1024;
    note(`25 workers: ${shape.rounds} rounds, all in step ${settledS} s after the last`);
    return rows({ settledS, cpuS, peakMb, p99Ms: delay.percentile(99) / 1e6 });
  } finally {
    stop.abort(new Error('done'));
    await Promise.allSettled(running);
    rmSync(root, { recursive: true, force: true });
  }
}

function dbOf(node: ClusterNode): LoadedDb {
  return { ask: (command) => ask(node, command) };
}

async function ask(node: ClusterNode, command: string): Promise<string> {
  for (;;) {
    try {
      const answer = await node.data?.db.query(command, AbortSignal.timeout(60_000));
      if (answer?.status === 'ok') return answer.payload;
      throw new RangeError(answer?.payload);
    } catch (error) {
      if (error instanceof RangeError) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50)); // not open yet
    }
  }
}

function rows(figures: {
  readonly settledS: number;
  readonly cpuS: number;
  readonly peakMb: number;
  readonly p99Ms: number;
}): readonly Row[] {
  const row = (metric: string, unit: string, value: number): Row =>
    rowOf({ subject: 'ours', case: '25 workers, 10 virtual minutes', metric, unit }, [value]);
  return [
    row('all in step after the last round', 's', figures.settledS),
    row('CPU of all 26 nodes', 's', figures.cpuS),
    row('peak of all 26 nodes', 'MB', figures.peakMb),
    row('event loop delay p99', 'ms', figures.p99Ms),
  ];
}
