/**
 * Mutated frames and sessions, in process: no crash, cost linear in the input, memory flat. Each
 * case takes a valid conversation, damages it (bits, bytes, lengths, words, order, cuts, token
 * bodies under the right key) and feeds it to a fresh or a running session in random chunks.
 */
import type { Output } from '../../src/cluster/session/output.ts';
import { Session } from '../../src/cluster/session/session.ts';
import type { Role } from '../../src/cluster/wire/command.ts';
import { linearity, worstRatio } from './wire/cost.ts';
import { corpus, flip, helloBytes, mutations, Seeded, seal } from './wire/damage.ts';
import { surviveSockets } from './wire/sockets.ts';

const largestInput = 65_536;
/** A quadratic cost would show 16; fresh pages for a large buffer show up to 3. */

const clientHello = {
  node: 'w',
  cluster: 'wazuh',
  type: 'worker',
  version: '4.14.8',
} as const;

interface Counts {
  frames: number;
  sessions: number;
  outputs: number;
  closed: number;
}

/** A role that answers what it must, so that every path behind a session runs. */
function serve(session: Session, outputs: readonly Output[], counts: Counts, depth = 0): void {
  for (const output of outputs) {
    counts.outputs += 1;
    if (output.kind === 'close') counts.closed += 1;
    if (depth > 3) continue;
    if (output.kind === 'store' && output.counter !== undefined) {
      const failure = output.counter % 5 === 0 ? 'ENOSPC' : undefined;
      serve(session, session.stored(output.counter, failure, 0), counts, depth + 1);
    }
    if (output.kind !== 'asked') continue;
    const answered =
      output.command === 'hello'
        ? session.admit(output.counter, { mustBeOurs: false }, 0)
        : session.answer(output.counter, { kind: 'ok', payload: 'True' }, 0);
    serve(session, answered, counts, depth + 1);
  }
}

function open(random: Seeded, hello: Buffer, counts: Counts): Session {
  const role = random.pick<Role>(['master', 'master', 'worker', 'localServer'], 'master');
  const offer = { node: 'm', features: ['push'], mustBeOurs: false };
  const session = new Session({
    role,
    ...(role === 'localServer' ? {} : { seal }),
    random,
    openedAtMs: 0,
    wallOffsetMs: 1e12,
    ...(random.below(2) === 0 ? { offer } : {}),
  });
  counts.sessions += 1;
  if (role === 'worker') session.request('hello', clientHello, 0);
  const greets = role === 'master' && random.below(4) > 0;
  if (greets) serve(session, session.receive(hello, 0), counts);
  return session;
}

interface Tools {
  readonly random: Seeded;
  readonly frames: readonly Buffer[];
  readonly hello: Buffer;
  readonly counts: Counts;
}

/** One session and the damaged frames it lives through. */
function oneSession(tools: Tools, frameBudget: number): void {
  const { random, frames, hello, counts } = tools;
  const session = open(random, hello, counts);
  const wanted = 1 + random.below(Math.min(40, frameBudget));
  for (let sent = 0; sent < wanted; sent++) {
    const original = random.pick(frames, hello);
    const mutate = random.pick(mutations, (bytes: Buffer) => bytes);
    const bytes = mutate(Buffer.from(original), random);
    counts.frames += 1;
    const cut = random.below(4) === 0 ? random.below(bytes.length) : bytes.length;
    serve(session, session.receive(bytes.subarray(0, cut), 0), counts);
    if (cut < bytes.length) serve(session, session.receive(bytes.subarray(cut), 0), counts);
    if (session.phase === 'closed') return;
  }
  serve(session, session.tick(random.below(200_000)), counts);
  session.end();
}

interface Slowest {
  /** Of this thread alone: what the input costs. */
  readonly cpuMs: number;
  /** With whatever else the machine did meanwhile. */
  readonly wallMs: number;
}

function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

function percentile9999(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.9999))] ?? 0;
}

