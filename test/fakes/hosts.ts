/**
 * Hosts in network namespaces of their own, joined by a bridge in one more: real interfaces, real
 * routes, nothing of it in the namespace of the test, nothing left when the processes end. Root only.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { eventually, type StandInProcess, StandIns } from './processes.ts';

/** Why they cannot be had here, or undefined. */
export function missingHosts(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  const link = ['ip', 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1'];
  const { status } = spawnSync('unshare', ['--net', ...link], { stdio: 'ignore' });
  return status === 0 ? undefined : 'needs network namespaces and ip';
}

export class Host {
  readonly address: string;
  readonly #standIns: StandIns;
  readonly #inside: readonly string[];

  constructor(address: string, anchor: StandInProcess, standIns: StandIns) {
    this.address = address;
    this.#standIns = standIns;
    this.#inside = ['-t', String(anchor.pid), '-n'];
  }

  /** A command in this host, to its end; its standard output. */
  run(...argv: readonly string[]): string {
    return run('nsenter', ...this.#inside, ...argv);
  }

  start(...argv: readonly string[]): StandInProcess {
    return this.#standIns.start('nsenter', [...this.#inside, ...argv]);
  }

  /** Packets to that address go nowhere, or go again. */
  isBlindTo(address: string, isBlind: boolean): void {
    this.run('ip', 'route', isBlind ? 'add' : 'del', 'blackhole', `${address}/32`);
  }
}

export class Hosts {
  readonly #standIns = new StandIns();
  readonly #network: string;
  #bridge: StandInProcess | undefined;
  #count = 0;

  /** `network`: the first three octets. */
  constructor(t: Pick<TestContext, 'after'>, network = '10.233.79') {
    this.#network = network;
    t.after(() => this.#standIns.stopAll());
  }

  /** The host at `network.octet`. */
  async add(octet: number): Promise<Host> {
    const bridge = await this.#joined();
    const anchor = await this.#apart();
    const host = new Host(`${this.#network}.${octet}`, anchor, this.#standIns);
    this.#count += 1;
    const port = `p${this.#count}`;
    const inBridge = ['nsenter', '-t', String(bridge.pid), '-n', 'ip', 'link'];
    const peer = ['peer', 'name', 'eth0', 'netns', String(anchor.pid)];
    run(...inBridge, 'add', port, 'type', 'veth', ...peer);
    run(...inBridge, 'set', port, 'master', 'br0', 'up');
    host.run('ip', 'link', 'set', 'lo', 'up');
    host.run('ip', 'address', 'add', `${host.address}/24`, 'dev', 'eth0');
    host.run('ip', 'link', 'set', 'eth0', 'up');
    return host;
  }

  async #joined(): Promise<StandInProcess> {
    if (this.#bridge !== undefined) return this.#bridge;
    this.#bridge = await this.#apart();
    const inside = ['nsenter', '-t', String(this.#bridge.pid), '-n', 'ip', 'link'];
    run(...inside, 'add', 'br0', 'type', 'bridge', 'forward_delay', '0');
    run(...inside, 'set', 'br0', 'up');
    return this.#bridge;
  }

  async #apart(): Promise<StandInProcess> {
    const anchor = this.#standIns.start('unshare', ['--net', 'sleep', 'infinity']);
    await eventually('its namespace is there', () => isApart(anchor.pid));
    return anchor;
  }
}

function isApart(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`) !== readlinkSync('/proc/self/ns/net');
  } catch {
    return false;
  }
}

function run(...argv: readonly string[]): string {
  const [command = '', ...args] = argv;
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
