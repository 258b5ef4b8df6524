/** Whole nodes of ours over real sockets and directories, for tests and measurements. */
import { createHash } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import type { AgentData } from '../../../src/cli/build-agent-data.ts';
import { buildClusterNode, type NodeOptions } from '../../../src/cli/build-cluster.ts';
import type { ClusterConfig } from '../../../src/cluster/config.ts';
import { parseClusterJson } from '../../../src/cluster/files/cluster-json.ts';
import type { Listening } from '../../../src/cluster/master/master.ts';
import { Master } from '../../../src/cluster/master/master.ts';
import type { ClusterLine, ClusterLog } from '../../../src/cluster/tasks/node-log.ts';
import { Worker } from '../../../src/cluster/worker/worker.ts';
import { systemCodeOf } from '../../../src/guards.ts';
import { silentLog } from '../../../src/log.ts';

export const key = 'c98b62a9b6169ac5f67dae55ae4a9088';

export class LineLog implements ClusterLog {
  readonly lines: ClusterLine[] = [];

  line(line: ClusterLine): void {
    this.lines.push(line);
  }

  has(text: string | RegExp): boolean {
    return this.count(text) > 0;
  }

  count(text: string | RegExp): number {
    return this.lines.filter(({ level, tag, subTag, message }) => {
      const whole = `${level}: [${tag}] [${subTag}] ${message}`;
      return typeof text === 'string' ? whole.includes(text) : text.test(whole);
    }).length;
  }

  text(): string {
    return this.lines
      .map(({ level, tag, subTag, message }) => `${level}: [${tag}] [${subTag}] ${message}`)
      .join('\n');
  }
}

export type Files = Readonly<Record<string, string | Buffer>>;

export class Home {
  readonly path: string;
  readonly state: string;
  readonly #hashes = new Map<string, { readonly stamp: string; readonly hash: string }>();

  constructor(t: Pick<TestContext, 'after'>, files: Files = {}) {
    const root = mkdtempSync(join(tmpdir(), 'pf-node-'));
    this.path = join(root, 'home');
    this.state = join(root, 'state');
    for (const folder of [
      'etc/shared',
      'etc/rules',
      'etc/decoders',
      'etc/lists',
      'var/multigroups',
    ]) {
      mkdirSync(join(this.path, folder), { recursive: true });
    }
    for (const [name, content] of Object.entries(files)) this.write(name, content);
    t.after(() => rmSync(root, { recursive: true, force: true, maxRetries: 9 }));
  }

  write(name: string, content: string | Buffer): void {
    const path = join(this.path, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }

  remove(name: string): void {
    rmSync(join(this.path, name), { recursive: true, force: true });
  }

  read(name: string): string {
    return readFileSync(join(this.path, name), 'utf8');
  }

  mode(name: string): number {
    return lstatSync(join(this.path, name)).mode & 0o7777;
  }

  /** Every file below etc and var/multigroups by its hash; what vanishes while we look is looked at again. */
  tree(): Readonly<Record<string, string>> {
    for (let turn = 0; ; turn++) {
      try {
        return this.#readTree();
      } catch (error) {
        if (systemCodeOf(error) !== 'ENOENT' || turn === 10) throw error;
      }
    }
  }

  #readTree(): Readonly<Record<string, string>> {
    const found: Record<string, string> = {};
    for (const top of ['etc', 'var/multigroups']) {
      const options = { recursive: true, withFileTypes: true } as const;
      for (const entry of readdirSync(join(this.path, top), options)) {
        if (!entry.isFile()) continue;
        const path = join(entry.parentPath, entry.name);
        found[path.slice(this.path.length + 1)] = this.#hashOf(path);
      }
    }
    return found;
  }

  /** Polls share one event loop with the nodes: what did not change is not read again. */
  #hashOf(path: string): string {
    const { ino, size, mtimeNs } = lstatSync(path, { bigint: true });
    const stamp = `${ino} ${size} ${mtimeNs}`;
    const known = this.#hashes.get(path);
    if (known?.stamp === stamp) return known.hash;
    const hash = createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 16);
    this.#hashes.set(path, { stamp, hash });
    return hash;
  }

  /** What is left in `queue/cluster`, files only. */
  leftovers(): readonly string[] {
    return readdirSync(join(this.path, 'queue/cluster'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name);
  }
}

export interface NodeWish {
  readonly name: string;
  readonly port?: number;
  readonly config?: Partial<ClusterConfig>;
  readonly cluster?: unknown;
  readonly more?: Partial<NodeOptions>;
}

export interface Running<Role> {
  readonly role: Role;
  readonly data: AgentData | undefined;
  readonly log: LineLog;
  readonly home: Home;
  readonly port: number;
  stop(): Promise<void>;
}

function optionsOf(
  home: Home,
  wish: NodeWish,
  type: 'master' | 'worker',
  log: LineLog,
): NodeOptions {
  return {
    home: home.path,
    stateFolder: home.state,
    config: {
      disabled: false,
      nodeType: type,
      name: 'wazuh',
      nodeName: wish.name,
      key,
      port: wish.port ?? 0,
      bindAddress: '127.0.0.1',
      nodes: ['127.0.0.1'],
      hidden: 'no',
      haproxyHelper: undefined,
      extras: {},
      ...wish.config,
    },
    version: '4.14.8',
    cluster: parseClusterJson(wish.cluster ?? {}),
    peers: 'any',
    maxConnectionsPerAddress: 100,
    owner: undefined,
    log,
    events: silentLog,
    ...wish.more,
  };
}

export async function startMaster(
  t: Pick<TestContext, 'after'>,
  home: Home,
  wish: Partial<NodeWish> = {},
): Promise<Running<Master>> {
  const log = new LineLog();
  const node = buildClusterNode(optionsOf(home, { name: 'm', ...wish }, 'master', log));
  const stop = new AbortController();
  const { promise, resolve, reject } = Promise.withResolvers<Listening>();
  const done = node.run(stop.signal, resolve);
  done.catch(reject);
  const end = async (): Promise<void> => {
    stop.abort(new Error('stopped by the test'));
    await done;
  };
  t.after(end);
  const { port } = await promise;
  if (!(node.role instanceof Master)) throw new TypeError('not a master');
  return { role: node.role, data: node.data, log, home, port, stop: end };
}

export function startWorker(
  t: Pick<TestContext, 'after'>,
  home: Home,
  wish: NodeWish,
): Running<Worker> {
  const log = new LineLog();
  const node = buildClusterNode(optionsOf(home, wish, 'worker', log));
  const stop = new AbortController();
  const done = node.run(stop.signal);
  const end = async (): Promise<void> => {
    stop.abort(new Error('stopped by the test'));
    await done;
  };
  t.after(end);
  if (!(node.role instanceof Worker)) throw new TypeError('not a worker');
  return { role: node.role, data: node.data, log, home, port: wish.port ?? 0, stop: end };
}

/** Poll a real outside until it is as wished. */
export async function until(
  what: string,
  isTrue: () => boolean,
  timeoutMs = 60_000,
): Promise<number> {
  const startedMs = performance.now();
  while (!isTrue()) {
    if (performance.now() - startedMs > timeoutMs)
      throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return performance.now() - startedMs;
}
