/**
 * What a relay costs an agent: throughput, added latency, CPU per GB, memory with one agent, side
 * by side in one run with HAProxy, nginx and a bare splice(2). Linux: it reads /proc.
 */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { type Bench, type Row, rowOf } from '../bench.ts';
import { type Peer, Peers } from '../bench-peers/relay-peers.ts';

const rounds = 5;
const bulkBytes = 500_000_000;
const echoes = 2_000;
/** An event of an agent on the wire, and the rate of the wedge: 400 KB/s. */
const eventBytes = 800;
const eventsPerSecond = 500;
const eventSeconds = 2;

export const bench: Bench = {
  name: 'relay',
  summary: 'throughput, added latency, CPU and memory of the loopback relay beside its peers',
  async run(_args, note) {
    const peers = new Peers();
    try {
      const direct = await peers.startManager();
      const all = [direct, ...(await peers.startAll(direct.port, note))];
      return await measureAll(all, note);
    } finally {
      peers.stop();
    }
  },
};

type Samples = Map<
  string,
  { readonly row: Omit<Row, 'n' | 'median' | 'min' | 'max'>; at: number[] }
>;

/** Round by round over all peers, so that what the machine does meanwhile meets them alike. */
async function measureAll(
  peers: readonly Peer[],
  note: (line: string) => void,
): Promise<readonly Row[]> {
  const samples: Samples = new Map();
  const add = (subject: string, what: readonly [string, string, string], value: number): void => {
    const [kind, metric, unit] = what;
    const key = `${subject} ${kind} ${metric}`;
    const kept = samples.get(key) ?? { row: { subject, case: kind, metric, unit }, at: [] };
    kept.at.push(value);
    samples.set(key, kept);
  };
  for (const { subject, port, pid } of peers) await memory(port, pid, add.bind(null, subject));
  for (let round = 0; round <= rounds; round += 1) {
    note(round === 0 ? 'warming up' : `round ${round} of ${rounds}`);
    const keep = round === 0 ? (): void => undefined : add;
    let directMs: readonly number[] = [];
    for (const { subject, port, pid } of peers) {
      const told = (what: readonly [string, string, string], value: number): void =>
        keep(subject, what, value);
      await bulk(port, pid, told);
      const sorted = await latency(port, told);
      if (pid === undefined) directMs = sorted;
      else addedLatency(sorted, directMs, told);
      await events(port, pid, told);
    }
  }
  return [...samples.values()].map(({ row, at }) => rowOf(row, at)).sort(byCase);
}

function byCase(left: Row, right: Row): number {
  const key = (row: Row): string => `${row.case} ${row.metric}`;
  return key(left).localeCompare(key(right)) || left.median - right.median;
}

type Tell = (what: readonly [kind: string, metric: string, unit: string], value: number) => void;

/** One agent sends half a gigabyte in writes of 64 KiB; done when the manager has all of it. */
async function bulk(port: number, pid: number | undefined, tell: Tell): Promise<void> {
  const socket = await open(port);
  const head = Buffer.alloc(9, 'D');
  head.writeBigUInt64LE(BigInt(bulkBytes), 1);
  const chunk = Buffer.alloc(64 * 1024, 0x78);
  const before = cpuSeconds(pid);
  const startMs = performance.now();
  socket.write(head);
  let left = bulkBytes;
  const pump = (): void => {
    while (left > 0) {
      const part = chunk.subarray(0, Math.min(left, chunk.length));
      left -= part.length;
      if (!socket.write(part)) return void socket.once('drain', pump);
    }
  };
  pump();
  await new Promise((resolve) => socket.once('data', resolve));
  const seconds = (performance.now() - startMs) / 1000;
  socket.destroy();
  tell(['bulk', 'throughput', 'MB/s'], bulkBytes / 1e6 / seconds);
  if (pid !== undefined) {
    tell(['bulk', 'cpu', 's/GB'], ((cpuSeconds(pid) - before) / bulkBytes) * 1e9);
  }
}

/** Round trips of one event at a time, sorted, in milliseconds. */
async function latency(port: number, tell: Tell): Promise<readonly number[]> {
  const socket = await open(port);
  const event = Buffer.alloc(eventBytes, 0x78);
  const tookMs: number[] = [];
  socket.write('E');
  for (let done = 0; done < echoes; done += 1) {
    const startMs = performance.now();
    socket.write(event);
    await receive(socket, event.length);
    tookMs.push(performance.now() - startMs);
  }
  socket.destroy();
  const sorted = tookMs.sort((left, right) => left - right);
  tell(['echo of 800 B', 'round trip p50', 'us'], percentile(sorted, 0.5) * 1000);
  tell(['echo of 800 B', 'round trip p99', 'us'], percentile(sorted, 0.99) * 1000);
  return sorted;
}

function addedLatency(sorted: readonly number[], direct: readonly number[], tell: Tell): void {
  for (const [name, at] of [
    ['p50', 0.5],
    ['p99', 0.99],
  ] as const) {
    const addedMs = percentile(sorted, at) - percentile(direct, at);
    tell(['echo of 800 B', `added ${name}`, 'us'], addedMs * 1000);
  }
}

/** CPU of the peer while events flow as in the wedge of the issue. */
async function events(port: number, pid: number | undefined, tell: Tell): Promise<void> {
  if (pid === undefined) return;
  const socket = await open(port);
  const event = Buffer.alloc(eventBytes, 0x78);
  const head = Buffer.alloc(9, 'D');
  head.writeBigUInt64LE(BigInt(Number.MAX_SAFE_INTEGER), 1);
  socket.write(head);
  const before = cpuSeconds(pid);
  const startMs = performance.now();
  for (let sent = 0; sent < eventsPerSecond * eventSeconds; ) {
    const due = ((performance.now() - startMs) / 1000) * eventsPerSecond;
    for (; sent < due; sent += 1) socket.write(event);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  tell(
    [`${eventsPerSecond} events/s`, 'cpu', 'per cent'],
    ((cpuSeconds(pid) - before) / eventSeconds) * 100,
  );
  socket.destroy();
}

/** Once, before any load: what a peer needs to stand there with one agent connected. */
async function memory(port: number, pid: number | undefined, tell: Tell): Promise<void> {
  if (pid === undefined) return;
  const socket = await open(port);
  socket.write('E.');
  await receive(socket, 1);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  const kilobytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(rollup)?.[1] ?? Number.NaN);
  tell(['one agent', 'rss', 'MB'], kilobytes('Rss') / 1024);
  const own = kilobytes('Private_Clean') + kilobytes('Private_Dirty');
  tell(['one agent', 'private', 'MB'], own / 1024);
  socket.destroy();
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    socket.once('error', reject).once('connect', () => resolve(socket));
  });
}

function receive(socket: Socket, length: number): Promise<void> {
  return new Promise((resolve) => {
    let got = 0;
    const take = (bytes: Buffer): void => {
      got += bytes.length;
      if (got < length) return;
      socket.off('data', take);
      resolve();
    };
    socket.on('data', take);
  });
}

/** User and system time of a process so far; clock ticks are a hundredth of a second on Linux. */
function cpuSeconds(pid: number | undefined): number {
  if (pid === undefined) return 0;
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function percentile(sorted: readonly number[], at: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * at))] ?? Number.NaN;
}
