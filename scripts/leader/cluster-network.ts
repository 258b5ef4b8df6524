/**
 * Three members of one etcd in network namespaces of their own, joined by a bridge. To be run inside a
 * fresh network namespace (`unshare --net`): nothing of it is left when the processes end. Root only.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, type StandInProcess, StandIns } from '../../test/fakes/processes.ts';
import { missingEtcd } from '../../test/leader/etcd-fixture.ts';

/** Why it cannot be had here, or undefined. */
export function missingForCluster(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  const link = ['ip', 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1'];
  if (spawnSync('unshare', ['--net', ...link], { stdio: 'ignore' }).status !== 0) {
    return 'needs network namespaces and ip';
  }
  return missingEtcd();
}

const addressOf = (index: number): string => `10.232.78.${11 + index}`;
export const urlOf = (index: number): string => `http://${addressOf(index)}:2379`;
export const urls = [0, 1, 2].map(urlOf);

export class ClusterNetwork {
  readonly #folder: string;
  readonly #standIns = new StandIns();
  readonly #anchors: StandInProcess[] = [];
  readonly members: StandInProcess[] = [];

  constructor(folder: string) {
    this.#folder = folder;
  }

  async start(): Promise<void> {
    run('ip', 'link', 'set', 'lo', 'up');
    run('ip', 'link', 'add', 'br0', 'type', 'bridge', 'forward_delay', '0');
    run('ip', 'address', 'add', '10.232.78.1/24', 'dev', 'br0');
    run('ip', 'link', 'set', 'br0', 'up');
    for (const index of [0, 1, 2]) await this.#addHost(index);
    for (const index of [0, 1, 2]) this.startMember(index);
    for (const index of [0, 1, 2]) await this.untilHealthy(index);
  }

  /** Also once more after its end: on the same data. */
  startMember(index: number): void {
    const [peers, address] = [[0, 1, 2].map((one) => `e${one}=${peerOf(one)}`), addressOf(index)];
    this.members[index] = this.#standIns.start('nsenter', [
      ...['-t', String(this.#anchors[index]?.pid), '-n'],
      ...['etcd', '--name', `e${index}`, '--data-dir', join(this.#folder, `e${index}`)],
      ...['--listen-client-urls', `http://${address}:2379,http://127.0.0.1:2379`],
      ...['--advertise-client-urls', urlOf(index), '--listen-peer-urls', peerOf(index)],
      ...['--initial-advertise-peer-urls', peerOf(index), '--initial-cluster', peers.join(',')],
      ...['--logger', 'zap', '--log-outputs', 'stderr'],
    ]);
  }

  async untilHealthy(index: number): Promise<void> {
    await eventually(`member ${index} answers`, () => isHealthy(urlOf(index)), 120_000);
  }

  /** A program on the host of a member; without one, where all of them are reached. */
  program(index: number | undefined, argv: readonly string[]): StandInProcess {
    const [command = '', ...args] = argv;
    if (index === undefined) return this.#standIns.start(command, args);
    const inside = ['-t', String(this.#anchors[index]?.pid), '-n'];
    return this.#standIns.start('nsenter', [...inside, ...argv]);
  }

  /** The member that leads, as member `index` believes. */
  async leaderOf(index: number): Promise<number> {
    const ask = async (url: string) => {
      const [signal, body] = [AbortSignal.timeout(10_000), '{}'];
      const answer = await fetch(`${url}/v3/maintenance/status`, { method: 'POST', body, signal });
      return (await answer.json()) as { header: { member_id: string }; leader: string };
    };
    const { leader } = await ask(urlOf(index));
    for (const one of [0, 1, 2]) {
      const { header } = await ask(urlOf(one));
      if (header.member_id === leader) return one;
    }
    throw new Error('no member leads');
  }

  cutOff(index: number): void {
    run('ip', 'link', 'set', `v${index}`, 'down');
  }

  joinAgain(index: number): void {
    run('ip', 'link', 'set', `v${index}`, 'up');
  }

  stop(): Promise<void> {
    return this.#standIns.stopAll();
  }

  async #addHost(index: number): Promise<void> {
    const anchor = this.#standIns.start('unshare', ['--net', 'sleep', 'infinity']);
    await eventually('its namespace is there', () => isApart(anchor.pid));
    this.#anchors[index] = anchor;
    const inside = ['nsenter', '-t', String(anchor.pid), '-n'];
    const peer = ['peer', 'name', 'eth0', 'netns', String(anchor.pid)];
    run('ip', 'link', 'add', `v${index}`, 'type', 'veth', ...peer);
    run('ip', 'link', 'set', `v${index}`, 'master', 'br0', 'up');
    run(...inside, 'ip', 'link', 'set', 'lo', 'up');
    run(...inside, 'ip', 'address', 'add', `${addressOf(index)}/24`, 'dev', 'eth0');
    run(...inside, 'ip', 'link', 'set', 'eth0', 'up');
  }
}

const peerOf = (index: number): string => `http://${addressOf(index)}:2380`;

async function isHealthy(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/health`, { signal: AbortSignal.timeout(2_000) });
    return ((await answer.json()) as { health?: string }).health === 'true';
  } catch {
    return false;
  }
}

/** In a network namespace other than ours. */
function isApart(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`) !== readlinkSync('/proc/self/ns/net');
  } catch {
    return false;
  }
}

function run(...argv: readonly string[]): void {
  const [command = '', ...args] = argv;
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
