/** What a run showed, for people: one line a figure. */
import { renderFault } from './fault.ts';
import type { Outcome } from './outcome.ts';

export interface Cost {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly rssMb: number;
}

export function renderTable(
  { stats, doors, faults, traceHash }: Outcome,
  cost: Cost,
): readonly string[] {
  const sec = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  const { budget, confirm, cooldown } = stats.held;
  const rows: readonly (readonly [string, string])[] = [
    ['faults', String(faults.length)],
    ['events', `${stats.events} (${Math.round((stats.events / cost.cpuMs) * 1000)} a CPU second)`],
    ['decisions', `${stats.decisions} (${stats.asked} asked one by one)`],
    ['failovers', `${stats.failovers} (and ${stats.survived} sessions outlived their fault)`],
    ['agent away, median', sec(stats.awayQuantileMs(0.5))],
    ['agent away, 99 %', sec(stats.awayQuantileMs(0.99))],
    ['agent away, longest', sec(stats.maxAwayMs)],
    ['agents away at once', String(stats.maxAway)],
    ['connections per failover', (stats.attempts / Math.max(1, stats.failovers)).toFixed(3)],
    [
      'handshakes per failover by our move',
      `${(stats.movedKnocks / Math.max(1, stats.moved)).toFixed(3)} (${stats.moved} of them)`,
    ],
    ['handshakes repeated', describeRepeats(stats)],
    ['worst load of our moves in 5 s', `${worstOf(doors, 'peakLoad')} of the accept rate`],
    ['the same with the own loops of agents', `${worstOf(doors, 'peakArrived')}`],
    ['restarts, writes, switches', `${stats.restarts}, ${stats.writes}, ${stats.switches}`],
    ['moves away from a working manager', String(stats.wrongMoves)],
    [
      'lists published, accepted, refused',
      `${stats.published}, ${stats.listsAccepted}, ${stats.listsRefused}`,
    ],
    ['waves of rollouts, halts', `${stats.waves}, ${stats.halts}`],
    ['checks of the world at peace', String(stats.checks)],
    ['away then by budget, confirm, cooldown', `${budget}, ${confirm}, ${cooldown}`],
    [
      'wall time, CPU time, memory',
      `${sec(cost.wallMs)}, ${sec(cost.cpuMs)}, ${Math.round(cost.rssMb)} MiB`,
    ],
    ['trace', traceHash],
  ];
  const length = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(length)}  ${value}`);
}

/** By what ended the handshake before. */
export function describeRepeats({ repeats }: { readonly repeats: ArrayLike<number> }): string {
  const { 0: other = 0, 1: full = 0, 2: died = 0, 3: restarted = 0 } = repeats;
  return `${full} at a full door, ${died} at one that died, ${restarted} restarted there, ${other} other`;
}

function worstOf(doors: Outcome['doors'], what: 'peakLoad' | 'peakArrived'): string {
  return Math.max(0, ...doors.map((door) => door[what])).toFixed(2);
}

export function renderViolations({ seed, violations }: Outcome): readonly string[] {
  return violations.map(({ invariant, atMs, agent, what }) => {
    const who = agent < 0 ? '' : ` agent ${agent}:`;
    return `VIOLATION of ${invariant} with seed ${seed} at ${(atMs / 1000).toFixed(1)} s:${who} ${what}`;
  });
}

export function renderSchedule(faults: Outcome['faults']): readonly string[] {
  return faults.map((fault) => `  ${renderFault(fault)}`);
}
