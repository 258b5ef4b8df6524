/**
 * Agents' data between two nodes: a round of agent-info in which every agent reports, a send of
 * groups that all changed, a full send after forced mismatches; time, and peak memory of both
 * cluster daemons. Both makes use the same store on wazuh-db's sockets. `--stock DIR` adds the
 * stock daemon, where DIR is a home of it that runs; polls are one second on both. `--agents N`
 * takes one size. `--only workers`: 25 workers of ours, each on its own 127.0.0.N, and ten of each
 * make; ten minutes of virtual load at ten times the pace; `--only many` and `--only ten` are its
 * halves, of two and of three minutes. Linux: it reads /proc.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { manyWorkers } from '../agentdata/many-workers.ts';
import { memoryFolder } from '../agentdata/memory-folder.ts';
import { freePort } from '../agentdata/ports.ts';
import { tenWorkers } from '../agentdata/ten-workers.ts';
import { PatientDb } from '../agentdata/wdb-client.ts';
import { type Bench, type Row, rowOf } from '../bench.ts';
import {
  bundled,
  ended,
  logOf,
  type Make,
  stockFrom,
  type Usage,
  usageOf,
} from '../bench-peers/cluster-peers.ts';

const scripts = fileURLToPath(new URL('..', import.meta.url));
const sizes = [10_000, 100_000];
const waitMs = 300_000;
const lostMs = 90_000;
const mostTurns = 2;

const oursFrom = (runner: string): Make => ({
  subject: 'ours',
  prepare(home) {
    for (const item of ['shared/default', 'rules', 'decoders', 'lists']) {
      mkdirSync(join(home, 'etc', item), { recursive: true });
    }
    for (const item of ['var/multigroups', 'logs'])
      mkdirSync(join(home, item), { recursive: true });
  },
  start: (home, type, name, port) => run(runner, home, type, name, String(port)),
});

/**
 * Debian's anyio 3.6.2 starts a body again that a unix socket took in part; the Python that Wazuh
 * ships holds a newer one. Without this no stock daemon stores agent-info of more than 200 KB here.
 */
const mendedAnyio = `
from anyio._backends import _asyncio as _backend
async def _send(self, item):
    await _backend.get_running_loop().sock_sendall(self._UNIXSocketStream__raw_socket, item)
_backend.UNIXSocketStream.send = _send
`;

function stock(template: string): Make {
  const make = stockFrom(template, 'short');
  return {
    ...make,
    prepare(home, type, name, port) {
      make.prepare(home, type, name, port);
      mkdirSync(join(home, 'queue/sockets'), { recursive: true });
      const path = join(home, 'framework/wazuh/core/cluster/cluster.json');
      const json = JSON.parse(readFileSync(path, 'utf8'));
      json.intervals.worker.sync_agent_info = 1;
      Object.assign(json.intervals.master, { sync_agent_groups: 1, agent_group_start_delay: 1 });
      writeFileSync(path, JSON.stringify(json));
      appendFileSync(join(home, 'pylib/sitecustomize.py'), mendedAnyio);
    },
  };
}

