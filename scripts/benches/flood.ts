/**
 * A running publisher with a fleet, hostile sockets from a process of their own, and one good client:
 * how long its questions take, quiet and flooded. Goal: p99 of 200 ms with 4 000 hostile sockets.
 */
import { fork } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { freePort } from '../../test/fakes/processes.ts';
import { makeFleet, mintToken, serveFleet } from '../../test/web/fixture.ts';
import { type Bench, type Row, rowOf } from '../bench.ts';
import { type Asked, askAll } from '../flood/good.ts';

const hostilePath = fileURLToPath(new URL('../flood/hostile.ts', import.meta.url));

export const bench: Bench = {
  name: 'flood',
  summary: 'answers to a good client beside thousands of hostile sockets',
  async run(args, note) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        sockets: { type: 'string', default: '4000' },
        agents: { type: 'string', default: '10000' },
        questions: { type: 'string', default: '600' },
      },
    });
    const scratch = mkdtempSync(join(tmpdir(), 'pf-flood-'));
    const port = await freePort('127.0.0.1');
    const agents = Number(values.agents);
    const fleet = await makeFleet(join(scratch, 'p'), { port, managers: 3, agents });
    const serving = await serveFleet(fleet);
    try {
      const token = await mintToken(fleet, 'read');
      const good = { port, token, questions: Number(values.questions), pauseMs: 30 };
      const quiet = await askAll(good);
      const hostile = await startHostile(port, Number(values.sockets), note);
      const before = memoryOf(serving.pid);
      const flooded = await askAll(good);
      const after = memoryOf(serving.pid);
      note(`hostile: ${JSON.stringify(hostile.state())}`);
      hostile.stop();
      note(`publisher: ${before} MB, then ${after} MB`);
      const label = `${values.sockets} hostile sockets`;
      return [...rowsOf('quiet', quiet), ...rowsOf(label, flooded)];
    } finally {
      await serving.stop();
      rmSync(scratch, { recursive: true, force: true });
    }
  },
};

interface Hostile {
  state(): object;
  stop(): void;
}

/** Once nine in ten of them stand, or half a minute has passed. */
async function startHostile(
  port: number,
  count: number,
  note: (line: string) => void,
): Promise<Hostile> {
  const child = fork(hostilePath, [`${port}`, `${count}`, '96']);
  let state = { open: 0 };
  child.on('message', (message) => {
    state = message as typeof state;
  });
  const endMs = performance.now() + 30_000;
  while (state.open < count * 0.9 && performance.now() < endMs) {
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  note(`hostile: ${JSON.stringify(state)}`);
  return { state: () => state, stop: () => void child.kill('SIGKILL') };
}

function memoryOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024);
}

function rowsOf(name: string, asked: readonly Asked[]): readonly Row[] {
  const took = asked.map(({ tookMs }) => tookMs).sort((left, right) => left - right);
  const at = (share: number): number =>
    took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? 0;
  const missed = asked.filter(({ status }) => status !== 200).length;
  const again = asked.filter((one) => one.again > 0).length;
  const row = (metric: string, unit: string, value: number): Row => ({
    ...rowOf({ subject: 'good client', case: name, metric, unit }, [value]),
    n: asked.length,
  });
  return [
    ...(['p50', 'p95', 'p99'] as const).map((metric) =>
      row(metric, 'ms', at(Number(metric.slice(1)) / 100)),
    ),
    row('max', 'ms', took.at(-1) ?? 0),
    row('asked again', 'questions', again),
    row('not answered', 'questions', missed),
  ];
}
