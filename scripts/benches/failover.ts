/**
 * Agent-away time when the manager in use is refused (killed), hung (SIGSTOP) or blackholed
 * (packets dropped): the agent's own loop with default settings beside Pilotfish, the same
 * stand-ins, one run. The native rows take up to 15 minutes and run beside the others.
 */
import { parseArgs } from 'node:util';
import { control } from '../../test/fakes/agent-home.ts';
import { Blackhole, canBlackhole } from '../../test/fakes/blackhole.ts';
import { ownAddress } from '../../test/fakes/processes.ts';
import { type Bench, type Row, rowOf } from '../bench.ts';
import { currentSession, sessionSince } from '../demonstration/acts.ts';
import { Stage, type StageManager } from '../demonstration/stage.ts';

type Fault = 'refused' | 'hung' | 'blackholed';

const allFaults: readonly Fault[] = ['refused', 'hung', 'blackholed'];

interface Injected {
  heal(): Promise<void>;
}

async function inject(stage: Stage, manager: StageManager, fault: Fault): Promise<Injected> {
  if (fault === 'hung') {
    manager.process.stop();
    return { heal: async () => manager.process.cont() };
  }
  if (fault === 'refused') {
    await manager.process.kill();
    return { heal: () => stage.revive(manager) };
  }
  const hole = new Blackhole(manager.address);
  hole.open();
  return { heal: async () => hole.close() };
}

/** Seconds until another manager has the agent, or undefined after `cutS`. */
async function measure(stage: Stage, fault: Fault, cutS: number): Promise<number | undefined> {
  const { manager } = await currentSession(stage);
  const sinceMs = Date.now();
  const injected = await inject(stage, manager, fault);
  let awayS: number | undefined;
  while (awayS === undefined && Date.now() - sinceMs < cutS * 1_000) {
    const found = sessionSince(stage, sinceMs, manager);
    if (found !== undefined) awayS = (found.atMs - sinceMs) / 1_000;
    else await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await injected.heal();
  return awayS;
}

/** The agent's own loop, two servers, everything as shipped. */
async function native(index: number, fault: Fault, cutS: number): Promise<Row> {
  const addresses = [ownAddress(index), ownAddress(index + 1)];
  const stage = Stage.make({ addresses, servers: addresses });
  try {
    await stage.startManagers();
    control(stage.home, 'start');
    const awayS = await measure(stage, fault, cutS);
    const metric = awayS === undefined ? 'agent away, cut' : 'agent away';
    return rowOf({ subject: 'native', case: fault, metric, unit: 's' }, [awayS ?? cutS]);
  } finally {
    await stage.stop();
  }
}

async function pilotfish(
  index: number,
  fault: Fault,
  runs: number,
  note: (line: string) => void,
): Promise<readonly Row[]> {
  const addresses = [ownAddress(index), ownAddress(index + 1)];
  const stage = Stage.make({ addresses, servers: addresses });
  try {
    await stage.startManagers();
    await stage.startPublisher();
    control(stage.home, 'start');
    stage.writeSidecarConfig(stage.impatientConfig());
    stage.join();
    stage.startSidecar();
    const samples: number[] = [];
    const restarts: number[] = [];
    for (let run = 0; run < runs; run++) {
      await stage.allSeenUp();
      const pidsBefore = stage.home.pids.join();
      const awayS = await measure(stage, fault, 120);
      if (awayS === undefined) throw new Error(`${fault}: not back within 120 s`);
      samples.push(awayS);
      restarts.push(stage.home.pids.join() === pidsBefore ? 0 : 1);
      note(`pilotfish-agentd ${fault}: ${awayS.toFixed(2)} s`);
    }
    const labels = { subject: 'pilotfish-agentd', case: fault } as const;
    return [
      rowOf({ ...labels, metric: 'agent away', unit: 's' }, samples),
      rowOf({ ...labels, metric: 'restarts', unit: '1' }, restarts),
    ];
  } finally {
    await stage.stop();
  }
}

async function run(args: readonly string[], note: (line: string) => void): Promise<readonly Row[]> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: 'string', default: '5' },
      faults: { type: 'string', default: allFaults.join() },
      'native-cut': { type: 'string', default: '960' },
    },
  });
  const blocked = canBlackhole();
  if (blocked !== undefined) note(`blackholed left out: ${blocked}`);
  const faults = allFaults
    .filter((fault) => values.faults.split(',').includes(fault))
    .filter((fault) => fault !== 'blackholed' || blocked === undefined);
  const cutS = Number(values['native-cut']);
  const natives = faults.map((fault, index) =>
    cutS > 0 ? native(20 + 2 * index, fault, cutS) : undefined,
  );
  const rows: Row[] = [];
  for (const [index, fault] of faults.entries()) {
    rows.push(...(await pilotfish(40 + 2 * index, fault, Number(values.runs), note)));
  }
  if (cutS > 0) note('waiting for the native rows (refused 50 s, hung 7 min, blackholed 15 min)');
  for (const row of await Promise.all(natives)) if (row !== undefined) rows.unshift(row);
  return rows;
}

export const bench: Bench = {
  name: 'failover',
  summary:
    'agent-away time for refused, hung and blackholed managers: native loop beside Pilotfish',
  run,
};
