/** Seeded worlds until the count is reached or an invariant breaks; then a minimised schedule. */
import { parseArgs } from 'node:util';
import {
  bigFleet,
  runSeed,
  type SeedParts,
  settingsOfSeed,
  shrinkFailure,
} from '../../src/simulation/campaign.ts';
import { productLogic } from '../../src/simulation/logic.ts';
import type { Outcome } from '../../src/simulation/outcome.ts';
import { recordReplaceOps } from '../../src/simulation/replace-trace.ts';
import { describeRepeats, renderSchedule, renderViolations } from '../../src/simulation/table.ts';

interface Group {
  seeds: number;
  failovers: number;
  /** Connections of them that reached a live manager. */
  attempts: number;
  /** Those that we led, and their handshakes since then, SYNs sent again included. */
  moved: number;
  movedKnocks: number;
}

interface Totals {
  readonly withPublisher: Group;
  readonly without: Group;
  /**
   * Big fleets behind relays. When all their hosts die or sleep and come back at one instant, nobody
   * can slot their agents: the gate for those that a publisher leads is not asked of them.
   */
  readonly bigRelayed: Group;
  events: number;
  checks: number;
  wrongMoves: number;
  overloads: number;
  worstLoad: number;
  maxAwayMs: number;
  switches: number;
  waves: number;
  halts: number;
  readonly repeats: number[];
  readonly held: { budget: number; confirm: number; cooldown: number };
}

export const campaign = {
  name: 'simulate',
  summary: 'seeded worlds of agents, managers, publishers and faults against the invariants',
  usage:
    'simulate [--short] [--seed N] [--seeds M | --failovers F] [--strict]   (default: 100000 failovers)',

  /** Exit code 0 when every seed keeps every invariant, else 1 after a minimised schedule. */
  async run(args: readonly string[], print: (line: string) => void): Promise<number> {
    const { values } = parseArgs({
      args: [...args],
      options: {
        short: { type: 'boolean', default: false },
        strict: { type: 'boolean', default: false },
        seed: { type: 'string', default: '1' },
        seeds: { type: 'string' },
        failovers: { type: 'string' },
      },
    });
    const maxSeeds = values.seeds ?? (values.short ? '4' : undefined);
    const wanted = Number(values.failovers ?? (maxSeeds === undefined ? 100_000 : Infinity));
    const fixed = { isStrict: values.strict };
    const parts: SeedParts = { logic: productLogic, replaceOps: await recordReplaceOps(), fixed };
    const totals = noTotals();
    const startMs = performance.now();
    const first = Number(values.seed);
    const last = first + Number(maxSeeds ?? 1_000_000);
    for (let seed = first; seed < last && failoversOf(totals) < wanted; seed += 1) {
      for (const one of worldsOf(seed, parts)) {
        const outcome = runSeed(seed, one);
        add(totals, outcome, one);
        if (outcome.violations.length > 0) return tellFailure(outcome, one, print);
      }
      if (seed % 50 === 0) print(`seed ${seed}: ${failoversOf(totals)} failovers`);
    }
    tellTotals(totals, performance.now() - startMs, print);
    return herdIsCalm(totals, print) ? 0 : 1;
  },
};

/** A big fleet is played twice, the second time behind relays. */
function worldsOf(seed: number, parts: SeedParts): readonly SeedParts[] {
  const isBig = settingsOfSeed(seed, parts.fixed).agents >= bigFleet;
  return isBig ? [parts, { ...parts, fixed: { ...parts.fixed, hasRelay: true } }] : [parts];
}

function noTotals(): Totals {
  const none = (): Group => ({ seeds: 0, failovers: 0, attempts: 0, moved: 0, movedKnocks: 0 });
  const held = { budget: 0, confirm: 0, cooldown: 0 };
  const zero = { events: 0, checks: 0, wrongMoves: 0, overloads: 0, worstLoad: 0, maxAwayMs: 0 };
  const more = { switches: 0, waves: 0, halts: 0, repeats: [0, 0, 0, 0] };
  return { withPublisher: none(), without: none(), bigRelayed: none(), held, ...zero, ...more };
}

/** Twins come on top. */
function failoversOf({ withPublisher, without }: Totals): number {
  return withPublisher.failovers + without.failovers;
}

