/** Whether the cost of an input grows with its size alone. */
import { Session } from '../../../src/cluster/session/session.ts';
import { defaultLimits } from '../../../src/cluster/wire/limits.ts';
import { Seeded } from './damage.ts';

const smallBytes = 65_536;
/** Cost per byte may grow so much with 16 times the input; squared cost makes it 16. */
export const worstRatio = 6;
const rounds = 10;

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
    const elapsedNs = stopwatch();
    for (let at = 0; at < bytes.length; at += chunkBytes) {
      session.receive(bytes.subarray(at, at + chunkBytes), 0);
    }
    best = Math.min(best, elapsedNs() / bytes.length);
  }
  return best;
}

/** A run this long is interrupted on a busy machine; its CPU is then known well enough. */
const longNs = 20_000_000;

/** Nanoseconds that passed, or for long runs those that this thread had the CPU. */
function stopwatch(): () => number {
  const cpu = process.threadCpuUsage();
  const start = process.hrtime.bigint();
  return () => {
    const wallNs = Number(process.hrtime.bigint() - start);
    if (wallNs < longNs) return wallNs;
    const { user, system } = process.threadCpuUsage(cpu);
    return Math.min(wallNs, Math.max(1, user + system) * 1000);
  };
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
    chunkBytes: smallBytes,
    make: (size) =>
      Buffer.concat(Array.from({ length: size / 128 }, () => plainFrame('echo', 'part', 108))),
  },
  {
    name: 'small frames in one chunk',
    chunkBytes: smallBytes,
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
export function linearity(print: (line: string) => void): number {
  const ratios = shapes.map(({ name, chunkBytes, make }) => {
    let [small, large] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    // A machine that is busy throughout slows one size and not the other: looked at for longer.
    for (let round = 0; round < rounds && !(large / small <= worstRatio); round += 1) {
      small = Math.min(small, costPerByte(make(smallBytes), chunkBytes));
      large = Math.min(large, costPerByte(make(16 * smallBytes), chunkBytes));
    }
    const ratio = large / small;
    print(
      `  ${name}: ${small.toFixed(2)} → ${large.toFixed(2)} ns/byte, ratio ${ratio.toFixed(2)}`,
    );
    return ratio;
  });
  return Math.max(...ratios);
}