/** The 99.99th percentile of the time that random inputs of up to 64 KiB take. */
function slowest(tools: Tools, runs: number): Slowest {
  const { random, frames, hello, counts } = tools;
  const cpu: number[] = [];
  const wall: number[] = [];
  for (let run = 0; run < runs; run++) {
    const count = 1 + random.below(300);
    const pieces = Array.from({ length: count }, () => random.pick(frames, hello));
    const input = Buffer.concat([hello, ...pieces]).subarray(0, 1 + random.below(largestInput));
    if (random.below(2) === 0) flip(input, random.below(input.length), 1 << random.below(8));
    const session = open(random, hello, counts);
    const start = { cpuMs: cpuMs(), wallMs: performance.now() };
    serve(session, session.receive(input, 0), counts);
    cpu.push(cpuMs() - start.cpuMs);
    wall.push(performance.now() - start.wallMs);
    session.end();
  }
  return { cpuMs: percentile9999(cpu), wallMs: percentile9999(wall) };
}

function memoryMegabytes(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return (heapUsed + arrayBuffers) / 1e6;
}

function numberAfter(args: readonly string[], flag: string, fallback: number): number {
  const index = args.indexOf(flag);
  const value = index === -1 ? fallback : Number(args[index + 1]);
  if (!Number.isSafeInteger(value) || value < 1) throw new RangeError(`${flag} takes a number`);
  return value;
}

async function run(args: readonly string[], print: (line: string) => void): Promise<number> {
  const isShort = args.includes('--short');
  const seed = numberAfter(args, '--seed', 20_261_121);
  const wanted = numberAfter(args, '--frames', isShort ? 60_000 : 10_000_000);
  const sockets = isShort ? 200 : 10_000;
  const random = new Seeded(seed);
  const counts: Counts = { frames: 0, sessions: 0, outputs: 0, closed: 0 };
  const tools: Tools = { random, frames: corpus(random, 4096), hello: helloBytes(), counts };
  print(`wire campaign: seed ${seed}, ${wanted} mutated frames`);
  const started = performance.now();
  const levels: number[] = [];
  for (let next = wanted / 10; counts.frames < wanted; ) {
    try {
      oneSession(tools, wanted - counts.frames);
    } catch (thrown) {
      print(`CRASH at frame ${counts.frames} (seed ${seed}): ${String(thrown)}`);
      if (thrown instanceof Error) print(thrown.stack ?? '');
      return 1;
    }
    if (counts.frames < next) continue;
    next += wanted / 10;
    levels.push(memoryMegabytes());
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  const seconds = (performance.now() - started) / 1000;
  const { frames, sessions, outputs, closed } = counts;
  print(`  ${frames} frames, ${sessions} sessions, ${outputs} outputs, ${closed} closed by us`);
  print(`  ${seconds.toFixed(1)} s, ${Math.round(frames / seconds)} frames/s, 0 crashes`);
  const verdict = judge(tools, levels, isShort, print);
  const isStanding = await surviveSockets(numberAfter(args, '--sockets', sockets), seed, print);
  return verdict === 0 && isStanding ? 0 : 1;
}

function judge(
  tools: Tools,
  levels: readonly number[],
  isShort: boolean,
  print: (line: string) => void,
): number {
  const half = Math.floor(levels.length / 2);
  const early = Math.max(...levels.slice(0, half));
  const late = Math.max(...levels.slice(half));
  print(`  memory: at most ${early.toFixed(0)} MB in the first half, ${late.toFixed(0)} MB after`);
  const ratio = linearity(print);
  print(`  cost of 16 times the input, per byte: worst ratio ${ratio.toFixed(2)} (linear is 1)`);
  const p9999 = slowest(tools, isShort ? 400 : 20_000);
  const { cpuMs: cpu, wallMs: wall } = p9999;
  print(`  p99.99 of inputs up to 64 KiB: ${cpu.toFixed(2)} ms CPU, ${wall.toFixed(2)} ms elapsed`);
  const isFlat = late < early * 1.5 + 32;
  if (!isFlat) print('VIOLATION: memory grows');
  if (ratio > worstRatio) print('VIOLATION: cost is not linear');
  return isFlat && ratio <= worstRatio ? 0 : 1;
}

export const campaign = {
  name: 'wire',
  summary: 'mutated frames and sessions, hostile sockets beside a healthy worker: no crash, flat',
  usage: 'npm run campaign -- wire [--short] [--seed N] [--frames N] [--sockets N]',
  run,
};
