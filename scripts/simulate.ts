/**
 * `npm run simulate -- --agents 100000 --managers 8 --seed 7 --days 1 [--plot FILE.svg] [--json]`:
 * one seeded world with the real health, ranking and decision code, progress while it runs, a table
 * and a picture at the end. Exit code 1 when an invariant was violated.
 */
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { planFaults } from '../src/simulation/fault.ts';
import { productLogic } from '../src/simulation/logic.ts';
import type { Outcome } from '../src/simulation/outcome.ts';
import { renderPlot } from '../src/simulation/plot.ts';
import { recordReplaceOps } from '../src/simulation/replace-trace.ts';
import { runWorld } from '../src/simulation/run.ts';
import { defaultWorld, type WorldSettings } from '../src/simulation/settings.ts';
import {
  type Cost,
  renderSchedule,
  renderTable,
  renderViolations,
} from '../src/simulation/table.ts';
import type { World } from '../src/simulation/world.ts';

const usage = `usage: npm run simulate -- [--agents 1000] [--managers 4] [--sites 4] [--seed 1] [--days 1 | --hours N]
  [--rate R]       new sessions a second that one manager takes in (default: 25 s for a full one)
  [--fault-gap S]  mean seconds between two faults (default 1800)
  [--relay]        agents dial their sidecar's relay instead of a manager
  [--rollouts]     changes go out in waves; lists that work nowhere are among the faults
  [--no-publisher] [--no-sidecar] [--service] [--strict] [--schedule]
  [--plot FILE.svg | --no-plot] [--json]   (default: pilotfish-simulation-SEED.svg in the temporary folder)`;

const options = {
  agents: { type: 'string', default: '1000' },
  managers: { type: 'string', default: '4' },
  sites: { type: 'string', default: '4' },
  seed: { type: 'string', default: '1' },
  days: { type: 'string', default: '1' },
  hours: { type: 'string' },
  rate: { type: 'string' },
  'fault-gap': { type: 'string', default: '1800' },
  'no-publisher': { type: 'boolean', default: false },
  'no-sidecar': { type: 'boolean', default: false },
  relay: { type: 'boolean', default: false },
  rollouts: { type: 'boolean', default: false },
  service: { type: 'boolean', default: false },
  strict: { type: 'boolean', default: false },
  schedule: { type: 'boolean', default: false },
  plot: { type: 'string' },
  'no-plot': { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

function read(argv: readonly string[]) {
  return parseArgs({ args: [...argv], options, strict: true }).values;
}

type Values = ReturnType<typeof read>;

function settingsOf(values: Values): WorldSettings {
  const number = (name: string, text: string, most: number): number => {
    const value = Number(text);
    if (value > 0 && value <= most) return value;
    throw new RangeError(`--${name}: ${text}; expected: a number above 0, at most ${most}`);
  };
  const agents = number('agents', values.agents, 5_000_000);
  const managers = number('managers', values.managers, 15);
  const hours = values.hours ?? String(24 * number('days', values.days, 366));
  const durationMs = Math.round(number('hours', hours, 8_784) * 3_600_000);
  const acceptRate = number(
    'rate',
    values.rate ?? String(Math.max(30, agents / managers / 25)),
    1e6,
  );
  return {
    ...defaultWorld,
    agents,
    managers,
    sites: number('sites', values.sites, 100),
    seed: Math.floor(Number(values.seed)),
    durationMs,
    manager: { ...defaultWorld.manager, acceptRate, queue: Math.max(200, 2 * acceptRate) },
    hasPublisher: !values['no-publisher'],
    hasSidecar: !values['no-sidecar'],
    hasRelay: values.relay,
    hasRollouts: values.rollouts,
    restart: values.service ? 'service' : 'agentd',
    isStrict: values.strict,
    sampleMs: Math.max(1_000, Math.round(durationMs / 5_000)),
  };
}

function progressOf(settings: WorldSettings, startMs: number) {
  let toldMs = startMs;
  return (world: World): void => {
    const nowMs = performance.now();
    if (nowMs - toldMs < 1_000) return;
    toldMs = nowMs;
    const done = Math.floor((world.nowMs / settings.durationMs) * 100);
    const rate = Math.round((world.stats.events / (nowMs - startMs)) * 1000);
    process.stderr.write(
      `${String(done).padStart(3)} %  ${world.stats.events} events (${rate}/s)  away ${world.stats.away}  failovers ${world.stats.failovers}\n`,
    );
  };
}

function report(outcome: Outcome, values: Values, cost: Cost): void {
  if (values.json) {
    const { stats, doors, violations, seed, traceHash } = outcome;
    const { awayBins: _, ...counts } = stats;
    const away = {
      medianMs: stats.awayQuantileMs(0.5),
      p99Ms: stats.awayQuantileMs(0.99),
      maxMs: stats.maxAwayMs,
    };
    process.stdout.write(
      `${JSON.stringify({ seed, traceHash, ...cost, counts, away, doors, violations })}\n`,
    );
    return;
  }
  const lines = [
    ...(values.schedule ? renderSchedule(outcome.faults) : []),
    ...renderTable(outcome, cost),
    ...outcome.doors.map(
      (door, number) =>
        `manager m${number}: ${door.sessions} agents at the end, ${door.arrived} handshakes, ${door.dropped} dropped`,
    ),
    ...renderViolations(outcome),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

function writePlot(
  outcome: Outcome,
  { seed, sampleMs, manager }: WorldSettings,
  path?: string,
): void {
  const file = path ?? join(tmpdir(), `pilotfish-simulation-${seed}.svg`);
  writeFileSync(file, renderPlot(outcome, sampleMs, manager.acceptRate));
  process.stderr.write(`plot: ${file}\n`);
}

async function main(argv: readonly string[]): Promise<number> {
  try {
    const values = read(argv);
    if (values.help) {
      process.stdout.write(`${usage}\n`);
      return 0;
    }
    const settings = settingsOf(values);
    const faults = planFaults(settings, Number(values['fault-gap']) * 1000);
    const replaceOps = await recordReplaceOps();
    const startMs = performance.now();
    const onProgress = progressOf(settings, startMs);
    const parts = { settings, faults, replaceOps, logic: productLogic, maxViolations: 20 };
    const outcome = runWorld({ ...parts, onProgress });
    const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
    report(outcome, values, {
      wallMs: Math.round(performance.now() - startMs),
      cpuMs: Math.round((userCPUTime + systemCPUTime) / 1000),
      rssMb: maxRSS / 1024,
    });
    if (!values['no-plot']) writePlot(outcome, settings, values.plot);
    return outcome.violations.length === 0 ? 0 : 1;
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
    process.stderr.write(`${error.message}\n${usage}\n`);
    return 2;
  }
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
