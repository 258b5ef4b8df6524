/**
 * Many hostile sockets from a second process, while a healthy worker of the same master is kept in
 * sync: nobody stays, the worker loses nothing, memory and log lines stay bounded.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ended, logOf, makeFolders, usageOf } from '../../bench-peers/cluster-peers.ts';

const node = fileURLToPath(new URL('../../bench-peers/cluster-node.ts', import.meta.url));
const hostile = fileURLToPath(new URL('./hostile-sockets.ts', import.meta.url));
/** Of the master, above what it took before the first stranger. */
const mostGrowthMb = 150;
/** One for each of the hundred addresses and kind of line, and the lines about the worker. */
const mostLines = 600;
const mostChangeMs = 30_000;

interface Told {
  readonly opened: number;
  readonly failed: number;
  readonly thrownOut: number;
  readonly stillOpen: number;
}

/** False: something did not hold; it has been printed. */
export async function surviveSockets(
  count: number,
  seed: number,
  print: (line: string) => void,
): Promise<boolean> {
  const root = mkdtempSync(join(tmpdir(), 'pf-sockets-'));
  const children: ChildProcess[] = [];
  try {
    return await attack({ root, count, seed, children }, print);
  } finally {
    await Promise.all(children.map(ended));
    rmSync(root, { recursive: true, force: true });
  }
}

interface Scene {
  readonly root: string;
  readonly count: number;
  readonly seed: number;
  readonly children: ChildProcess[];
}

async function attack(
  { root, count, seed, children }: Scene,
  print: (line: string) => void,
): Promise<boolean> {
  const port = await freePort();
  const start = (type: string, name: string): { home: string; pid: number } => {
    const home = join(root, name);
    makeFolders(home);
    const child = spawn(process.execPath, [node, home, type, name, String(port)], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    children.push(child);
    return { home, pid: child.pid ?? 0 };
  };
  const master = start('master', 'm');
  const worker = start('worker', 'w');
  await change(master.home, worker.home, 'before');
  const before = usageOf(master.pid);
  const linesBefore = linesOf(master.home);
  const lossesBefore = lossesOf(worker.home);
  const strangers = spawn(process.execPath, [hostile, String(port), String(count), String(seed)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(strangers);
  const coming = firstLine(strangers);
  const times = await changesUntil(coming, master.home, worker.home);
  const told = JSON.parse(await coming) as Partial<Told>;
  const strangersLeft = await strangersAfter(port, 10_000); // they are still there, and silent
  strangers.stdin?.end();
  times.push(await change(master.home, worker.home, 'after'));
  const after = usageOf(master.pid);
  return judge(
    {
      count,
      told,
      times,
      strangersLeft,
      growthMb: after.peakMb - before.peakMb,
      cpuS: after.cpuS - before.cpuS,
      lines: linesOf(master.home) - linesBefore,
      losses: lossesOf(worker.home) - lossesBefore,
    },
    print,
  );
}

interface Seen {
  readonly count: number;
  readonly told: Partial<Told>;
  readonly times: readonly number[];
  readonly strangersLeft: number;
  readonly growthMb: number;
  readonly cpuS: number;
  readonly lines: number;
  readonly losses: number;
}

function judge(seen: Seen, print: (line: string) => void): boolean {
  const { count, told, times, strangersLeft, growthMb, cpuS, lines, losses } = seen;
  const sorted = times.toSorted((left, right) => left - right);
  const middle = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const worst = sorted.at(-1) ?? 0;
  print(
    `  ${told.opened} hostile sockets opened, ${told.failed} refused before, ` +
      `${told.thrownOut} thrown out, ${told.stillOpen} never taken by the listener; ` +
      `${strangersLeft} left at the master`,
  );
  print(
    `  meanwhile ${times.length} changes reached the worker: median ${Math.round(middle)} ms, ` +
      `worst ${Math.round(worst)} ms`,
  );
  print(
    `  master: ${cpuS.toFixed(2)} s CPU, ${growthMb.toFixed(0)} MB more at its peak, ${lines} log lines`,
  );
  const faults = [
    [(told.opened ?? 0) + (told.failed ?? 0) !== count, 'not every socket was tried'],
    [strangersLeft > 0, 'strangers are still connected'],
    [losses > 0, 'the worker lost its connection'],
    [worst > mostChangeMs, 'the worker was left behind'],
    [growthMb > mostGrowthMb, `the master grew by more than ${mostGrowthMb} MB`],
    [lines > mostLines, `more than ${mostLines} lines`],
  ] as const;
  for (const [isSo, text] of faults) if (isSo) print(`VIOLATION: ${text}`);
  return !faults.some(([isSo]) => isSo);
}

async function changesUntil(end: Promise<unknown>, from: string, to: string): Promise<number[]> {
  let isOver = false;
  const stop = (): void => {
    isOver = true;
  };
  end.then(stop, stop);
  const times: number[] = [];
  while (!isOver) {
    times.push(await change(from, to, `during ${times.length}`));
    await pause(200);
  }
  return times;
}

/** Milliseconds until a new content has arrived. */
async function change(from: string, to: string, content: string): Promise<number> {
  const startedMs = performance.now();
  writeFileSync(join(from, 'etc/lists/changing'), content);
  while (read(join(to, 'etc/lists/changing')) !== content) {
    if (performance.now() - startedMs > 2 * mostChangeMs) throw new Error(`no sync: ${content}`);
    await pause(20);
  }
  return performance.now() - startedMs;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function linesOf(home: string): number {
  return logOf(home)
    .split('\n')
    .filter((line) => !/\[Worker w\]|\[Local integrity\]/.test(line)).length;
}

/**
 * Connections of strangers that the master holds, once none is left or the time is up. The other
 * end cannot tell: one that the full queue of the listener dropped looks open to a silent client.
 */
async function strangersAfter(port: number, timeoutMs: number): Promise<number> {
  const startedMs = performance.now();
  for (;;) {
    const left = strangersOf(port);
    if (left === 0 || performance.now() - startedMs > timeoutMs) return left;
    await pause(200);
  }
}

/** Established, with us as the listening side and 127.31.0.x as the other (proc(5), net/tcp). */
function strangersOf(port: number): number {
  const here = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = '', remote = '', state = '']) => {
      return local.endsWith(here) && remote.slice(2, 8) === '001F7F' && state === '01';
    }).length;
}

function lossesOf(home: string): number {
  return (logOf(home).match(/Could not connect|onnection closed|closed the connection/g) ?? [])
    .length;
}

/** Rejects where the process ends without a word. */
async function firstLine(child: ChildProcess): Promise<string> {
  let text = '';
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk);
    if (text.includes('\n')) return text;
  }
  throw new Error('the hostile process ended without a result');
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
