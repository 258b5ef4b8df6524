/** Which faults a campaign tries: every call of the replace path, by kill, errno and lying result. */
import type { Fault } from './strace.ts';

const errnos = [
  'ENOSPC',
  'EIO',
  'EINTR',
  'EROFS',
  'EDQUOT',
  'EMFILE',
  'EPERM',
  'EACCES',
  'EXDEV',
  'EBUSY',
  'ENOMEM',
] as const;
/** The runtime's own wake-ups; files are read and written by pread64 and pwrite64. */
const notOurs: ReadonlySet<string> = new Set(['read', 'write', 'clone', 'clone3', 'vfork']);
const transfers: ReadonlySet<string> = new Set(['pread64', 'pwrite64']);

/** Every single fault for calls counted in a run without any. */
export function singleFaults(counts: ReadonlyMap<string, number>): readonly Fault[] {
  return [...counts].flatMap(([call, count]) =>
    notOurs.has(call)
      ? []
      : Array.from({ length: count }, (_, index) =>
          effectsOf(call).map((effect) => ({ call, when: index + 1, effect })),
        ).flat(),
  );
}

function effectsOf(call: string): readonly string[] {
  return [
    'signal=KILL',
    ...errnos.map((errno) => `error=${errno}`),
    // Short transfers; the kernel moves nothing, so the bytes claimed are wrong as well.
    ...(transfers.has(call) ? ['retval=0', 'retval=1', 'retval=511', 'retval=4096'] : []),
  ];
}

/** Two faults of different calls in one run (strace takes one injection a call). */
export function pairFaults(
  singles: readonly Fault[],
  count: number,
  random: () => number,
): readonly (readonly [Fault, Fault])[] {
  const pairs: (readonly [Fault, Fault])[] = [];
  while (pairs.length < count) {
    const [first, second] = [pick(singles, random), pick(singles, random)];
    if (first === undefined || second === undefined) return pairs;
    if (first.call !== second.call) pairs.push([first, second]);
  }
  return pairs;
}

export function pick<Item>(items: readonly Item[], random: () => number): Item | undefined {
  return items[Math.floor(random() * items.length)];
}

/** mulberry32: the same seed gives the same campaign. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
