/**
 * One publisher, ten thousand connected sidecars: how long until a change is everywhere, what it
 * costs, how many "nothing new" answers a second beside nginx with the same bytes over TLS, how many
 * reports. Clients are a process of their own, with one core to itself at best: nginx waits for it
 * sooner than we do, and on a busy machine everybody does. So both servers are also judged by what no
 * neighbour changes: answers for a second of their own processor time, user and kernel. Both run one
 * process with one event loop (ours also has the threads of V8 and libuv, and they count).
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { freePort } from '../../test/fakes/processes.ts';
import { type Bench, type Row, rowOf } from '../bench.ts';
import { memoryOfPollers } from '../publish-bench/pollers.ts';

const at = (name: string): string =>
  fileURLToPath(new URL(`../publish-bench/${name}`, import.meta.url));

type Message = Readonly<Record<string, unknown>> & { readonly kind: string };

function next(child: ChildProcess, kind: string): Promise<Message> {
  return new Promise((resolve, reject) => {
    const look = (message: Message): void => {
      if (message.kind !== kind) return;
      child.off('message', look);
      resolve(message);
    };
    child.on('message', look);
    child.once('exit', () => reject(new Error(`ended before it said ${kind}`)));
  });
}

export const bench: Bench = {
  name: 'publish',
  summary: 'a change to N connected sidecars, 304 answers beside nginx, reports a second',
  async run(args, note) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        clients: { type: 'string', default: '10000' },
        pollers: { type: 'string', default: '100000' },
        seconds: { type: 'string', default: '5' },
      },
    });
    const directory = mkdtempSync(join(tmpdir(), 'pf-publish-'));
    const server = fork(at('server.ts'), [directory]);
    try {
      const ready = await next(server, 'ready');
      const ground = { server, directory, port: Number(ready.port), note };
      const etag = String(ready.etag);
      const forMs = Number(values.seconds) * 1_000;
      const flooded = await throughput(ground, etag, forMs);
      const received = await receipt(ground, etag, Number(values.clients));
      return [...received, ...flooded, memoryRow(Number(values.pollers))];
    } finally {
      server.kill();
      rmSync(directory, { recursive: true, force: true });
    }
  },
};

interface Ground {
  readonly server: ChildProcess;
  readonly directory: string;
  readonly port: number;
  readonly note: (line: string) => void;
}

async function usage({ server }: Ground): Promise<{ cpuMs: number; rss: number; waiting: number }> {
  const answer = next(server, 'usage');
  server.send('usage');
  const { cpuMs, rss, waiting } = await answer;
  return { cpuMs: Number(cpuMs), rss: Number(rss), waiting: Number(waiting) };
}

async function receipt(ground: Ground, etag: string, count: number): Promise<readonly Row[]> {
  const { server, port, note } = ground;
  const empty = await usage(ground);
  const clients = fork(at('clients.ts'));
  try {
    const waiting = next(clients, 'waiting');
    clients.send({ kind: 'poll', port, count, etag, forMs: 0 });
    await waiting;
    let before = await usage(ground);
    while (before.waiting < count) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      before = await usage(ground);
    }
    note(`${count} sidecars wait`);
    const [published, received] = [next(server, 'published'), next(clients, 'received')];
    server.send('publish');
    const startMs = Number((await published).atMs);
    const times = ((await received).atMs as number[]).map((atMs) => atMs - startMs);
    const after = await usage(ground);
    const sorted = times.toSorted((left, right) => left - right);
    const part = (share: number): number =>
      sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN;
    const label = { subject: 'pilotfish-publisher', case: `change to ${count} long polls` };
    return [
      rowOf({ ...label, metric: 'received p50', unit: 'ms' }, [part(0.5)]),
      rowOf({ ...label, metric: 'received p99', unit: 'ms' }, [part(0.99)]),
      rowOf({ ...label, metric: 'received last', unit: 'ms' }, [part(1)]),
      rowOf({ ...label, metric: 'CPU of the change', unit: 'ms' }, [after.cpuMs - before.cpuMs]),
      rowOf({ ...label, metric: 'memory a client', unit: 'KiB' }, [
        (before.rss - empty.rss) / count / 1_024,
      ]),
    ];
  } finally {
    clients.kill();
  }
}

async function throughput(ground: Ground, etag: string, forMs: number): Promise<readonly Row[]> {
  const nginx = await startNginx(ground.directory, etag);
  try {
    const rates = { ours: [] as Flood[], nginx: [] as Flood[] };
    const worker = workerOf(nginx.child.pid ?? 0);
    const warm = { kind: 'unchanged', etag, forMs: 2_000, port: ground.port };
    await flood(ground, warm, '304', ground.server.pid ?? 0); // compiled by then
    for (let round = 0; round < 5; round += 1) {
      const job = { kind: 'unchanged', etag, forMs };
      rates.ours.push(
        await flood(ground, { ...job, port: ground.port }, '304', ground.server.pid ?? 0),
      );
      rates.nginx.push(await flood(ground, { ...job, port: nginx.port }, '304', worker));
    }
    const job = { kind: 'report', port: ground.port, etag, forMs };
    const reports = await flood(ground, job, '200', ground.server.pid ?? 0);
    const label = { case: '304 over TLS, 64 connections' };
    const subjects = ['pilotfish-publisher', 'nginx, one worker'] as const;
    const rowsOf = (metric: string, unit: string, pick: (one: Flood) => number): Row[] => {
      const [ours, nginx] = [rates.ours.map(pick), rates.nginx.map(pick)];
      const ratio = ours.map((rate, index) => rate / (nginx[index] ?? Number.NaN));
      const both = { ...label, metric, unit };
      return [
        rowOf({ subject: subjects[0], ...both }, ours),
        rowOf({ subject: subjects[1], ...both }, nginx),
        rowOf({ subject: 'ours / nginx', ...label, metric: `ratio of ${metric}`, unit: '' }, ratio),
      ];
    };
    return [
      ...rowsOf('answers', '1/s', ({ perSecond }) => perSecond),
      ...rowsOf('answers a CPU second', '1/s', ({ perCpuSecond }) => perCpuSecond),
      rowOf(
        {
          subject: 'pilotfish-publisher',
          case: 'reports proven and kept',
          metric: 'reports',
          unit: '1/s',
        },
        [reports.perSecond],
      ),
    ];
  } finally {
    nginx.child.kill();
  }
}

interface Flood {
  readonly perSecond: number;
  /** Of the server's own processor time. */
  readonly perCpuSecond: number;
}

