/** Debian's etcd as tests and campaigns need it: on ports of its own, in memory, gone with the test. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildEtcdDoor, type ClosableDoor, type EtcdTls } from '../../src/host/etcd-door.ts';
import { systemClock } from '../../src/host/system-clock.ts';
import type { LeaseEngine } from '../../src/leader/engine.ts';
import { EtcdClient, type EtcdClientParts, type EtcdDoor } from '../../src/leader/etcd/client.ts';
import { buildEtcdEngine } from '../../src/leader/etcd/etcd-engine.ts';
import { eventually, freePort, type StandInProcess, StandIns } from '../fakes/processes.ts';

/** Why it cannot be run here, or undefined. */
export function missingEtcd(): string | undefined {
  if (spawnSync('etcd', ['--version'], { stdio: 'ignore' }).status === 0) return undefined;
  return 'needs etcd (Debian: etcd-server)';
}

export interface EtcdMember {
  readonly url: string;
  readonly process: StandInProcess;
}

export interface EtcdOptions {
  readonly host?: string;
  readonly args?: readonly string[];
  readonly tls?: EtcdTls & { readonly serverArgs: readonly string[] };
}

/** One process, or a cluster of several; data on tmpfs where there is one. */
export class EtcdServers {
  readonly folder: string;
  readonly members: EtcdMember[] = [];
  readonly #standIns = new StandIns();
  readonly #doors: ClosableDoor[] = [];

  constructor() {
    const shared = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
    this.folder = mkdtempSync(join(shared, 'pf-etcd-'));
  }

  get urls(): readonly string[] {
    return this.members.map(({ url }) => url);
  }

  /** A port may be taken between its choice and etcd's start: then once more. */
  async start(count = 1, options: EtcdOptions = {}): Promise<this> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#startAll(count, options, attempt);
        return this;
      } catch (error) {
        await this.#standIns.stopAll();
        this.members.length = 0;
        if (attempt === 3) throw error;
      }
    }
  }

  async stop(): Promise<void> {
    for (const door of this.#doors) door.close();
    await this.#standIns.stopAll();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 9 });
  }

  door(tls: EtcdTls = {}): ClosableDoor {
    const door = buildEtcdDoor(tls);
    this.#doors.push(door);
    return door;
  }

  client(change: Partial<EtcdClientParts> = {}): EtcdClient {
    const door: EtcdDoor = change.door ?? this.door();
    const limits = { tryMs: 5_000, limitMs: 15_000 };
    return new EtcdClient({ clock: systemClock, endpoints: this.urls, ...limits, ...change, door });
  }

  /** The engine of one contender. */
  engine(name: string, prefix: string, ttlMs: number, change: Partial<EtcdClientParts> = {}) {
    const settings = { prefix, ttlMs, name, url: `https://${name}.example.org:8443` };
    return buildEtcdEngine(this.client(change), settings) satisfies LeaseEngine;
  }

  async #startAll(count: number, options: EtcdOptions, attempt: number): Promise<void> {
    const { host = '127.0.0.1', args = [], tls } = options;
    const scheme = tls === undefined ? 'http' : 'https';
    const nodes: { name: string; url: string; peer: string }[] = [];
    for (let index = 0; index < count; index += 1) {
      const url = `${scheme}://${host}:${await freePort(host)}`;
      nodes.push({ name: `e${index}`, url, peer: `http://${host}:${await freePort(host)}` });
    }
    const cluster = nodes.map(({ name, peer }) => `${name}=${peer}`).join(',');
    for (const { name, url, peer } of nodes) {
      const process = this.#standIns.start('etcd', [
        ...['--name', name, '--data-dir', join(this.folder, `${name}-${attempt}`)],
        ...['--listen-client-urls', url, '--advertise-client-urls', url],
        ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
        ...['--initial-cluster', cluster, '--logger', 'zap', '--log-outputs', 'stderr'],
        ...(tls?.serverArgs ?? []),
        ...args,
      ]);
      this.members.push({ url, process });
    }
    for (const member of this.members) await this.#untilHealthy(member, tls);
  }

  async #untilHealthy({ url, process }: EtcdMember, tls: EtcdTls = {}): Promise<void> {
    const client = this.client({ door: this.door(tls), endpoints: [url] });
    await eventually(`etcd at ${url} answers`, async () => {
      if (!process.isRunning) throw new Error(`etcd ended: ${process.errors}`);
      return client.call('lease/grant', { TTL: '2' }).then(
        () => true,
        () => false,
      );
    });
  }
}
