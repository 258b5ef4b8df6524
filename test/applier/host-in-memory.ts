/**
 * A host in memory for the applier's tests: a file, an agent that loads it when it starts, a clock
 * that jumps to the next timer. `killAt` ends a run at its n-th touch of the world, as `kill -9`
 * would; what was done before stays done.
 */
import type {
  BackupStore,
  ConfigFile,
  ConfigSnapshot,
  FileOwner,
} from '../../src/applier/config-file.ts';
import { readServers } from '../../src/applier/draft.ts';
import { encodeMemory, newMemory, parseMemory } from '../../src/applier/memory.ts';
import type { ApplyRequest } from '../../src/applier/request.ts';
import type { RestartStep } from '../../src/applier/restart.ts';
import type { WrittenServer } from '../../src/applier/result.ts';
import { type ApplierSettings, defaultSettings } from '../../src/applier/settings.ts';
import { trustRoot } from '../../src/applier/verify-again.ts';
import type { ApplierWorld, PreflightVerdict } from '../../src/applier/world.ts';
import { sha256Tag } from '../../src/bytes.ts';
import type { Clock } from '../../src/clock.ts';
import { AgentError, HostError } from '../../src/errors.ts';
import type { ManagerList } from '../../src/list/model.ts';
import { renderRoot } from '../../src/list/parse-root.ts';
import { silentLog } from '../../src/log.ts';
import type { AgentFacts } from '../../src/wazuh/agent-facts.ts';
import { agentHome } from '../../src/wazuh/agent-home.ts';
import { aList, aManager, aRoot, nowMs, signedList, signedRoot } from '../list/documents.ts';

/** What a killed run throws; never a PilotfishError, so nothing can catch it as a result. */
export class Killed extends Error {}

export const names = ['wm-01', 'wm-02', 'wm-03'] as const;
export const addressOf = (id: string): string => `10.20.0.${Number(id.slice(3))}`;
export const list = (changes: Partial<ManagerList> = {}): ManagerList =>
  aList({ managers: names.map((id) => aManager(id, { address: addressOf(id) })), ...changes });

export const configOf = (...addresses: readonly string[]): string => `<ossec_config>
  <client>
${addresses.map((address) => `    <server>\n      <address>${address}</address>\n    </server>\n`).join('')}  </client>
  <!-- kept -->
</ossec_config>
`;

export const request = (changes: Partial<ApplyRequest> = {}): ApplyRequest => ({
  listEnvelope: signedList(list()),
  rootEnvelopes: [],
  order: [...names],
  move: true,
  ...changes,
});

export const agentOwner: FileOwner = { uid: 0, gid: 999, mode: 0o640 };

export class HostInMemory {
  config: Buffer;
  /** Somebody removed the file. */
  missing = false;
  memory: Uint8Array | undefined;
  now = nowMs;
  running = true;
  modulesd = true;
  pid = 100;
  version = '4.14.8';
  upgrade: string | undefined;
  /** What the running agent loaded when it started. */
  loaded: readonly WrittenServer[] = [];
  /** Managers that let the agent in. */
  up: string[] = ['10.0.0.1', ...names.map(addressOf)];
  /** Files with which the agent exits at start. */
  exitsWith: (config: Buffer) => boolean = () => false;
  preflight: (config: Buffer) => PreflightVerdict = () => ({ kind: 'unknown', why: 'none' });
  log = '';
  steps: RestartStep[] = [];
  backups: Uint8Array[] = [];
  original: Uint8Array | undefined;
  locked = false;
  settings: ApplierSettings;
  countHealthy = true;
  /** Who was to own the file that was made anew. */
  createdFor: FileOwner | undefined;
  /** Called right before the file is replaced. */
  beforeReplace: () => void = () => undefined;
  killAt = Number.POSITIVE_INFINITY;
  touches = 0;

  private constructor(config: string, settings: Partial<ApplierSettings>) {
    this.config = Buffer.from(config);
    this.settings = { ...defaultSettings, minServers: 2, site: 'eu-1', ...settings };
    this.loaded = readServers(this.config, this.version).servers;
  }

  static async make(
    settings: Partial<ApplierSettings> = {},
    config: string = configOf('10.0.0.1'),
  ): Promise<HostInMemory> {
    const host = new HostInMemory(config, settings);
    const root = aRoot();
    const pin = { org: root.org, rootHash: sha256Tag(renderRoot(root)) };
    host.memory = encodeMemory(newMemory(await trustRoot(signedRoot(root), pin, 0)));
    return host;
  }

  get servers(): readonly string[] {
    return readServers(this.config, this.version).servers.map(({ address }) => address);
  }

  get connectedTo(): string | undefined {
    if (!this.running) return undefined;
    return this.loaded.find(({ address }) => this.up.includes(address))?.address;
  }