/** The one child of nginx's master process. */
function workerOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]);
}

/** User and kernel time of all its threads so far: fields 14 and 15 of stat, hundredths of a second. */
function cpuSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const [user, system] = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return (Number(user) + Number(system)) / 100;
}

async function flood({ note }: Ground, job: object, wanted: string, pid: number): Promise<Flood> {
  const clients = fork(at('clients.ts'));
  try {
    const done = next(clients, 'flooded');
    const connected = next(clients, 'connected');
    clients.send({ ...job, count: 64 });
    await connected; // handshakes are another question
    const before = cpuSeconds(pid);
    const { answers, tookMs } = await done;
    const used = cpuSeconds(pid) - before;
    note(JSON.stringify({ ...job, answers }));
    const count = (answers as Record<string, number>)[wanted] ?? 0;
    return { perSecond: (count * 1_000) / Number(tookMs), perCpuSecond: count / used };
  } finally {
    clients.kill();
  }
}

/** The same bytes under the same entity tag. */
async function startNginx(directory: string, etag: string) {
  const port = await freePort('127.0.0.1');
  const config = join(directory, 'nginx.conf');
  mkdirSync(join(directory, 'v1'));
  writeFileSync(
    config,
    `daemon off; worker_processes 1; error_log stderr crit; pid ${directory}/nginx.pid;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 100000000; etag off;
  client_body_temp_path ${directory}/t1; proxy_temp_path ${directory}/t2; fastcgi_temp_path ${directory}/t3;
  uwsgi_temp_path ${directory}/t4; scgi_temp_path ${directory}/t5;
  server { listen 127.0.0.1:${port} ssl; ssl_protocols TLSv1.3;
    ssl_certificate ${directory}/server.crt; ssl_certificate_key ${directory}/server.key;
    location = /v1/list { root ${directory}; default_type application/jose+json;
      add_header ETag '"${etag}"' always; add_header Cache-Control no-cache always;
      if ($http_if_none_match = '"${etag}"') { return 304; }
      try_files /list =404; } } }
`,
  );
  const child = spawn('nginx', ['-c', config, '-p', directory], { stdio: 'inherit' });
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  return { child, port };
}

function memoryRow(count: number): Row {
  const label = { subject: 'pilotfish-publisher', case: `${count} polls in process` };
  return rowOf({ ...label, metric: 'memory', unit: 'MiB' }, [memoryOfPollers(count) / 2 ** 20]);
}