export const bench: Bench = {
  name: 'agentdata',
  summary: 'agent-info, groups, full send; 25 workers, and ten of ours beside --stock DIR',
  async run(args, note) {
    const folder = memoryFolder('pf-bundle-');
    try {
      const ours = oursFrom(await bundled(folder, 'scripts/agentdata/socket-node.ts'));
      const template = optionOf(args, '--stock');
      return await measureAll(
        args,
        [ours, ...(template === undefined ? [] : [stock(template)])],
        note,
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

async function measureAll(
  args: readonly string[],
  makes: readonly Make[],
  note: (line: string) => void,
): Promise<readonly Row[]> {
  const agents = optionOf(args, '--agents');
  const only = optionOf(args, '--only');
  const rows: Row[] = [];
  for (const size of agents === undefined ? sizes : [Number(agents)]) {
    if (only !== undefined) break;
    for (const make of makes) rows.push(...(await pair(make, size, note)));
  }
  if (agents !== undefined) return rows;
  if (only !== 'ten') rows.push(...(await manyWorkers(note)));
  if (only === 'many') return rows;
  for (const make of makes) rows.push(...(await tenWorkers(make, note)));
  return rows;
}

async function pair(
  make: Make,
  agents: number,
  note: (line: string) => void,
): Promise<readonly Row[]> {
  const root = memoryFolder('pf-agentdata-');
  const homes = { master: join(root, 'm'), worker: join(root, 'w') };
  const children: ChildProcess[] = [];
  const dbs = { master: new PatientDb(homes.master), worker: new PatientDb(homes.worker) };
  try {
    const port = await freePort();
    for (const type of ['master', 'worker'] as const) {
      make.prepare(homes[type], type, type.slice(0, 1), port);
      children.push(
        run(join(scripts, 'agentdata/store-process.ts'), homes[type], type, `${agents}`),
      );
      await dbs[type].rows('select count(*) as n from agent');
    }
    const master = make.start(homes.master, 'master', 'm', port);
    const worker = make.start(homes.worker, 'worker', 'w', port);
    children.push(master, worker);
    await until(() => Promise.resolve(isInStep(homes)));
    const times = await measure(dbs, homes, agents);
    const usages = [master, worker].map(({ pid = 0 }) => usageOf(pid));
    note(`${make.subject} ${agents}: ${JSON.stringify(times)} s, ${JSON.stringify(usages)}`);
    return rowsOf(make.subject, agents, times, usages);
  } finally {
    for (const db of Object.values(dbs)) db.close();
    await Promise.all(children.map(ended));
    rmSync(root, { recursive: true, force: true });
  }
}

/** Nothing of the start is under way: no agent to report, and no full send to a new worker. */
function isInStep(homes: Readonly<Record<'master' | 'worker', string>>): boolean {
  const hasNothing = logOf(homes.worker).includes('[Agent-info sync] No sync');
  const sends = [...logOf(homes.master).matchAll(/\[Agent-groups send( full)?\] (S|F)/g)];
  const [last, before] = [sends.at(-1)?.[0], sends.at(-2)?.[0]];
  const isQuiet = last === '[Agent-groups send] F' && before === '[Agent-groups send] S';
  return hasNothing && isQuiet;
}

type Dbs = Readonly<Record<'master' | 'worker', PatientDb>>;

async function measure(
  dbs: Dbs,
  homes: { readonly master: string },
  agents: number,
): Promise<Readonly<Record<string, number>>> {
  const count = async (db: PatientDb, where: string): Promise<number> =>
    Number((await db.rows(`select count(*) as n from agent where ${where}`))[0]?.n);
  const seconds = async (change: () => Promise<unknown>, isDone: () => Promise<boolean>) => {
    const startMs = performance.now();
    // A round that the stock daemon loses never comes again: ask for it anew, the time runs on.
    for (let turn = 0; turn < mostTurns; turn++) {
      await change();
      if (await within(isDone, lostMs)) return Math.round(performance.now() - startMs) / 1000;
    }
    return Number.NaN; // it never ends
  };
  const info = await seconds(
    () =>
      dbs.worker.rows("update agent set os_name = 'bench', sync_status = 'syncreq' where id > 0"),
    async () => (await count(dbs.master, "os_name = 'bench'")) === agents,
  );
  const hashes = async (): Promise<boolean> => {
    const ask = 'global sync-agent-groups-get {"get_global_hash": true}';
    return (await dbs.master.ask(ask)) === (await dbs.worker.ask(ask));
  };
  const groups = await seconds(
    async () => {
      await dbs.master.rows('delete from belongs');
      await dbs.master.rows("insert or ignore into `group` (name) values ('web')");
      const all = 'insert into belongs (id_group, id_agent, priority) select g.id, a.id, ';
      await dbs.master.rows(`${all} 0 from agent a, \`group\` g where g.name = 'web' and a.id > 0`);
      await dbs.master.ask('global recalculate-agent-group-hashes');
      await dbs.master.rows("update agent set group_sync_status = 'syncreq' where id > 0");
    },
    async () => (await count(dbs.worker, "`group` = 'web'")) === agents && (await hashes()),
  );
  const before = fullSends(homes.master).length;
  await dbs.worker.rows('delete from belongs');
  await dbs.worker.ask('global recalculate-agent-group-hashes');
  const isFull = await within(
    async () => fullSends(homes.master).length > before && (await hashes()),
    waitMs,
  );
  return {
    info,
    groups,
    full: (isFull ? fullSends(homes.master).at(-1) : undefined) ?? Number.NaN,
  };
}

/** Seconds of each full send, as the daemons' own logs tell. */
function fullSends(home: string): readonly number[] {
  const pattern = /Agent-groups send full\] Finished in ([\d.]+)s\. Updated [1-9]/g;
  return [...logOf(home).matchAll(pattern)].map(([, s]) => Number(s));
}

function rowsOf(
  subject: string,
  agents: number,
  times: Readonly<Record<string, number>>,
  usages: readonly Usage[],
): readonly Row[] {
  const row = (metric: string, unit: string, value: number): Row =>
    rowOf({ subject, case: `${agents} agents`, metric, unit }, [value]);
  return [
    row('agent-info round', 's', times.info ?? Number.NaN),
    row('groups send', 's', times.groups ?? Number.NaN),
    row('groups full send', 's', times.full ?? Number.NaN),
    ...['master', 'worker'].flatMap((role, index) => [
      row(`${role} CPU`, 's', usages[index]?.cpuS ?? Number.NaN),
      row(`${role} peak`, 'MB', usages[index]?.peakMb ?? Number.NaN),
    ]),
  ];
}

function run(script: string, ...args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
}

function optionOf(args: readonly string[], name: string): string | undefined {
  return args.includes(name) ? args[args.indexOf(name) + 1] : undefined;
}

async function until(isDone: () => Promise<boolean>): Promise<void> {
  if (!(await within(isDone, waitMs))) throw new Error(`not within ${waitMs} ms`);
}

async function within(isDone: () => Promise<boolean>, ms: number): Promise<boolean> {
  const endMs = performance.now() + ms;
  while (!(await isDone())) {
    if (performance.now() > endMs) return false;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  return true;
}
