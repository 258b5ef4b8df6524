/**
 * Mutated frames and sessions, in process: no crash, cost linear in the input, memory flat. Each
 * case takes a valid conversation, damages it (bits, bytes, lengths, words, order, cuts, token
 * bodies under the right key) and feeds it to a fresh or a running session in random chunks.
 */
import type { Random } from '../../src/clock.ts';
import type { Output } from '../../src/cluster/session/output.ts';
import { Session } from '../../src/cluster/session/session.ts';
import { commands, type Role } from '../../src/cluster/wire/command.ts';
import { defaultLimits } from '../../src/cluster/wire/limits.ts';
import { encodeMessage } from '../../src/cluster/wire/message.ts';
import { createSeal } from '../../src/cluster/wire/seal.ts';

const seal = createSeal('abcdefghijklmnopQRSTUVWXYZ012345');
const largestInput = 65_536;
/** A quadratic cost would show 16; fresh pages for a large buffer show up to 3. */
const worstRatio = 6;

/** xorshift32: small, fast and the same everywhere. */
class Seeded implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }

  uint(): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return this.#state >>> 0;
  }

  below(limit: number): number {
    return this.uint() % Math.max(1, limit);
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let index = 0; index < length; index++) bytes[index] = this.uint();
    return bytes;
  }

  fraction(): number {
    return this.uint() / 2 ** 32;
  }

  pick<Item>(items: readonly Item[], fallback: Item): Item {
    return items[this.below(items.length)] ?? fallback;
  }
}

const path = '/queue/cluster/w/w-1.2-ab.zip';
const error =
  '{"__wazuh_exception__": {"__class__": "WazuhClusterError", "__object__": {"code": 3039}}}';
const bodies: readonly string[] = [
  '',
  'keepalive',
  '10',
  '123 data',
  `${path}`,
  `${path} data`,
  `task ${path}`,
  `task ${error}`,
  `None ${error}`,
  '{"limit": 1, "select": ["name"]}',
  '{"updated_chunks": 1, "error_messages": [], "time_spent": 0.1}',
  '1 {"f": {"__callable__": {"__name__": "x"}}}',
  `${error}`,
  `pilotfish-offer/1 ${'A'.repeat(43)} push`,
  'w2 wazuh worker 4.14.8',
  '['.repeat(300),
];
const words: readonly string[] = [
  ...new Set(Object.values(commands).map(({ wire }) => wire)),
  'ok',
  'err',
  'ok-m',
  'error',
  'nonsense',
];

function request(random: Seeded, counter: number): Buffer {
  const word = random.pick(words, 'echo');
  const body = Buffer.from(random.pick(bodies, ''));
  if (body.length > 0 && random.below(3) === 0) body[random.below(body.length)] = random.uint();
  const token = seal.seal(body, { iv: random.bytes(16), unixSeconds: counter });
  const isDivided = random.below(8) === 0;
  return Buffer.concat(
    encodeMessage({ counter, word }, token, body.length, isDivided ? 21 + body.length : undefined),
  );
}

/** Made once: sealing is not what is tested, and would take most of the time. */
function corpus(random: Seeded, size: number): readonly Buffer[] {
  return Array.from({ length: size }, (_, index) => request(random, index));
}

type Mutation = (bytes: Buffer, random: Seeded) => Buffer;

/** Each gets a copy that it may change. */
const mutations: readonly Mutation[] = [
  (bytes) => bytes,
  (bytes) => bytes,
  (bytes, random) => flip(bytes, random.below(bytes.length), 1 << random.below(8)),
  (bytes, random) => flip(bytes, random.below(20), 1 << random.below(8)),
  (bytes, random) => flip(bytes, 4 + random.below(4), random.below(256)),
  (bytes, random) => flip(bytes, 19, random.below(256)),
  (bytes, random) => bytes.subarray(0, random.below(bytes.length)),
  (bytes, random) => bytes.subarray(random.below(bytes.length)),
  (bytes, random) => {
    bytes.writeUInt32BE(random.uint(), 4);
    return bytes;
  },
  (bytes, random) => {
    bytes.write(random.pick(words, 'echo').padEnd(11, ' '), 8, 11, 'latin1');
    return bytes;
  },
  (bytes, random) => Buffer.concat([bytes, random.bytes(random.below(40))]),
  (_bytes, random) => Buffer.from(random.bytes(1 + random.below(120))),
];

function flip(bytes: Buffer, index: number, mask: number): Buffer {
  bytes[index] = (bytes[index] ?? 0) ^ mask;
  return bytes;
}

const clientHello = {
  node: 'w',
  cluster: 'wazuh',
  type: 'worker',
  version: '4.14.8',
} as const;

