/**
 * How long an agent is without a manager when the one in use is refused (killed), hung (SIGSTOP),
 * blackholed (packets dropped), hung while 400 KB/s of events flow, or drained: the agent's own
 * loop, load balancers and Pilotfish, the same stand-ins, one run. Native rows run once and beside
 * the others; the longest takes 15 minutes.
 */
import { parseArgs } from 'node:util';
import { canBlackhole } from '../../test/fakes/blackhole.ts';
import { type Bench, type Row, rowOf } from '../bench.ts';
import type { Stage } from '../demonstration/stage.ts';
import { allFaults, type Fault } from '../failover/faults.ts';
import { measure, type Outcome } from '../failover/measure.ts';
import { type Subject, subjects, wedgeCutS } from '../failover/subjects.ts';

const help = `usage: npm run bench -- failover [--subjects a,b] [--faults a,b] [--runs 5] [--native-cut 960]
subjects: ${subjects.map(({ name }) => name).join(', ')}
faults: ${allFaults.join(', ')}
--native-cut N   give up on a native loop after N seconds`;

const slowS = 30;

interface Case {
  readonly subject: Subject;
  readonly fault: Fault;
  /** First of the three loopback addresses of this stage. */
  readonly index: number;
  readonly runs: number;
  readonly cutS: number;
}

/** Undefined, and told, when the stage does not stand: one case less, the others go on. */
async function raise(
  { subject, fault, index }: Case,
  note: (line: string) => void,
): Promise<Stage | undefined> {
  try {
    return await subject.setUp(fault, index);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    note(`${subject.name} ${fault}: the stage does not stand: ${why}`);
    return undefined;
  }
}

async function runCase(
  one: Case,
  stage: Stage | undefined,
  note: (line: string) => void,
): Promise<readonly Row[]> {
  if (stage === undefined) return [];
  const { subject, fault } = one;
  const outcomes: Outcome[] = [];
  try {
    for (let run = 0; run < one.runs; run++) {
      await subject.ready(stage);
      const outcome = await measure(stage, fault, one.cutS);
      outcomes.push(outcome);
      note(`${subject.name} ${fault}: ${outcome.awayS?.toFixed(2) ?? `not in ${one.cutS}`} s`);
      // What takes a minute each time is known after two.
      if (outcome.awayS === undefined || (outcome.awayS > slowS && run > 0)) break;
    }
  } catch (thrown) {
    note(`${subject.name} ${fault}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    note(stage.sidecar?.errors.slice(-2_000) ?? '');
  } finally {
    await stage.stop();
  }
  return rowsOf(one, outcomes);
}

function rowsOf({ subject, fault, cutS }: Case, outcomes: readonly Outcome[]): readonly Row[] {
  if (outcomes.length === 0) return [];
  const labels = { subject: subject.name, case: fault } as const;
  const isCut = outcomes.some(({ awayS }) => awayS === undefined);
  const metric = isCut ? 'agent away, at least' : 'agent away';
  const away = outcomes.map(({ awayS }) => awayS ?? cutS);
  // A restarted agent counts its events anew: there the sum says nothing.
  const lost = outcomes.flatMap(({ eventsLost, restarts }) =>
    eventsLost === undefined || restarts > 0 ? [] : [eventsLost],
  );
  return [
    rowOf({ ...labels, metric, unit: 's' }, away),
    rowOf(
      { ...labels, metric: 'restarts', unit: '1' },
      outcomes.map(({ restarts }) => restarts),
    ),
    rowOf(
      { ...labels, metric: 'connections', unit: '1' },
      outcomes.map((one) => one.connections),
    ),
    ...(lost.length > 0 ? [rowOf({ ...labels, metric: 'events lost', unit: '1' }, lost)] : []),
  ];
}

async function run(args: readonly string[], note: (line: string) => void): Promise<readonly Row[]> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      subjects: { type: 'string', default: subjects.map(({ name }) => name).join() },
      faults: { type: 'string', default: allFaults.join() },
      runs: { type: 'string', default: '5' },
      'native-cut': { type: 'string', default: '960' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    note(help);
    return [];
  }
  const cases = casesOf(values, note);
  const slow: Promise<readonly Row[]>[] = [];
  for (const one of cases.filter(({ subject }) => !subject.repeats)) {
    slow.push(runCase(one, await raise(one, note), note)); // its faults go on beside the others
  }
  const rows: Row[] = [];
  for (const one of cases.filter(({ subject }) => subject.repeats)) {
    rows.push(...(await runCase(one, await raise(one, note), note)));
  }
  return [...(await Promise.all(slow)).flat(), ...rows];
}

function casesOf(
  values: Readonly<Record<'subjects' | 'faults' | 'runs' | 'native-cut', string>>,
  note: (line: string) => void,
): readonly Case[] {
  const blocked = canBlackhole();
  if (blocked !== undefined) note(`blackholed left out: ${blocked}`);
  const cases: Case[] = [];
  for (const subject of subjects.filter(({ name }) => values.subjects.split(',').includes(name))) {
    const missing = subject.missing();
    if (missing !== undefined) note(`${subject.name} left out: ${missing}`);
    if (missing !== undefined) continue;
    for (const fault of allFaults.filter((one) => values.faults.split(',').includes(one))) {
      if (!subject.faces(fault) || (fault === 'blackholed' && blocked !== undefined)) continue;
      const longest = subject.repeats ? subject.cutS : Number(values['native-cut']);
      cases.push({
        subject,
        fault,
        index: 20 + 3 * cases.length,
        runs: subject.repeats ? Number(values.runs) : 1,
        cutS: fault === 'hung+events' ? Math.min(longest, wedgeCutS) : longest,
      });
    }
  }
  return cases;
}

export const bench: Bench = {
  name: 'failover',
  summary: 'agent-away time per fault: native loop, load balancers, Pilotfish, side by side',
  run,
};