function add(totals: Totals, outcome: Outcome, parts: SeedParts): void {
  const { stats } = outcome;
  const { hasPublisher, hasRelay, agents } = settingsOfSeed(outcome.seed, parts.fixed);
  const led = hasPublisher ? totals.withPublisher : totals.without;
  const group = hasRelay && agents >= bigFleet ? totals.bigRelayed : led;
  group.seeds += 1;
  group.failovers += stats.failovers;
  group.attempts += stats.attempts;
  group.moved += stats.moved;
  group.movedKnocks += stats.movedKnocks;
  stats.repeats.forEach((count, fate) => {
    totals.repeats[fate] = (totals.repeats[fate] ?? 0) + count;
  });
  totals.switches += stats.switches;
  totals.waves += stats.waves;
  totals.halts += stats.halts;
  totals.events += stats.events;
  totals.checks += stats.checks;
  totals.wrongMoves += stats.wrongMoves;
  totals.overloads += stats.overloads;
  totals.maxAwayMs = Math.max(totals.maxAwayMs, stats.maxAwayMs);
  if (hasPublisher) {
    const loads = outcome.doors.map(({ peakLoad }) => peakLoad);
    totals.worstLoad = Math.max(totals.worstLoad, ...loads);
  }
  totals.held.budget += stats.held.budget;
  totals.held.confirm += stats.held.confirm;
  totals.held.cooldown += stats.held.cooldown;
}

function perFailover({ attempts, failovers }: Group): number {
  return attempts / Math.max(1, failovers);
}

function perMove({ movedKnocks, moved }: Group): number {
  return movedKnocks / Math.max(1, moved);
}

/** G6: who fails over knocks about once. */
function herdIsCalm(
  { withPublisher, without, bigRelayed }: Totals,
  print: (line: string) => void,
): boolean {
  const led = Math.max(perFailover(withPublisher), perMove(withPublisher));
  const alone = Math.max(
    ...[without, bigRelayed].flatMap((one) => [perFailover(one), perMove(one)]),
  );
  const isCalm = led <= 1.05 && alone <= 4;
  if (!isCalm) print('VIOLATION of G6: too many attempts per failover');
  return isCalm;
}

function tellTotals(totals: Totals, wallMs: number, print: (line: string) => void): void {
  const { withPublisher, without, bigRelayed, held } = totals;
  const { budget, confirm, cooldown } = held;
  const attempts = (group: Group): string =>
    `${perFailover(group).toFixed(3)} connections (${group.failovers} failovers in ${group.seeds} seeds)`;
  const moves = (group: Group): string =>
    `${perMove(group).toFixed(3)} handshakes, SYNs sent again included (${group.moved} of them)`;
  const rows: readonly (readonly [string, string | number])[] = [
    ['seeds', `${withPublisher.seeds + without.seeds}, and ${bigRelayed.seeds} twins with relays`],
    ['events', `${totals.events} (${Math.round((totals.events / wallMs) * 1000)} a second)`],
    ['failovers', failoversOf(totals)],
    ['agents stranded', `0 at ${totals.checks} checks of a world at peace`],
    ['away then by our own bounds', `${budget} budget, ${confirm} confirm, ${cooldown} cooldown`],
    ['agent away at most', `${(totals.maxAwayMs / 1000).toFixed(1)} s, the fault itself included`],
    ['each, with a publisher', attempts(withPublisher)],
    ['those that we led', moves(withPublisher)],
    ['each, without', attempts(without)],
    ['those that we led', moves(without)],
    ['each, big fleets with relays', attempts(bigRelayed)],
    ['those that we led', moves(bigRelayed)],
    ['handshakes repeated', describeRepeats(totals)],
    ['worst load, with a publisher', `${totals.worstLoad.toFixed(2)} of the accept rate over 5 s`],
    ['arrivals above 1.2, without', totals.overloads],
    ['moves from a working manager', totals.wrongMoves],
    ['cuts by relays', totals.switches],
    ['waves, halts of rollouts', `${totals.waves}, ${totals.halts}`],
    ['wall time', `${(wallMs / 1000).toFixed(1)} s`],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [name, value] of rows) print(`${name.padEnd(width)}  ${value}`);
}

function tellFailure(outcome: Outcome, parts: SeedParts, print: (line: string) => void): number {
  for (const line of renderViolations(outcome)) print(line);
  const shrunk = shrinkFailure(outcome, parts);
  const faults = shrunk?.faults ?? outcome.faults;
  print(`minimised from ${outcome.faults.length} to ${faults.length} faults:`);
  for (const line of renderSchedule(faults)) print(line);
  return 1;
}