function helloBytes(): Buffer {
  const body = Buffer.from('w wazuh worker 4.14.8');
  const token = seal.seal(body, { iv: new Uint8Array(16), unixSeconds: 0 });
  return Buffer.concat(encodeMessage({ counter: 1, word: 'hello' }, token, body.length));
}

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

/** Nanoseconds per byte for one size: the fastest of many, so that the machine's noise is out. */
function costPerByte(bytes: Buffer, chunkBytes: number): number {
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 15; run++) {
    const session = new Session({
      role: 'localServer',
      random: new Seeded(1),
      openedAtMs: 0,
      wallOffsetMs: 0,
      limits: { ...defaultLimits, openAsks: 1e9 },
    });
    const start = process.hrtime.bigint();
    for (let at = 0; at < bytes.length; at += chunkBytes) {
      session.receive(bytes.subarray(at, at + chunkBytes), 0);
    }
    best = Math.min(best, Number(process.hrtime.bigint() - start) / bytes.length);
  }
  return best;
}

interface Shape {
  readonly name: string;
  readonly chunkBytes: number;
  make(size: number): Buffer;
}

/** Inputs whose cost a careless parser would square. */
const shapes: readonly Shape[] = [
  {
    name: 'one frame in 100-byte chunks',
    chunkBytes: 100,
    make: (size) => plainFrame('echo', 'whole', size),
  },
  {
    name: 'parts of one divided message',
    chunkBytes: largestInput,
    make: (size) =>
      Buffer.concat(Array.from({ length: size / 128 }, () => plainFrame('echo', 'part', 108))),
  },
  {
    name: 'small frames in one chunk',
    chunkBytes: largestInput,
    make: (size) =>
      Buffer.concat(Array.from({ length: size / 64 }, () => plainFrame('echo', 'whole', 44))),
  },
  {
    name: 'deep JSON',
    chunkBytes: 4096,
    make: (size) => plainFrame('get_nodes', 'whole', size, '['),
  },
  {
    name: 'wide JSON',
    chunkBytes: 4096,
    make: (size) => plainFrame('get_nodes', 'whole', size, '[{"a":1},'),
  },
];

function plainFrame(word: string, role: 'whole' | 'part', size: number, fill = 'x'): Buffer {
  const frame = Buffer.alloc(20 + size, fill);
  frame.writeUInt32BE(7, 0);
  frame.writeUInt32BE(size, 4);
  frame.write(`${word} ----------`, 8, 12, 'latin1');
  if (role === 'part') frame.write('d', 19);
  return frame;
}

/** Worst ratio of cost per byte between 64 KiB and 1 MiB of the same shape. */
function linearity(print: (line: string) => void): number {
  const ratios = shapes.map(({ name, chunkBytes, make }) => {
    const small = costPerByte(make(largestInput), chunkBytes);
    const large = costPerByte(make(16 * largestInput), chunkBytes);
    const ratio = large / small;
    print(
      `  ${name}: ${small.toFixed(2)} → ${large.toFixed(2)} ns/byte, ratio ${ratio.toFixed(2)}`,
    );
    return ratio;
  });
  return Math.max(...ratios);
}

/** Milliseconds for random inputs of up to 64 KiB: the 99.99th percentile. */
function slowest(tools: Tools, runs: number): number {
  const { random, frames, hello, counts } = tools;
  const times: number[] = [];
  for (let run = 0; run < runs; run++) {
    const count = 1 + random.below(300);
    const pieces = Array.from({ length: count }, () => random.pick(frames, hello));
    const input = Buffer.concat([hello, ...pieces]).subarray(0, 1 + random.below(largestInput));
    if (random.below(2) === 0) flip(input, random.below(input.length), 1 << random.below(8));
    const session = open(random, hello, counts);
    const start = performance.now();
    serve(session, session.receive(input, 0), counts);
    times.push(performance.now() - start);
    session.end();
  }
  times.sort((left, right) => left - right);
  return times[Math.min(times.length - 1, Math.floor(times.length * 0.9999))] ?? 0;
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
  return judge(tools, levels, isShort, print);
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
  print(`  p99.99 of inputs up to 64 KiB: ${p9999.toFixed(2)} ms`);
  const isFlat = late < early * 1.5 + 32;
  if (!isFlat) print('VIOLATION: memory grows');
  if (ratio > worstRatio) print('VIOLATION: cost is not linear');
  return isFlat && ratio <= worstRatio ? 0 : 1;
}

export const campaign = {
  name: 'wire',
  summary: 'mutated frames and sessions of the cluster protocol: no crash, linear, flat',
  usage: 'npm run campaign -- wire [--short] [--seed N] [--frames N]',
  run,
};
