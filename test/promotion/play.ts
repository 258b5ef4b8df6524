/** A cluster of ours whose master may be lost: real processes, real sockets, Debian's etcd. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encodeFrame, FrameDecoder } from '../../src/cluster/wire/frame.ts';
import { localSocketPath } from '../../src/host/cluster-local-socket.ts';
import type { PromotionStatus } from '../../src/promotion/ports.ts';
import {
  eventually,
  freePort,
  ownAddress,
  type StandInProcess,
  StandIns,
} from '../fakes/processes.ts';
import { EtcdServers } from '../leader/etcd-fixture.ts';
import { StandInAuthd } from './authd.ts';

const program = fileURLToPath(new URL('../../src/publisher-main.ts', import.meta.url));

export interface PlayOptions {
  readonly mode?: 'manual' | 'automatic';
  readonly ttlS?: number;
  readonly pauseS?: number;
  readonly minInterval?: string;
  /** More lines below `cluster.promotion`, by node. */
  readonly more?: (node: string) => string;
}

export interface Enrolled {
  readonly id: string;
  readonly key: string;
}

/** One node: its home, its authd, its process. */
export class PlayNode {
  readonly name: string;
  readonly address: string;
  readonly folder: string;
  readonly home: string;
  readonly authd: StandInAuthd;
  process: StandInProcess | undefined;
  #isStopped = false;
  readonly #standIns: StandIns;

  constructor(name: string, address: string, folder: string, standIns: StandIns) {
    this.name = name;
    this.address = address;
    this.folder = folder;
    this.home = join(folder, 'home');
    this.#standIns = standIns;
    for (const below of ['etc/shared', 'queue/cluster', 'queue/sockets', 'var/run', 'logs']) {
      mkdirSync(join(this.home, below), { recursive: true });
    }
    this.authd = new StandInAuthd(this.home);
  }

  get dir(): string {
    return join(this.folder, 'publisher');
  }

  get running(): StandInProcess {
    if (this.process === undefined) throw new Error(`${this.name} was not started`);
    return this.process;
  }

  start(): StandInProcess {
    const argv = [program, 'cluster', '-f', '-r', '--dir', this.dir];
    const shell = ['-c', 'exec "$0" "$@" 2>&1', process.execPath, ...argv];
    this.process = this.#standIns.start('/bin/sh', shell);
    return this.process;
  }

  get isAlive(): boolean {
    return this.process?.isRunning === true && !this.#isStopped;
  }

  stop(): void {
    this.#isStopped = true;
    this.running.stop();
  }

  cont(): void {
    this.#isStopped = false;
    this.running.cont();
  }

  async kill(): Promise<void> {
    await this.running.kill();
    this.#isStopped = false;
  }

  status(): PromotionStatus | undefined {
    try {
      return JSON.parse(readFileSync(join(this.dir, 'promotion-status.json'), 'utf8'));
    } catch {
      return undefined;
    }
  }

  keys(): string {
    try {
      return readFileSync(join(this.home, 'etc/client.keys'), 'utf8');
    } catch {
      return '';
    }
  }

  /** What a program of this host asks authd of the master; undefined: no answer of it came. */
  async enrol(agent: string, withinMs = 5_000): Promise<Enrolled | undefined> {
    const message = { function: 'add', arguments: { name: agent, ip: 'any' } };
    const body = JSON.stringify({ daemon_name: 'authd', message });
    const [word, text] = await askLocal(this.home, body, withinMs);
    if (word !== 'ok') return undefined;
    const { error, data } = JSON.parse(text);
    return error === 0 ? { id: data.id, key: data.key } : undefined;
  }
}

async function askLocal(home: string, body: string, withinMs: number): Promise<[string, string]> {
  const socket = connect(localSocketPath(home));
  const limit = setTimeout(() => socket.destroy(), withinMs);
  try {
    socket.on('error', () => undefined);
    socket.write(encodeFrame({ counter: 7, word: 'sendsync', role: 'whole' }, Buffer.from(body)));
    const decoder = new FrameDecoder();
    for await (const chunk of socket) {
      decoder.push(chunk as Buffer);
      const frame = decoder.next(65_536);
      if (frame !== undefined) return [frame.word, frame.payload.toString()];
    }
    return ['closed', ''];
  } catch {
    return ['closed', ''];
  } finally {
    clearTimeout(limit);
    socket.destroy();
  }
}

