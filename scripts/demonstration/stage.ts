/**
 * The actors of the demo: three stand-in managers, one publisher, one agent home, one sidecar.
 * The same stage carries the failover bench and the end-to-end tests.
 */
import { execFile, execFileSync, type SpawnSyncReturns, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { makeAgentHome, type StandInHome } from '../../test/fakes/agent-home.ts';
import type { ConfigServer } from '../../test/fakes/agent-home-config.ts';
import {
  eventually,
  freePort,
  ownAddress,
  type StandInProcess,
  StandIns,
} from '../../test/fakes/processes.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const sidecarMain = join(root, 'src/sidecar-main.ts');
const publisherMain = join(root, 'src/publisher-main.ts');

/** Each takes a second or two. */
const maxJoins = 10;

// Programs from sources: what one process compiled, the next one need not.
process.env.NODE_COMPILE_CACHE ??= join(root, 'node_modules/.cache/compiled');

/** Real agents' port; every stage has addresses of its own. */
const agentPort = 1514;

export interface StageOptions {
  /** One loopback address per manager, none used by anything else; three by default. */
  readonly addresses?: readonly string[];
  readonly lineEnd?: '\n' | '\r\n';
  readonly agentFlags?: readonly string[];
  /** How often managers tell of events; 0: of each one as they take it in. Default 50. */
  readonly reportIntervalMs?: number;
  /** `001` without. */
  readonly agentId?: string;
  /** Server entries the agent starts with; the first manager when absent, as a fresh install. */
  readonly servers?: readonly ConfigServer[];
  /** On by default, as shipped. */
  readonly enrollment?: 'yes' | 'no';
  /** Agent defaults when absent. */
  readonly notifyS?: number;
  readonly reconnectS?: number;
}

/** What a sidecar's `status --json` tells, as far as the stage looks. */
interface Status {
  readonly atMs: number;
  readonly managers: readonly { readonly id: string; readonly verdict: string }[];
}

export interface StageManager {
  readonly id: string;
  readonly address: string;
  process: StandInProcess;
}

export class Stage {
  readonly directory: string;
  readonly managers: StageManager[] = [];
  readonly home: StandInHome;
  readonly configPath: string;
  readonly publisherDirectory: string;
  /** `HOST:PORT` of every manager. */
  readonly #endpoints: readonly string[];
  readonly #standIns = new StandIns();
  #reportIntervalMs = 50;
  publisher: StandInProcess | undefined;
  sidecar: StandInProcess | undefined;

  private constructor(endpoints: readonly string[], directory: string, home: StandInHome) {
    this.#endpoints = endpoints;
    this.directory = directory;
    this.home = home;
    this.configPath = join(directory, 'pilotfish.yml');
    this.publisherDirectory = join(directory, 'publisher');
  }

  static make(options: StageOptions = {}): Stage {
    const { addresses = [1, 2, 3].map(ownAddress), lineEnd = '\n', agentFlags = [] } = options;
    const servers = options.servers ?? addresses.slice(0, 1).map((address) => ({ address }));
    const directory = mkdtempSync(join(tmpdir(), 'pilotfish-demo-'));
    const home = makeAgentHome({
      directory: join(directory, 'agent'),
      servers: servers.map((server) => ({ port: agentPort, ...server })),
      lineEnd,
      enrollment: options.enrollment ?? 'yes',
      agentFlags,
      ...(options.agentId === undefined ? {} : { agentId: options.agentId }),
      ...(options.notifyS === undefined ? {} : { notifyS: options.notifyS }),
      ...(options.reconnectS === undefined ? {} : { reconnectS: options.reconnectS }),
    });
    const endpoints = addresses.map((address) => `${address}:${agentPort}`);
    const stage = new Stage(endpoints, directory, home);
    stage.#reportIntervalMs = options.reportIntervalMs ?? stage.#reportIntervalMs;
    return stage;
  }

  /** Around an agent and managers that run already and are not ours to start or stop. */
  static around(found: {
    readonly directory: string;
    readonly home: StandInHome;
    readonly endpoints: readonly string[];
  }): Stage {
    return new Stage(found.endpoints, found.directory, found.home);
  }

  async startManagers(): Promise<void> {
    for (const [index, endpoint] of this.#endpoints.entries()) {
      const id = managerId(index);
      const address = endpoint.replace(/:\d+$/, '');
      this.managers.push({ id, address, process: await this.#startManager(id, address) });
    }
  }

  #startManager(id: string, address: string): Promise<StandInProcess> {
    return this.#standIns.startManager(`${address}:${agentPort}`, [
      '--name',
      id,
      '--report-interval-ms',
      String(this.#reportIntervalMs),
    ]);
  }

  /** The same manager again, after a kill. */
  async revive(manager: StageManager): Promise<void> {
    manager.process = await this.#startManager(manager.id, manager.address);
  }

  /** `more` is appended to publisher.yml before it starts. */
  async startPublisher(more = ''): Promise<string> {
    const port = await freePort('127.0.0.1');
    const url = `https://127.0.0.1:${port}`;
    const managers = this.#endpoints.flatMap((endpoint, index) => [
      '--manager',
      `${managerId(index)}=${endpoint}`,
    ]);
    this.publisherRun(
      'init',
      '--org',
      'demo',
      '--url',
      url,
      '--listen',
      `127.0.0.1:${port}`,
      ...managers,
    );
    appendFileSync(join(this.publisherDirectory, 'publisher.yml'), more);
    this.publisher = this.#standIns.start(process.execPath, [
      publisherMain,
      'run',
      '--dir',
      this.publisherDirectory,
    ]);
    return url;
  }

  /** One publisher command that must succeed; its standard output. */
  publisherRun(command: string, ...args: readonly string[]): string {
    const argv = [publisherMain, command, '--dir', this.publisherDirectory, ...args];
    return execFileSync(process.execPath, argv, { encoding: 'utf8', timeout: 120_000 });
  }

  /** As installed, but for the limits that a play of many faults in a minute would meet. */
  impatientConfig(apply: object = {}): object {
    return {
      agent: { home: this.home.path },
      stateDir: `${this.directory}/state`,
      status: { every: '1s' },
      apply: {
        mode: 'agentd',
        control: 'wazuh-control',
        restartsPerHour: 100,
        restartsPerDay: 100,
        cooldown: '0s',
        minInterval: '0s',
        spread: '0s',
        ...apply,
      },
    };
  }

  /** The same for tests: looks come three times as often, so that nobody waits for the next one. */
  livelyConfig(apply: object = {}): object {
    return {
      ...this.impatientConfig({ stable: '300ms', ...apply }),
      probe: { interval: '300ms', others: '2s' },
    };
  }

  writeSidecarConfig(config: object): void {
    mkdirSync(join(this.directory, 'state'), { mode: 0o700, recursive: true });
    writeFileSync(this.configPath, stringify(config), { mode: 0o600 });
  }

  /** One sidecar command; any exit code. */
  sidecarRun(...args: readonly string[]): SpawnSyncReturns<string> {
    const argv = [sidecarMain, ...args, '--config', this.configPath];
    return spawnSync(process.execPath, argv, { encoding: 'utf8', timeout: 60_000 });
  }

  /** The same while this process goes on serving. */
  sidecarTry(...args: readonly string[]): Promise<{ status: number; stderr: string }> {
    const argv = [sidecarMain, ...args, '--config', this.configPath];
    return run(process.execPath, argv, { encoding: 'utf8', timeout: 60_000 }).then(
      ({ stderr }) => ({ status: 0, stderr }),
      ({ code, stderr }: { code: number; stderr: string }) => ({ status: code, stderr }),
    );
  }

  async sidecarJson<Answer>(...args: readonly string[]): Promise<Answer> {
    const argv = [sidecarMain, ...args, '--config', this.configPath, '--json'];
    const { stdout } = await run(process.execPath, argv, { encoding: 'utf8', timeout: 30_000 });
    return JSON.parse(stdout) as Answer;
  }

  /** Joins the sidecar by a fresh token of the publisher. */
  join(): string {
    const token = this.publisherRun('token').trim().split('\n').at(-1) ?? '';
    for (let tries = 1; ; tries += 1) {
      const joined = this.sidecarRun('join', token);
      if (joined.status === 0) return token;
      // A publisher on a busy machine turns its first guests away (503): they may come again.
      if (tries >= maxJoins) throw new Error(`join failed: ${joined.stderr}`);
    }
  }

  /** Waits until a cycle that ended after this call gives `manager` this verdict. */
  async seenAs(manager: StageManager, verdict: string, withinMs = 90_000): Promise<void> {
    await this.#allSeenAs([manager], verdict, withinMs);
  }

  async allSeenUp(): Promise<void> {
    await this.#allSeenAs(this.managers, 'up', 90_000);
  }

  async #allSeenAs(
    managers: readonly StageManager[],
    verdict: string,
    withinMs: number,
  ): Promise<void> {
    const calledAtMs = Date.now();
    const ids = managers.map(({ id }) => id);
    const areSeen = (): boolean => {
      const status = this.#readStatus();
      if (status === undefined || status.atMs < calledAtMs) return false;
      const seen = new Map(status.managers.map((one) => [one.id, one.verdict]));
      return ids.every((id) => seen.get(id) === verdict);
    };
    await eventually(`${ids.join(', ')} seen as ${verdict}`, areSeen, withinMs);
  }

  /** What `status` shows, without a process for every look. */
  #readStatus(): Status | undefined {
    try {
      return JSON.parse(readFileSync(`${this.directory}/state/status.json`, 'utf8')) as Status;
    } catch {
      return undefined; // not written yet
    }
  }

  startSidecar(): void {
    this.sidecar = this.#standIns.start(process.execPath, [
      sidecarMain,
      'run',
      '--config',
      this.configPath,
    ]);
  }

  /** Anything else of this stage, by argv; it ends with the stage. */
  startProgram(argv: readonly string[]): StandInProcess {
    const [program = '', ...args] = argv;
    return this.#standIns.start(program, args);
  }

  /** Waits until the agent's newest connection is the one to `address`. */
  async connectedThrough(address: string): Promise<void> {
    await eventually(
      `the agent is connected to ${address}`,
      () => this.home.readLog().split('(4102)').at(-1)?.includes(`[${address}]`) === true,
      90_000,
    );
  }

  /** Publisher, sidecar and stand-in managers; the agent and its home stay. */
  async stopPrograms(): Promise<void> {
    this.sidecar?.signal('SIGTERM');
    await this.#standIns.stopAll();
  }

  async stop(): Promise<void> {
    await this.stopPrograms();
    this.home.remove();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function managerId(index: number): string {
  return `wm-${index + 1}`;
}
