/**
 * One move of a virtual IP while agents are connected through it: the agent's own loop and Pilotfish,
 * side by side, so that all of them meet the same move. Prints one JSON line per agent. Runs in a
 * network namespace of its own: `unshare --net node scripts/vip/play.ts --move clean`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { control } from '../../test/fakes/agent-home.ts';
import { eventually } from '../../test/fakes/processes.ts';
import { Stage } from '../demonstration/stage.ts';
import { type VipMove, VipNetwork, vip } from './network.ts';

export interface PlayResult {
  readonly subject: string;
  readonly move: string;
  /** Absent: not on the new node before the cut. */
  readonly awayS?: number;
  readonly restarts: number;
  /** Whether the sidecar said that the address moved. */
  readonly isTold: boolean;
}

interface Player {
  readonly subject: string;
  readonly agentId: string;
  readonly stage: Stage;
}

interface Status {
  readonly managers: readonly {
    readonly node?: { readonly isKnown: boolean; readonly movedAtMs?: number };
    readonly isCurrent: boolean;
  }[];
}

const relayPort = 514;

async function startPlayer(subject: string, index: number, events: string): Promise<Player> {
  const agentId = `00${index + 1}`;
  const stage = Stage.make({
    addresses: [vip],
    servers: [{ address: vip }],
    agentId,
    agentFlags: ['--events-per-second', events],
    enrollment: subject === 'relay' ? 'no' : 'yes',
  });
  control(stage.home, 'start');
  if (subject === 'native') return { subject, agentId, stage };
  await stage.startPublisher();
  const config = stage.impatientConfig({ mode: subject, stable: '1s' });
  const relay = { address: '127.0.0.1', port: relayPort };
  stage.writeSidecarConfig(subject === 'relay' ? { ...config, relay } : config);
  stage.join();
  stage.startSidecar();
  return { subject, agentId, stage };
}

/** In use and known: a move is only seen by who knew the node before. */
async function isReady({ subject, stage }: Player): Promise<boolean> {
  if (subject === 'native') return true;
  if (subject === 'relay' && !stage.home.readLog().includes('[127.0.0.1]')) return false;
  const status = await stage.sidecarJson<Status>('status').catch(() => undefined);
  return status?.managers.some(({ node, isCurrent }) => node?.isKnown && isCurrent) === true;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      move: { type: 'string', default: 'clean' },
      subjects: { type: 'string', default: 'native,agentd,relay' },
      events: { type: 'string', default: '2' },
      cut: { type: 'string', default: '120' },
    },
  });
  const folder = mkdtempSync(join(tmpdir(), 'pf-vip-'));
  const network = new VipNetwork(folder);
  const players: Player[] = [];
  try {
    await network.start();
    for (const [index, subject] of values.subjects.split(',').entries()) {
      players.push(await startPlayer(subject, index, values.events));
    }
    const [old, next] = network.hosts;
    for (const player of players) {
      await eventually(`${player.subject} is ready`, () => isReady(player), 90_000);
      await old?.manager.waitFor({ event: 'agent_connected', agent: player.agentId });
    }
    const pids = players.map(({ stage }) => stage.home.pids.join());
    const atMs = network.move(values.move as VipMove);
    await Promise.all(
      players.map(async ({ subject, agentId, stage }, index) => {
        const shape = { event: 'agent_connected', agent: agentId };
        const withinMs = Number(values.cut) * 1_000;
        const found = await next?.manager.waitFor(shape, { withinMs }).catch(() => undefined);
        const isTold = await toldMove(subject, stage);
        tell({
          ...{ subject, move: values.move, isTold },
          ...(found === undefined ? {} : { awayS: (found.atMs - atMs) / 1_000 }),
          restarts: stage.home.pids.join() === pids[index] ? 0 : 1,
        });
      }),
    );
  } finally {
    for (const { stage } of players) await stage.stop();
    await network.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** An agent that helped itself may be back before the sidecar has asked who answers. */
async function toldMove(subject: string, stage: Stage): Promise<boolean> {
  if (subject === 'native') return false;
  const isTold = async () => {
    const status = await stage.sidecarJson<Status>('status').catch(() => undefined);
    return status?.managers.some(({ node }) => node?.movedAtMs !== undefined);
  };
  return eventually('the move is told', isTold, 20_000).then(
    () => true,
    () => false,
  );
}

function tell(result: PlayResult): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

main().then(
  () => process.exit(0),
  (thrown: unknown) => {
    process.stderr.write(`${thrown instanceof Error ? thrown.stack : String(thrown)}\n`);
    process.exit(1);
  },
);