const intervals = {
  master: { recalculate_integrity: 1 },
  worker: { sync_integrity: 1, connection_retry: 1 },
};

/** Node `m` is the master by configuration; the others are its workers. */
export class Play {
  readonly nodes: readonly PlayNode[];
  readonly etcd: EtcdServers;
  readonly #root: string;
  readonly #standIns: StandIns;

  private constructor(
    root: string,
    etcd: EtcdServers,
    standIns: StandIns,
    nodes: readonly PlayNode[],
  ) {
    this.#root = root;
    this.etcd = etcd;
    this.#standIns = standIns;
    this.nodes = nodes;
  }

  static async open(names: readonly string[], options: PlayOptions = {}): Promise<Play> {
    const etcd = await new EtcdServers().start();
    const root = mkdtempSync(join(tmpdir(), 'pf-promotion-'));
    const standIns = new StandIns();
    const port = await freePort('127.0.0.1');
    const nodes = names.map(
      (name, index) => new PlayNode(name, ownAddress(index), join(root, name), standIns),
    );
    const [first] = nodes;
    if (first === undefined) throw new RangeError('a cluster has a node');
    for (const node of nodes) {
      await node.authd.listen();
      mkdirSync(node.dir, { recursive: true, mode: 0o700 });
      const text = configOf(node, first, { port, urls: etcd.urls, options });
      writeFileSync(join(node.dir, 'publisher.yml'), text);
      writeFileSync(join(node.dir, 'cluster.json'), JSON.stringify({ intervals }));
    }
    return new Play(root, etcd, standIns, nodes);
  }

  node(name: string): PlayNode {
    const found = this.nodes.find((one) => one.name === name);
    if (found === undefined) throw new RangeError(name);
    return found;
  }

  /** The first is the master, every other one has its keys. */
  async start(): Promise<void> {
    for (const node of this.nodes) node.start();
    await eventually('the first master leads', () => this.master());
    await eventually('all follow', () =>
      this.nodes.every((node) => node.status()?.record?.node === this.master()?.name),
    );
  }

  master(): PlayNode | undefined {
    return this.nodes.find((node) => node.isAlive && node.status()?.role === 'master');
  }

  /** Through a node that runs and is not the master; the first that gets an answer of authd. */
  async enrol(agent: string): Promise<Enrolled> {
    return eventually(`${agent} is enrolled`, async () => {
      const master = this.master();
      for (const worker of this.nodes.filter((node) => node !== master && node.isAlive)) {
        const enrolled = await worker.enrol(agent, 2_000);
        if (enrolled !== undefined) return enrolled;
      }
      return undefined;
    });
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) node.process?.cont();
    await this.#standIns.stopAll();
    for (const node of this.nodes) await node.authd.close();
    await this.etcd.stop();
    rmSync(this.#root, { recursive: true, force: true, maxRetries: 9 });
  }
}

interface Place {
  readonly port: number;
  readonly urls: readonly string[];
  readonly options: PlayOptions;
}

function configOf(node: PlayNode, first: PlayNode, { port, urls, options }: Place): string {
  const { mode = 'automatic', ttlS = 6, pauseS = 1, minInterval = '0s', more } = options;
  const role = node === first ? 'master' : 'worker';
  return `org: acme
managers:
  - {id: a, address: 10.0.0.1}
leader:
  ttl: ${ttlS}s
  etcd: {endpoints: [${urls.join(', ')}]}
cluster:
  home: ${node.home}
  user: root
  version: 4.14.8
  database: embedded
  clusterJson: cluster.json
  node:
    type: ${role}
    name: ${node.name}
    key: c98b62a9b6169ac5f67dae55ae4a9088
    port: ${port}
    bindAddress: ${node.address}
    master: ${first.address}
  promotion:
    mode: ${mode}
    address: ${node.address}
    pause: ${pauseS}s
    minInterval: ${minInterval}
    hooks:
      start: [[/usr/bin/touch, ${node.authd.switchPath}]]
      stop: [[/bin/rm, -f, ${node.authd.switchPath}]]
${more?.(node.name) ?? ''}`;
}
