/**
 * One change of a DNS record while agents are connected to the manager that it named: the agent's own
 * loop, which asks the system, and Pilotfish without a publisher, all at the same change. Prints one
 * JSON line per agent. Runs in network and mount namespaces of its own, so that the system's resolver
 * is ours: `unshare --net --mount node scripts/dns-move/play.ts --ttl 5 --old dead`.
 */
import { execFileSync } from 'node:child_process';
import { Resolver } from 'node:dns/promises';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { control } from '../../test/fakes/agent-home.ts';
import { eventually, StandIns } from '../../test/fakes/processes.ts';
import { Stage } from '../demonstration/stage.ts';

export interface MoveResult {
  readonly subject: string;
  /** From the change of the record until the new manager has the agent; absent: not before the cut. */
  readonly movedS?: number;
  /** Until the sidecar ordered a restart or a switch; absent where the relay needed none. The rest is its cost. */
  readonly orderedS?: number;
  readonly restarts: number;
}

const name = 'wm.example.test';
const [oldAddress, newAddress] = ['127.61.0.1', '127.61.0.2'] as const;

interface Player {
  readonly subject: string;
  readonly agentId: string;
  readonly stage: Stage;
}

function startPlayer(subject: string, index: number): Player {
  const agentId = `00${index + 1}`;
  const stage = Stage.make({
    addresses: [oldAddress],
    servers: [{ address: subject === 'native' ? name : oldAddress }],
    agentId,
    enrollment: subject === 'relay' ? 'no' : 'yes',
  });
  control(stage.home, 'start');
  if (subject === 'native') return { subject, agentId, stage };
  const config = stage.impatientConfig({ mode: subject, stable: '1s' });
  const relay = { address: '127.0.0.1', port: 514 };
  stage.writeSidecarConfig(subject === 'relay' ? { ...config, relay } : config);
  const constraints = join(stage.directory, 'constraints.yml');
  writeFileSync(constraints, 'cidrs: [127.0.0.0/8]\nports: [1514]\n', { mode: 0o644 });
  const joined = stage.sidecarRun('join', '--dns', name, '--constraints', constraints);
  if (joined.status !== 0) throw new Error(joined.stderr);
  stage.startSidecar();
  return { subject, agentId, stage };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      ttl: { type: 'string', default: '5' },
      old: { type: 'string', default: 'alive' },
      subjects: { type: 'string', default: 'native,agentd,relay' },
      cut: { type: 'string', default: '90' },
      wait: { type: 'string', default: '0' },
    },
  });
  const folder = mkdtempSync(join(tmpdir(), 'pf-dns-move-'));
  const standIns = new StandIns();
  const players: Player[] = [];
  const run = (...argv: readonly string[]) => execFileSync(argv[0] ?? '', argv.slice(1));
  try {
    run('ip', 'link', 'set', 'lo', 'up');
    const hosts = join(folder, 'hosts');
    writeFileSync(hosts, `${oldAddress} ${name}\n`);
    writeFileSync(join(folder, 'resolv.conf'), 'nameserver 127.0.0.1\n');
    run('mount', '--bind', join(folder, 'resolv.conf'), '/etc/resolv.conf');
    hidePackageLock(folder);
    const dnsmasq = standIns.start('dnsmasq', [
      ...['--keep-in-foreground', '--no-resolv', '--no-hosts', '--conf-file=/dev/null'],
      ...['--user=root', '--pid-file=', '--listen-address=127.0.0.1', '--local=/test/'],
      ...[`--local-ttl=${values.ttl}`, `--addn-hosts=${hosts}`],
    ]);
    const resolver = new Resolver({ timeout: 500, tries: 1 });
    resolver.setServers(['127.0.0.1']);
    const says = (address: string) => () =>
      resolver.resolve4(name).then(
        (found) => found[0] === address,
        () => false,
      );
    await eventually('dnsmasq answers', says(oldAddress));
    const flags = (id: string) => ['--name', id, '--overtake-ms', '0'];
    const before = await standIns.startManager(`${oldAddress}:1514`, flags('old'));
    const after = await standIns.startManager(`${newAddress}:1514`, flags('new'));
    for (const [index, subject] of values.subjects.split(',').entries()) {
      players.push(startPlayer(subject, index));
    }
    for (const { agentId, subject, stage } of players) {
      await before.waitFor({ event: 'agent_connected', agent: agentId });
      if (subject === 'relay') await stage.connectedThrough('127.0.0.1');
      if (subject !== 'native') await stage.allSeenUp(); // its first cycle has ended
    }
    await new Promise((resolve) => setTimeout(resolve, 3_000 + Number(values.wait) * 1_000));
    const pids = players.map(({ stage }) => stage.home.pids.join());
    writeFileSync(hosts, `${newAddress} ${name}\n`);
    const atMs = Date.now();
    dnsmasq.signal('SIGHUP');
    if (values.old === 'dead') await before.kill();
    await Promise.all(
      players.map(async ({ subject, agentId, stage }, index) => {
        const shape = { event: 'agent_connected', agent: agentId };
        const withinMs = Number(values.cut) * 1_000;
        const found = await after.waitFor(shape, { withinMs }).catch(() => undefined);
        const ordered = orderedAtMs(stage.sidecar?.errors ?? '', atMs);
        const result: MoveResult = {
          subject,
          ...(found === undefined ? {} : { movedS: (found.atMs - atMs) / 1_000 }),
          ...(ordered === undefined ? {} : { orderedS: (ordered - atMs) / 1_000 }),
          restarts: stage.home.pids.join() === pids[index] ? 0 : 1,
        };
        process.stdout.write(`${JSON.stringify(result)}\n`);
      }),
    );
  } finally {
    for (const { stage } of players) await stage.stop();
    await standIns.stopAll();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The first `move.begun` of a sidecar's log after `sinceMs`. */
function orderedAtMs(log: string, sinceMs: number): number | undefined {
  const told = [...log.matchAll(/"time":"([^"]+)","event":"move\.begun"/g)];
  return told.map(([, time = '']) => Date.parse(time)).find((atMs) => atMs >= sinceMs);
}

/** Somebody else's `apt` on this machine is none of this: agents would wait for its end. */
function hidePackageLock(folder: string): void {
  const [place, empty] = ['/var/lib/dpkg', join(folder, 'dpkg')];
  mkdirSync(empty);
  if (existsSync(place)) execFileSync('mount', ['--bind', empty, place]);
}

main().then(
  () => process.exit(0),
  (thrown: unknown) => {
    process.stderr.write(`${thrown instanceof Error ? thrown.stack : String(thrown)}\n`);
    process.exit(1);
  },
);
