/** What goes wrong in a simulated world, as data: a seed makes a schedule, a shrinker cuts it down. */
import { Prng } from './prng.ts';
import type { WorldSettings } from './settings.ts';

export type FaultKind =
  /** The manager's process dies; its port refuses. */
  | 'crash'
  /** It accepts and stays silent. */
  | 'hang'
  /** The machine is off the network: nothing comes back. */
  | 'blackhole'
  /** One network cannot reach one manager; the publisher and the others can. */
  | 'cut'
  /** One network cannot reach any manager. */
  | 'isolate'
  /** Answers from one manager to one network come later than any probe waits; sessions live on. */
  | 'delay'
  /** `amount`: packet loss between one network and all managers. */
  | 'loss'
  | 'publisher_down'
  /** One network cannot reach the publisher. */
  | 'publisher_cut'
  /** An operator drains a manager, and brings it back at the end. */
  | 'drain'
  /** A valid list that works nowhere is published; only in worlds with rollouts. */
  | 'bad_list'
  /** A manager that was not in the list joins it, a share of the agents first. */
  | 'join'
  /** `share` of the sidecars are killed, some in the middle of a write, and start again at the end. */
  | 'kill'
  /** The same with the power: what was not synced is lost, the agent starts again too. */
  | 'power_cut'
  /** `share` of the hosts sleep. */
  | 'pause'
  /** `share` of the wall clocks jump by `amount` ms, for good. */
  | 'clock'
  /** `share` of the sidecars are served something that must be refused; `amount` says what. */
  | 'rogue';

export interface Fault {
  readonly kind: FaultKind;
  readonly atMs: number;
  readonly durationMs: number;
  readonly manager: number;
  readonly site: number;
  readonly share: number;
  readonly amount: number;
}

/** What a rogue source serves, by `amount`. */
export const rogueKinds = [
  'rollback',
  'foreign',
  'empty',
  'purge',
  'equivocation',
  'leap',
  'endless',
  'slow',
] as const;
export type RogueKind = (typeof rogueKinds)[number];

/** Time without faults at the start and, so that everything can heal, at the end. */
const quietStartMs = 60_000;
const quietEndMs = 400_000;

const weights: readonly (readonly [FaultKind, number])[] = [
  ['crash', 5],
  ['hang', 5],
  ['blackhole', 5],
  ['cut', 4],
  ['isolate', 2],
  ['delay', 2],
  ['loss', 3],
  ['publisher_down', 2],
  ['publisher_cut', 2],
  ['drain', 2],
  ['join', 1],
  ['kill', 3],
  ['power_cut', 2],
  ['pause', 2],
  ['clock', 3],
  ['rogue', 4],
];
const bag: readonly FaultKind[] = weights.flatMap(([kind, count]) =>
  Array.from({ length: count }, () => kind),
);

const rolloutBag: readonly FaultKind[] = [...bag, 'bad_list', 'bad_list', 'bad_list'];

/** About one fault of these kinds in `meanGapMs`, several at once where they overlap. */
export function planFaults(
  settings: WorldSettings,
  meanGapMs: number,
  kinds: readonly FaultKind[] = settings.hasRollouts ? rolloutBag : bag,
): readonly Fault[] {
  const random = new Prng(settings.seed, 0xfa17);
  const faults: Fault[] = [];
  const endMs = settings.durationMs - quietEndMs;
  for (let atMs = quietStartMs + random.gap(meanGapMs); atMs < endMs; ) {
    faults.push(planOne(random, settings, { kind: random.pick(kinds), atMs, endMs }));
    atMs += random.gap(meanGapMs);
  }
  return faults;
}

function planOne(
  random: Prng,
  settings: WorldSettings,
  { kind, atMs, endMs }: Pick<Fault, 'kind' | 'atMs'> & { readonly endMs: number },
): Fault {
  const wishedMs = random.isHit(0.3) ? random.between(200, 5_000) : random.gap(240_000) + 1_000;
  return {
    kind,
    atMs: Math.round(atMs),
    durationMs: Math.round(Math.min(wishedMs, endMs - atMs)),
    manager: random.below(settings.managers),
    site: random.below(settings.sites),
    share: random.isHit(0.3) ? 1 : random.between(0.02, 0.5),
    amount: amountOf(kind, random),
  };
}

function amountOf(kind: FaultKind, random: Prng): number {
  if (kind === 'loss') return random.between(0.005, 0.03);
  if (kind === 'rogue') return random.below(rogueKinds.length);
  if (kind !== 'clock') return 0;
  const size = random.pick([5_000, 600_000, 3_600_000, 86_400_000, 10 * 365 * 86_400_000]);
  return random.isHit(0.5) ? size : -size;
}

/** One line, the same words as in the type. */
export function renderFault(fault: Fault): string {
  const { kind, atMs, durationMs, manager, site, share, amount } = fault;
  const at = `${(atMs / 1000).toFixed(1)} s: ${kind} for ${(durationMs / 1000).toFixed(1)} s`;
  switch (kind) {
    case 'crash':
    case 'hang':
    case 'blackhole':
    case 'drain':
      return `${at}, manager ${manager}`;
    case 'cut':
    case 'delay':
      return `${at}, site ${site} to manager ${manager}`;
    case 'isolate':
    case 'publisher_cut':
      return `${at}, site ${site}`;
    case 'loss':
      return `${at}, site ${site}, ${(amount * 100).toFixed(1)} %`;
    case 'publisher_down':
    case 'join':
    case 'bad_list':
      return at;
    case 'clock':
      return `${at}, ${Math.round(share * 100)} % of the hosts by ${amount / 1000} s`;
    case 'rogue':
      return `${at}, ${Math.round(share * 100)} % of the hosts: ${rogueKinds[amount] ?? '?'}`;
    default:
      return `${at}, ${Math.round(share * 100)} % of the hosts`;
  }
}
