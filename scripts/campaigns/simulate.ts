/** Seeded worlds until the count is reached or an invariant breaks; then a minimised schedule. */
import { parseArgs } from 'node:util';
import {
  runSeed,
  type SeedParts,
  settingsOfSeed,
  shrinkFailure,
} from '../../src/simulation/campaign.ts';
import { productLogic } from '../../src/simulation/logic.ts';
import type { Outcome } from '../../src/simulation/outcome.ts';
import { recordReplaceOps } from '../../src/simulation/replace-trace.ts';
import { renderSchedule, renderViolations } from '../../src/simulation/table.ts';

interface Group {
  seeds: number;
  failovers: number;
  attempts: number;
}

interface Totals {
  readonly withPublisher: Group;
  readonly without: Group;
  events: number;
  checks: number;
  wrongMoves: number;
  overloads: number;
  worstLoad: number;
  maxAwayMs: number;
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
      const outcome = runSeed(seed, parts);
      add(totals, outcome, parts);
      if (outcome.violations.length > 0) return tellFailure(outcome, parts, print);
      if (seed % 50 === 0) print(`seed ${seed}: ${failoversOf(totals)} failovers`);
    }
    tellTotals(totals, performance.now() - startMs, print);
    return herdIsCalm(totals, print) ? 0 : 1;
  },
};

function noTotals(): Totals {
  const none = (): Group => ({ seeds: 0, failovers: 0, attempts: 0 });
  const held = { budget: 0, confirm: 0, cooldown: 0 };
  const zero = { events: 0, checks: 0, wrongMoves: 0, overloads: 0, worstLoad: 0, maxAwayMs: 0 };
  return { withPublisher: none(), without: none(), held, ...zero };
}

function failoversOf({ withPublisher, without }: Totals): number {
  return withPublisher.failovers + without.failovers;
}

function add(totals: Totals, outcome: Outcome, parts: SeedParts): void {
  const { stats } = outcome;
  const { hasPublisher } = settingsOfSeed(outcome.seed, parts.fixed);
  const group = hasPublisher ? totals.withPublisher : totals.without;
  group.seeds += 1;
  group.failovers += stats.failovers;
  group.attempts += stats.attempts;
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

/** G6: who fails over knocks about once. */
function herdIsCalm({ withPublisher, without }: Totals, print: (line: string) => void): boolean {
  const isCalm = perFailover(withPublisher) <= 1.05 && perFailover(without) <= 4;
  if (!isCalm) print('VIOLATION of G6: too many attempts per failover');
  return isCalm;
}

function tellTotals(totals: Totals, wallMs: number, print: (line: string) => void): void {
  const { withPublisher, without, held } = totals;
  print(`seeds                        ${withPublisher.seeds + without.seeds}`);
  print(
    `events                       ${totals.events} (${Math.round((totals.events / wallMs) * 1000)} a second)`,
  );
  print(`failovers                    ${failoversOf(totals)}`);
  print(
    `attempts, with a publisher   ${perFailover(withPublisher).toFixed(3)} (${withPublisher.failovers} failovers)`,
  );
  print(
    `attempts, without            ${perFailover(without).toFixed(3)} (${without.failovers} failovers)`,
  );
  print(`worst load, with a publisher ${totals.worstLoad.toFixed(2)} of the accept rate over 5 s`);
  print(`above 1.2, no publisher      ${totals.overloads} arrivals`);
  print(`moves from a working manager ${totals.wrongMoves}`);
  print(`checks at peace              ${totals.checks}, agents stranded: 0`);
  print(
    `away then by our own bounds  ${held.budget} budget, ${held.confirm} confirm, ${held.cooldown} cooldown`,
  );
  print(`wall time                    ${(wallMs / 1000).toFixed(1)} s`);
}

function tellFailure(outcome: Outcome, parts: SeedParts, print: (line: string) => void): number {
  for (const line of renderViolations(outcome)) print(line);
  const shrunk = shrinkFailure(outcome, parts);
  const faults = shrunk?.faults ?? outcome.faults;
  print(`minimised from ${outcome.faults.length} to ${faults.length} faults:`);
  for (const line of renderSchedule(faults)) print(line);
  return 1;
}
