/**
 * How long an agent is without a manager when the one in use is refused (killed), hung (SIGSTOP),
 * blackholed (packets dropped), hung while 400 KB/s of events flow, or drained: the agent's own
 * loop, load balancers and Pilotfish, the same stand-ins, one run. Native rows run once and beside
 * the others; the longest takes 15 minutes, nearly all of it waiting. Lost is an event that the agent
 * wrote and no manager's process took in: managers tell of each one as they take it, so that a killed
 * one hides none. What then is lost was in its kernel, or written before the cut reached the agent.
 */
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { canBlackhole } from '../../test/fakes/blackhole.ts';
import { alignColumns, type Bench, digits, type Row, rowOf } from '../bench.ts';
import type { Stage } from '../demonstration/stage.ts';
import { allFaults, type Fault } from '../failover/faults.ts';
import { measure, type Outcome } from '../failover/measure.ts';
import { type Subject, subjects, wedgeCutS } from '../failover/subjects.ts';

const help = `usage: npm run bench -- failover [--subjects a,b] [--faults a,b] [--runs 5] [--native-cut 960] [--wait-for PATH]
subjects: ${subjects.map(({ name }) => name).join(', ')}
faults: ${allFaults.join(', ')}
--native-cut N   give up on a native loop after N seconds
--wait-for PATH  only native loops until this file is there: the machine is quiet then`;

/** Repeated side by side. */
const slowS = 30;
const firstIndex = 20;
const stageAddresses = 3;
const awayMetric = 'agent away';
const cutMetric = 'agent away, at least';

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

/** One run after the other, but no more of those that take a minute each. Whatever was measured. */
async function runCase(
  one: Case,
  stage: Stage | undefined,
  note: (line: string) => void,
): Promise<readonly Outcome[]> {
  if (stage === undefined) return [];
  const { subject, fault } = one;
  const outcomes: Outcome[] = [];
  try {
    while (outcomes.length < one.runs && !outcomes.some(isSlow)) {
      await subject.ready(stage);
      const outcome = await measure(stage, fault, one.cutS);
      outcomes.push(outcome);
      const lost = outcome.eventsLost === undefined ? '' : `, ${outcome.eventsLost} events lost`;
      note(
        `${subject.name} ${fault}: ${outcome.awayS?.toFixed(2) ?? `not in ${one.cutS}`} s${lost}`,
      );
    }
  } catch (thrown) {
    note(`${subject.name} ${fault}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    note(stage.sidecar?.errors.slice(-2_000) ?? '');
  } finally {
    await stage.stop();
  }
  return outcomes;
}

function isSlow({ awayS }: Outcome): boolean {
  return awayS === undefined || awayS > slowS;
}

interface Measured {
  readonly one: Case;
  readonly outcomes: readonly Outcome[];
}

/** The cases of a subject, one after the other. */
async function runLane(
  lane: readonly Case[],
  note: (line: string) => void,
): Promise<readonly Measured[]> {
  const measured: Measured[] = [];
  for (const one of lane) {
    measured.push({ one, outcomes: await runCase(one, await raise(one, note), note) });
  }
  return measured;
}

/** What takes a minute each time: its other runs, side by side. */
async function runRest(
  lane: readonly Measured[],
  nextIndex: () => number,
  note: (line: string) => void,
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const { one, outcomes } of lane) {
    const left = outcomes.some(isSlow) ? one.runs - outcomes.length : 0;
    const beside = Array.from({ length: left }, () => ({ ...one, runs: 1, index: nextIndex() }));
    const more = await Promise.all(
      beside.map(async (single) => runCase(single, await raise(single, note), note)),
    );
    rows.push(...rowsOf(one, [...outcomes, ...more.flat()]));
  }
  return rows;
}

function rowsOf({ subject, fault, cutS }: Case, outcomes: readonly Outcome[]): readonly Row[] {
  if (outcomes.length === 0) return [];
  const labels = { subject: subject.name, case: fault } as const;
  const isCut = outcomes.some(({ awayS }) => awayS === undefined);
  const metric = isCut ? cutMetric : awayMetric;
  const away = outcomes.map(({ awayS }) => awayS ?? cutS);
  const lost = outcomes.flatMap(({ eventsLost }) => eventsLost ?? []);
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
      'wait-for': { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    note(help);
    return [];
  }
  const cases = casesOf(values, note);
  let index = firstIndex + stageAddresses * cases.length;
  const nextIndex = (): number => {
    index += stageAddresses;
    return index - stageAddresses;
  };
  const native = cases.filter(({ subject }) => !subject.repeats);
  const others = cases.filter(({ subject }) => subject.repeats);
  const slow: Promise<readonly Row[]>[] = [];
  for (const one of native) {
    const stage = await raise(one, note); // its faults go on beside the others
    slow.push(runCase(one, stage, note).then((outcomes) => rowsOf(one, outcomes)));
  }
  await isThere(values['wait-for']);
  const lanes = [...Map.groupBy(others, ({ subject }) => subject.lane).values()];
  const measured = await Promise.all(lanes.map((lane) => runLane(lane, note)));
  note('the slow runs again, side by side');
  const rows = await Promise.all(measured.map((lane) => runRest(lane, nextIndex, note)));
  note('all but the native loops are done');
  return [...(await Promise.all(slow)).flat(), ...rows.flat()];
}

async function isThere(path: string | undefined): Promise<void> {
  while (path !== undefined && !existsSync(path)) {
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** One line for a subject and a fault. */
function render(rows: readonly Row[]): string {
  const lines = Map.groupBy(rows, (row) => `${row.subject} ${row.case}`);
  const cells = [...lines.values()].map((line) => {
    const figure = (metric: string): string => {
      const row = line.find((one) => one.metric === metric);
      if (row === undefined) return '-';
      return row.n === 1 ? digits(row.median) : `${digits(row.median)} (${digits(row.max)})`;
    };
    const [first] = line;
    const isCut = line.some(({ metric }) => metric === cutMetric);
    return [
      first?.subject ?? '',
      first?.case ?? '',
      String(first?.n ?? 0),
      isCut ? `>= ${figure(cutMetric)}` : figure(awayMetric),
      ...['events lost', 'connections', 'restarts'].map(figure),
    ];
  });
  const header = ['subject', 'fault', 'n', 'away s', 'events lost', 'reconnects', 'restarts'];
  return `median (max)\n${alignColumns([header, ...cells], 2)}`;
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
        index: firstIndex + stageAddresses * cases.length,
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
  render,
};
