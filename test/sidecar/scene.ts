/** A sidecar's world in memory: publishers, a disk, a clock that moves when told, an agent. */
import type { ApplyRequest } from '../../src/applier/request.ts';
import type { ApplyResult } from '../../src/applier/result.ts';
import { sha256Tag } from '../../src/bytes.ts';
import type { Cancel, Clock, Random } from '../../src/clock.ts';
import { PeerError, type PilotfishError } from '../../src/errors.ts';
import type { ProbeOutcome, Prober } from '../../src/health/probe.ts';
import type { ManagerList, Root } from '../../src/list/model.ts';
import { renderRoot } from '../../src/list/parse-root.ts';
import { renderToken } from '../../src/list/token.ts';
import { silentLog } from '../../src/log.ts';
import { defaultPolicy } from '../../src/sidecar/decide-view.ts';
import { buildHealthBook } from '../../src/sidecar/health-book.ts';
import { buildLossWatch } from '../../src/sidecar/loss-watch.ts';
import { type Memory, type MemoryFile, newMemory } from '../../src/sidecar/memory.ts';
import { buildMemoryStore } from '../../src/sidecar/memory-store.ts';
import { PublisherBook } from '../../src/sidecar/publisher-book.ts';
import type {
  PublisherAnswer,
  PublisherLink,
  PublisherQuestion,
} from '../../src/sidecar/publisher-port.ts';
import type { FileSeen } from '../../src/sidecar/seen.ts';
import { pollSources, type SourceWorld } from '../../src/sidecar/source.ts';
import { TrustReader } from '../../src/sidecar/trust.ts';
import type { World } from '../../src/sidecar/world.ts';
import type { AgentFacts } from '../../src/wazuh/agent-facts.ts';
import {
  aList,
  aManager,
  aReceipt,
  aRoot,
  aToken,
  issuedAtMs,
  signedList,
  signedRoot,
} from '../list/documents.ts';