  /** The world while no memory can be written, but for the first `good` writes. */
  worldOnFullDisk(good = 0): ApplierWorld {
    const world = this.world();
    let writes = 0;
    const write = async (bytes: Uint8Array): Promise<void> => {
      writes += 1;
      if (writes > good) throw new HostError('write_failed', 'no space left');
      await world.memory.write(bytes);
    };
    return { ...world, memory: { read: () => world.memory.read(), write } };
  }

  get remembered() {
    return parseMemory(this.memory ?? new Uint8Array());
  }

  world(): ApplierWorld {
    const { clock } = this;
    return {
      settings: this.settings,
      home: agentHome('linux'),
      clock,
      log: silentLog,
      memory: {
        read: async () => this.#touch(() => this.memory),
        write: async (bytes) =>
          this.#touch(() => {
            this.memory = bytes;
          }),
      },
      file: this.#file(),
      backups: this.#backups(),
      agent: { readFacts: async () => this.#touch(() => this.#facts()) },
      control: {
        isRunning: async (daemon) => (daemon === 'agentd' ? this.running : this.modulesd),
        perform: async (step) => this.#touch(() => this.#perform(step)),
      },
      preflight: { test: async (bytes) => this.#touch(() => this.preflight(Buffer.from(bytes))) },
      agentLog: {
        mark: async () => this.log.length,
        since: async (mark) => this.log.slice(mark),
      },
      readSharedConfig: async () => new Uint8Array(),
      lock: async () => {
        if (this.locked) throw new HostError('lock_held', 'held by process 4242');
        return { release: async () => undefined };
      },
      ...(this.countHealthy
        ? { countHealthy: async (servers: readonly WrittenServer[]) => this.#healthy(servers) }
        : {}),
    };
  }

  /** Each sleep jumps straight to its end. */
  get clock(): Clock {
    return {
      nowMs: () => this.now,
      monotonicMs: () => this.now,
      after: (delayMs, task) => {
        this.now += delayMs;
        queueMicrotask(task);
        return () => undefined;
      },
    };
  }

  #touch<Value>(effect: () => Value): Value {
    this.touches += 1;
    const value = effect();
    if (this.touches >= this.killAt) throw new Killed(`killed at touch ${this.touches}`);
    return value;
  }

  #snapshot(): ConfigSnapshot {
    if (this.missing) throw new AgentError('not_found', 'ossec.conf does not exist');
    const hash = sha256Tag(this.config);
    return { bytes: this.config, hash, identity: hash, owner: agentOwner };
  }

  #file(): ConfigFile {
    return {
      recover: async () => [],
      read: async () => this.#touch(() => this.#snapshot()),
      create: async (bytes, owner) =>
        this.#touch(() => {
          this.createdFor = owner;
          this.missing = false;
          this.config = Buffer.from(bytes);
          return { kind: 'renamed', notes: [] } as const;
        }),
      replace: async (before, bytes) =>
        this.#touch(() => {
          this.beforeReplace();
          if (this.#snapshot().identity !== before.identity) {
            throw new AgentError('changed_meanwhile', 'changed');
          }
          this.backups.unshift(this.config);
          this.original ??= this.config;
          this.config = Buffer.from(bytes);
          return { kind: 'renamed', notes: [] } as const;
        }),
    };
  }

  #backups(): BackupStore {
    return {
      keep: async () => undefined,
      read: async (generation) => {
        const bytes = this.backups[generation - 1];
        if (bytes === undefined) throw new HostError('not_found', 'no such backup');
        return bytes;
      },
      readOriginal: async () => this.original,
      forgetOriginal: async () =>
        this.#touch(() => {
          this.original = undefined;
        }),
    };
  }

  #facts(): AgentFacts {
    const peer = this.connectedTo;
    return {
      installed: true,
      version: this.version,
      running: this.running,
      pids: this.running ? [this.pid] : [],
      status: 'unknown',
      waiting: this.running && peer === undefined,
      peers: peer === undefined ? [] : [{ address: peer, port: 1514 }],
      upgrade: this.upgrade,
    };
  }

  #perform(step: RestartStep): void {
    this.steps.push(step);
    if (step.kind === 'stop' && step.daemon === 'agentd') this.running = false;
    if (step.kind === 'stop' && step.daemon === 'modulesd') this.modulesd = false;
    if (step.kind !== 'run') return;
    if (step.argv.at(-1)?.endsWith('modulesd')) this.modulesd = true;
    else this.#start();
  }

  #start(): void {
    this.pid += 1;
    this.running = !this.exitsWith(this.config);
    this.loaded = readServers(this.config, this.version).servers;
    if (!this.running) this.log += "wazuh-agentd: ERROR: (1230): Invalid element 'x'.\n";
  }

  #healthy(servers: readonly WrittenServer[]): number {
    return servers.filter(({ address }) => this.up.includes(address)).length;
  }
}
