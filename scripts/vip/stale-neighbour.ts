/**
 * keepalived moves a virtual IP while this host keeps a wrong neighbour entry for it: what the sidecar
 * says, what it leaves alone, and that it is quiet again once somebody mended the entry. Prints one
 * JSON line. Runs in a network namespace of its own: `unshare --net node scripts/vip/stale-neighbour.ts`.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { control } from '../../test/fakes/agent-home.ts';
import { eventually } from '../../test/fakes/processes.ts';
import { Stage } from '../demonstration/stage.ts';
import { VipNetwork, vip } from './network.ts';

export interface StaleResult {
  readonly alarms: readonly string[];
  /** The hardware address of the node that the virtual IP has left. */
  readonly oldMac: string;
  /** The entry when the alarm was raised: `ip neigh show`. */
  readonly entry: string;
}

interface Status {
  readonly alarms: readonly { readonly text: string }[];
  readonly managers: readonly {
    readonly id: string;
    readonly verdict: string;
    readonly isCurrent: boolean;
    readonly node?: { readonly isKnown: boolean };
  }[];
}

const withinMs = 120_000;
const run = (...argv: readonly string[]): string =>
  execFileSync(argv[0] ?? '', argv.slice(1), { encoding: 'utf8' });
const entry = (): string => run('ip', 'neigh', 'show', vip).trim();

/** What the running sidecar wrote last; undefined before the first time. */
function statusOf(stage: Stage): Status | undefined {
  try {
    return JSON.parse(readFileSync(`${stage.directory}/state/status.json`, 'utf8')) as Status;
  } catch {
    return undefined;
  }
}

async function play(network: VipNetwork, stage: Stage): Promise<StaleResult> {
  const managers = () => statusOf(stage)?.managers ?? [];
  const alarms = () => statusOf(stage)?.alarms.map(({ text }) => text) ?? [];
  await eventually(
    'the node behind the virtual IP is in use and known',
    () => managers().some(({ node, isCurrent }) => isCurrent && node?.isKnown === true),
    withinMs,
  );
  const oldMac = /lladdr (\S+)/.exec(entry())?.[1] ?? '';
  run('ip', 'neigh', 'replace', vip, 'lladdr', oldMac, 'dev', 'br0', 'nud', 'permanent');
  network.move('clean');
  const stale = await eventually(
    'the stale entry is told, with whose it is',
    () => {
      const told = alarms();
      return told.some((one) => one.includes('which is wm-2: a stale neighbour entry')) && told;
    },
    withinMs,
  );
  const then = entry();
  run('ip', 'neigh', 'del', vip, 'dev', 'br0');
  await eventually(
    'nothing is told once the entry is mended',
    () => !alarms().some((one) => one.includes('stale neighbour')),
    withinMs,
  );
  return { alarms: stale, oldMac, entry: then };
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'pf-vip-'));
  const network = new VipNetwork(folder);
  let stage: Stage | undefined;
  try {
    await network.start();
    // The second is the first node's own address, where the virtual IP was.
    stage = Stage.make({ addresses: [vip, '10.231.77.11'], servers: [{ address: vip }] });
    control(stage.home, 'start');
    await stage.startPublisher();
    stage.writeSidecarConfig(stage.impatientConfig({ mode: 'agentd', stable: '1s' }));
    stage.join();
    stage.startSidecar();
    process.stdout.write(`${JSON.stringify(await play(network, stage))}\n`);
  } finally {
    await stage?.stop();
    await network.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

main().then(
  () => process.exit(0),
  (thrown: unknown) => {
    process.stderr.write(`${thrown instanceof Error ? thrown.stack : String(thrown)}\n`);
    process.exit(1);
  },
);