export class VirtualClock implements Clock {
  #nowMs: number;
  #monotonicMs = 0;
  readonly #timers = new Set<{ readonly atMs: number; readonly task: () => void }>();

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  after(delayMs: number, task: () => void): Cancel {
    const timer = { atMs: this.#monotonicMs + delayMs, task };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** The wall clock jumps; nothing else does. */
  jumpTo(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  /** Time passes; what falls due runs, and promises it settles go on. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#monotonicMs + ms;
    for (;;) {
      await settle();
      const next = [...this.#timers].sort((a, b) => a.atMs - b.atMs).find((t) => t.atMs <= endMs);
      if (next === undefined) break;
      this.#move(Math.max(next.atMs, this.#monotonicMs));
      this.#timers.delete(next);
      next.task();
    }
    this.#move(endMs);
    await settle();
  }

  #move(monotonicMs: number): void {
    this.#nowMs += monotonicMs - this.#monotonicMs;
    this.#monotonicMs = monotonicMs;
  }
}

const probeBytes = new Uint8Array(1024);

/** Lets every promise that can go on do so: signatures are checked on other threads, in order. */
async function settle(): Promise<void> {
  for (let round = 0; round < 10; round += 1) {
    await crypto.subtle.digest('SHA-256', probeBytes);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Repeats exactly. */
export class CountingRandom implements Random {
  #count = 0;

  bytes(length: number): Uint8Array {
    this.#count += 1;
    return new Uint8Array(length).fill(this.#count);
  }

  fraction(): number {
    this.#count += 1;
    return (this.#count * 0.37) % 1;
  }
}

export type Behaviour = (
  question: PublisherQuestion,
  signal: AbortSignal | undefined,
) => Promise<PublisherAnswer>;

/** Publishers by URL; each behaves as its test says. */
export class FakePublishers implements PublisherLink {
  readonly behaviours = new Map<string, Behaviour>();
  /** `URL PATH` of every question. */
  readonly asked: string[] = [];

  ask(question: PublisherQuestion, signal?: AbortSignal): Promise<PublisherAnswer> {
    this.asked.push(`${question.url}${question.path}`);
    const behaviour = this.behaviours.get(question.url);
    if (behaviour !== undefined) return behaviour(question, signal);
    return Promise.reject(new PeerError('connect_failed', `${question.url} refused`));
  }
}

const warnings: readonly string[] = [];

export interface Serving {
  readonly list: ManagerList;
  /** The envelope instead of the properly signed list. */
  readonly envelope?: Uint8Array;
  readonly roots?: readonly Root[];
  readonly receipts?: boolean;
  /** The publisher's own clock, as its receipts tell it. */
  readonly nowMs?: number;
  readonly etags?: boolean;
}

/** A publisher that does everything right with what it is given. */
export function honest(serving: Serving): Behaviour {
  const { list, roots = [], receipts = true, etags = true } = serving;
  const envelope = serving.envelope ?? signedList(list);
  const payload = JSON.parse(Buffer.from(envelope).toString()).payload as string;
  const hash = sha256Tag(Buffer.from(payload, 'base64url'));
  return async ({ path, nonce, etag }) => {
    const version = /^\/v1\/root\/(\d+)$/.exec(path)?.[1];
    if (version !== undefined) {
      const root = roots.find((one) => one.version === Number(version));
      if (root === undefined) return { kind: 'absent', warnings };
      return { kind: 'document', body: signedRoot(root), warnings };
    }
    const receipt =
      receipts && nonce !== undefined
        ? { receipt: aReceipt(list, { nonce, list: hash, nowMs: serving.nowMs ?? issuedAtMs }) }
        : {};
    if (etags && etag === `"${hash}"`) return { kind: 'unchanged', ...receipt, warnings };
    return { kind: 'document', body: envelope, etag: `"${hash}"`, ...receipt, warnings };
  };
}

export const p1 = 'https://p1.acme.example:8443';
export const p2 = 'https://p2.acme.example:8443';

export const theRoot = aRoot({
  publishers: [
    { id: 'p1', url: p1, spki: [] },
    { id: 'p2', url: p2, spki: [] },
  ],
});

export const theToken = renderToken(aToken({ rootHash: sha256Tag(renderRoot(theRoot)) }));

export function joinedMemory(changes: Partial<Memory> = {}): Memory {
  const root = { envelope: signedRoot(theRoot), pin: sha256Tag(renderRoot(theRoot)) };
  return { ...newMemory(theToken, root, 0), ...changes };
}

/** wm-01 … wm-03 at 127.0.0.1 … 127.0.0.3. */
export function loopbackList(changes: Partial<ManagerList> = {}): ManagerList {
  const managers = ['1', '2', '3'].map((id) => aManager(`wm-0${id}`, { address: `127.0.0.${id}` }));
  // A fleet of one: nobody else has to be let in first.
  const client = { ...aList().client, agents: 0 };
  return aList({ managers, client, ...changes });
}

/** A disk that can be torn off at any write. */
export class FakeDisk implements MemoryFile {
  bytes: Uint8Array | undefined;
  writes = 0;
  /** The write with this number fails and leaves the old bytes. */
  failsAt = Number.POSITIVE_INFINITY;

  read(): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.bytes);
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.writes += 1;
    if (this.writes >= this.failsAt) throw new Crash('power cut at a write');
    this.bytes = bytes;
  }
}

/** The process dies here. */
export class Crash extends Error {}

/** Managers that are alive unless told otherwise. */
export class FakeManagers implements Prober {
  readonly dead = new Set<string>();
  probes = 0;

  async probe({ address }: { readonly address: string }): Promise<ProbeOutcome> {
    this.probes += 1;
    if (!this.dead.has(address)) return { kind: 'alive', tookMs: 1, ips: [address] };
    return { kind: 'dead', failure: 'silent', detail: 'after 800 ms', tookMs: 800, ips: [address] };
  }
}

/** An agent and its file; the applier writes it and moves the agent where it is told. */
export class FakeAgent {
  servers: readonly string[];
  connectedTo: string | undefined;
  running = true;
  readonly requests: ApplyRequest[] = [];
  /** What the next apply does instead of succeeding. */
  next: ((request: ApplyRequest) => ApplyResult) | undefined;
  /** The next apply takes its time. */
  slow:
    | ((request: ApplyRequest, signal: AbortSignal | undefined) => Promise<ApplyResult>)
    | undefined;
  /** The process dies before, or right after, the applier did its work. */
  crash: 'before' | 'after' | undefined;
  readonly #list: ManagerList;

  constructor(list: ManagerList, servers: readonly string[]) {
    this.#list = list;
    this.servers = servers;
    this.connectedTo = servers[0];
  }

  facts(): AgentFacts {
    return {
      installed: true,
      version: '4.14.8',
      running: this.running,
      pids: [1],
      status: this.connectedTo === undefined ? 'disconnected' : 'connected',
      waiting: this.connectedTo === undefined,
      peers: this.connectedTo === undefined ? [] : [{ address: this.connectedTo, port: 1514 }],
      upgrade: undefined,
    };
  }

  file(): FileSeen {
    return {
      kind: 'readable',
      dialect: '4',
      servers: this.servers.map((address) => ({
        address,
        port: 1514,
        protocol: 'tcp',
        maxRetries: 5,
        retryInterval: 10,
      })),
      hash: sha256Tag(Buffer.from(this.servers.join())),
    };
  }

  addressOf(id: string): string {
    return this.#list.managers.find((one) => one.id === id)?.address ?? id;
  }

  async apply(request: ApplyRequest, signal?: AbortSignal): Promise<ApplyResult> {
    if (this.crash === 'before') throw new Crash('killed before the file was written');
    this.requests.push(request);
    const { slow } = this;
    this.slow = undefined;
    if (slow !== undefined) return slow(request, signal);
    const answer = this.next;
    this.next = undefined;
    if (answer !== undefined) return answer(request);
    this.servers = request.order.map((id) => this.addressOf(id));
    if (request.move) this.connectedTo = this.servers[0];
    if (this.crash === 'after') throw new Crash('killed before the result was remembered');
    return aResult(request.move ? 'moved' : 'written');
  }
}

export function aResult(outcome: ApplyResult['outcome'], error?: PilotfishError): ApplyResult {
  return {
    outcome,
    ...(error === undefined ? {} : { reason: error.toJSON() }),
    servers: [],
    connected: outcome === 'moved',
    restarts: outcome === 'moved' ? 1 : 0,
    startedAtMs: 0,
    tookMs: 1,
    notes: [],
  };
}

export class Scene {
  readonly clock = new VirtualClock(issuedAtMs + 60_000);
  readonly random = new CountingRandom();
  readonly publishers = new FakePublishers();
  readonly files = new Map<string, Uint8Array>();
  filePaths: readonly string[] = [];
  readonly book = new PublisherBook();
  readonly disk = new FakeDisk();
  readonly managers = new FakeManagers();
  readonly agent: FakeAgent;

  constructor(list: ManagerList = loopbackList(), servers: readonly string[] = ['127.0.0.9']) {
    this.agent = new FakeAgent(list, servers);
  }

  sources(): SourceWorld {
    const { clock, random, publishers, files, filePaths, book } = this;
    const read = (path: string): Promise<Uint8Array | undefined> =>
      Promise.resolve(files.get(path));
    return { clock, random, link: publishers, files: { read }, filePaths, book };
  }

  async poll(memory: Memory, waitMs = 0) {
    const trust = await new TrustReader(undefined).read(memory, this.clock.nowMs());
    return pollSources(this.sources(), memory, trust, { waitMs });
  }

  /** A process that just started: nothing but the disk is remembered. */
  world(): World {
    const { clock, agent, managers, disk } = this;
    const settings = { rise: 3, fall: 2 };
    return {
      clock,
      log: silentLog,
      place: { agentId: '001' },
      policy: { ...defaultPolicy, spreadMs: 0, cooldownMs: 0, minApplyMs: 0 },
      memory: buildMemoryStore(disk),
      trust: new TrustReader(undefined),
      source: {
        news: async (memory, trust) => [
          await pollSources(this.sources(), memory, trust, { waitMs: 0 }),
        ],
      },
      agent: {
        readFacts: async () => agent.facts(),
        readFile: async () => agent.file(),
        readPause: async () => undefined,
      },
      health: buildHealthBook({
        clock,
        log: silentLog,
        prober: managers,
        settings,
        deadlineMs: 800,
      }),
      applier: {
        apply: (request, signal) => agent.apply(request, signal),
        restoreNewest: async () => aResult('restored'),
      },
      loss: buildLossWatch(),
    };
  }
}
