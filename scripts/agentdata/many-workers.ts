/**
 * 25 workers on one master, each on its own 127.0.0.N: ten minutes of virtual load in one of real
 * time, intervals and load at ten times the pace. 10 000 agents; in each round every agent says
 * that it is alive, one in a hundred reports changed facts, ten change their groups.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { buildClusterNode, type ClusterNode } from '../../src/cli/build-cluster.ts';
import { type Row, rowOf } from '../bench.ts';
import { nodeOptions } from './node-options.ts';
import { freePort } from './ports.ts';

const workers = 25;
const agentsEach = 400;
const pace = 10;
const virtualS = 600;
const roundS = 10 / pace;
const silent = { line: () => undefined };

export async function manyWorkers(note: (line: string) => void): Promise<readonly Row[]> {
  const root = mkdtempSync(join(tmpdir(), 'pf-many-'));
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
    await fill([master, ...nodes]);
    const load = new Load(master, nodes);
    const delay = monitorEventLoopDelay({ resolution: 20 });
    delay.enable();
    const usage = process.cpuUsage();
    const rounds = virtualS / 10;
    for (let round = 0; round < rounds; round++) await load.round(round);
    const cpuS = (process.cpuUsage(usage).user + process.cpuUsage(usage).system) / 1e6;
    const settledS = await load.settled();
    const peakMb = process.resourceUsage().maxRSS / 1024;
    note(`25 workers: ${rounds} rounds, all in step ${settledS} s after the last`);
    return rows({ settledS, cpuS, peakMb, p99Ms: delay.percentile(99) / 1e6 });
  } finally {
    stop.abort(new Error('done'));
    await Promise.allSettled(running);
    rmSync(root, { recursive: true, force: true });
  }
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

/** The same agents everywhere, all in `default`; each step doubles them. */
async function fill(nodes: readonly ClusterNode[]): Promise<void> {
  const total = workers * agentsEach;
  const into = 'global sql insert or ignore into agent (id, name, date_add, `group`, group_hash)';
  for (const node of nodes) {
    await ask(node, `${into} values (1, 'agent1', 1, 'default', '37a8eec1')`);
    for (let size = 1; size < total; size *= 2) {
      const next = `id + ${size}, 'agent' || (id + ${size}), 1, 'default', '37a8eec1'`;
      await ask(
        node,
        `${into} select ${next} from agent where id > 0 and id + ${size} <= ${total}`,
      );
    }
    const member = 'select 1, id, 0 from agent where id > 0';
    await ask(
      node,
      `global sql insert or ignore into belongs (id_group, id_agent, priority) ${member}`,
    );
  }
}

class Load {
  readonly #master: ClusterNode;
  readonly #nodes: readonly ClusterNode[];

  constructor(master: ClusterNode, nodes: readonly ClusterNode[]) {
    this.#master = master;
    this.#nodes = nodes;
  }

  async round(round: number): Promise<void> {
    const endMs = performance.now() + roundS * 1000;
    for (const [n, node] of this.#nodes.entries()) {
      const own = `id > ${n * agentsEach} and id <= ${(n + 1) * agentsEach}`;
      const now = "connection_status = 'active', last_keepalive = unixepoch()";
      await ask(
        node,
        `global sql update agent set sync_status = 'syncreq_keepalive', ${now} where ${own}`,
      );
      const facts = `os_version = 'r${round}', node_name = 'w${n}', sync_status = 'syncreq'`;
      await ask(node, `global sql update agent set ${facts}, ${now} where ${own} and id % 100 = 0`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const data = Array.from({ length: 10 }, (_, n) => {
      const id = 1 + ((round * 997 + n * 131) % (workers * agentsEach));
      return { id, name: `agent${id}`, groups: round % 2 === 0 ? ['web'] : ['default', 'web'] };
    });
    const order = { mode: 'override', sync_status: 'syncreq', data };
    await ask(this.#master, `global set-agent-groups ${JSON.stringify(order)}`);
    const restMs = endMs - performance.now();
    if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs));
  }

  /** Seconds until every node agrees with the master. */
  async settled(): Promise<number> {
    const startMs = performance.now();
    const hash = 'global sync-agent-groups-get {"get_global_hash": true}';
    const facts = "global sql select count(*) as n from agent where os_version = 'r59'";
    for (;;) {
      const wanted = await ask(this.#master, hash);
      const hashes = await Promise.all(this.#nodes.map((node) => ask(node, hash)));
      const reported = JSON.parse(await ask(this.#master, facts))[0].n;
      const isDone = hashes.every((one) => one === wanted) && reported === workers * 4;
      const tookS = (performance.now() - startMs) / 1000;
      if (isDone) return Math.round(tookS * 100) / 100;
      if (tookS > 120) throw new Error(`not in step: ${reported} of ${workers * 4} reported`);
      await new Promise((resolve) => setTimeout(resolve, 50));
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
