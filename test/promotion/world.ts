/** Nodes that may have the role, in virtual time: the real keeper, an engine in memory, small fakes. */

import type { Cancel, Clock } from '../../src/clock.ts';
import { PeerError } from '../../src/errors.ts';
import type { Holder, LeaseEngine, Look, Taken, Written } from '../../src/leader/engine.ts';
import { silentLog } from '../../src/log.ts';
import { keysFacts, type StrayKey } from '../../src/promotion/client-keys.ts';
import type { TextSeal } from '../../src/promotion/keys-steps.ts';
import type {
  Assignment,
  KeysFile,
  Order,
  PromotionSettings,
  PromotionStatus,
  RoleBook,
  RoleHooks,
  RoleMemory,
} from '../../src/promotion/ports.ts';
import { parseRecord, type RoleRecord } from '../../src/promotion/record.ts';
import { RoleKeeper } from '../../src/promotion/role-keeper.ts';

export const ttlMs = 15_000;
export const pauseMs = 5_000;

/** Virtual time; between two timers every promise of memory alone goes on. */
export class PassingClock implements Clock {
  #ms = 0;
  #timers: { readonly atMs: number; readonly task: () => void }[] = [];

  nowMs = (): number => Date.UTC(2026, 0, 1) + this.#ms;
  monotonicMs = (): number => this.#ms;

  after = (delayMs: number, task: () => void): Cancel => {
    const timer = { atMs: this.#ms + delayMs, task };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  };

  async pass(forMs: number): Promise<void> {
    const endMs = this.#ms + forMs;
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const atMs = Math.min(...this.#timers.map((timer) => timer.atMs));
      if (atMs > endMs) break;
      this.#ms = Math.max(this.#ms, atMs);
      const due = this.#timers.filter((timer) => timer.atMs <= this.#ms);
      this.#timers = this.#timers.filter((timer) => timer.atMs > this.#ms);
      for (const { task } of due) task();
    }
    this.#ms = endMs;
  }
}

/** One seat and one state, as etcd keeps them. */
export class MemoryStore {
  readonly clock: Clock;
  revision = 1;
  seat: { readonly name: string; readonly token: number; endsAtMs: number } | undefined;
  state: { readonly bytes: Uint8Array; readonly revision: number } | undefined;
  /** Nobody is answered. */
  isDown = false;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  holder(): Holder | undefined {
    if (this.seat !== undefined && this.clock.monotonicMs() >= this.seat.endsAtMs) {
      this.seat = undefined;
    }
    const { seat } = this;
    return seat && { name: seat.name, url: '', token: seat.token };
  }

  record(): RoleRecord | undefined {
    return this.state && parseRecord(this.state.bytes);
  }
}

/** The engine of one node; `isCut`: its way to the store is. */
export class MemoryEngine implements LeaseEngine {
  readonly ttlMs = ttlMs;
  readonly #store: MemoryStore;
  readonly #name: string;
  isCut = false;

  constructor(store: MemoryStore, name: string) {
    this.#store = store;
    this.#name = name;
  }

  async take(): Promise<Taken> {
    const store = this.#reach();
    const holder = store.holder();
    if (holder !== undefined) return { kind: 'held', holder };
    const token = ++store.revision;
    store.seat = { name: this.#name, token, endsAtMs: store.clock.monotonicMs() + ttlMs };
    return { kind: 'taken', token };
  }

  async renew(token: number): Promise<'renewed' | 'lost'> {
    const store = this.#reach();
    if (store.holder()?.token !== token || store.seat === undefined) return 'lost';
    store.seat.endsAtMs = store.clock.monotonicMs() + ttlMs;
    return 'renewed';
  }

  async leave(token: number): Promise<void> {
    const store = this.#reach();
    if (store.holder()?.token === token) store.seat = undefined;
  }

  async look(knownRevision: number): Promise<Look> {
    const store = this.#reach();
    const holder = store.holder();
    const { state } = store;
    if (state === undefined) return { holder, revision: 0 };
    const isKnown = state.revision === knownRevision;
    return { holder, revision: state.revision, ...(isKnown ? {} : { state }) };
  }

  async write(token: number, knownRevision: number, bytes: Uint8Array): Promise<Written> {
    const store = this.#reach();
    const holder = store.holder();
    if (holder?.token !== token) return { kind: 'fenced', holder };
    if ((store.state?.revision ?? 0) !== knownRevision) return { kind: 'raced' };
    store.state = { bytes, revision: ++store.revision };
    return { kind: 'written', revision: store.state.revision };
  }

  #reach(): MemoryStore {
    if (!this.isCut && !this.#store.isDown) return this.#store;
    throw new PeerError('leader_unreachable', 'cut off');
  }
}

/** Seals nothing: what it makes is told from plain text by its mark alone. */
export const openSeal: TextSeal = {
  seal: (plaintext) => `sealed ${Buffer.from(plaintext).toString('base64')}`,
  open: (sealed) => Buffer.from(sealed.slice('sealed '.length), 'base64'),
};

class MemoryKeys implements KeysFile {
  text = '';
  read = async () => {
    const bytes = Buffer.from(this.text);
    return { bytes, facts: keysFacts(bytes) };
  };
  replace = async (bytes: Buffer) => {
    this.text = bytes.toString();
  };
}

class MemoryBook implements RoleBook {
  memory: RoleMemory = { greatestToken: 0, ownToken: 0, wasMaster: false, record: undefined };
  readonly orders: Order[] = [];
  status: PromotionStatus | undefined;
  readonly copies = new Map<number, Buffer>();
  readonly strayKeys: StrayKey[] = [];
  read = () => this.memory;
  /** Its disk takes nothing more. */
  isFull = false;
  write = (memory: RoleMemory) => {
    if (!this.isFull) this.memory = memory;
    return !this.isFull;
  };
  takeOrder = () => this.orders.shift();
  tell = (status: PromotionStatus) => {
    this.status = status;
  };
  putAside = async (token: number, bytes: Buffer) => void this.copies.set(token, bytes);
  aside = async () => [...this.copies].map(([token, bytes]) => ({ token, bytes }));
  settleAside = async (token: number, strays: readonly StrayKey[]) => {
    this.copies.delete(token);
    this.strayKeys.push(...strays);
    return `stray-${token}`;
  };
  strays = () => [];
}

class CountedHooks implements RoleHooks {
  /** What is done to the host's daemons, in order. */
  readonly done: string[] = [];
  /** Does authd run here? */
  isOn = false;
  seen: string | undefined;
  failing: readonly string[] = [];
  start = async (): Promise<readonly string[]> => {
    this.done.push('start');
    this.isOn = true;
    return this.failing;
  };
  stop = async (): Promise<readonly string[]> => {
    this.done.push('stop');
    this.isOn = false;
    return [];
  };
  follow = async (): Promise<readonly string[]> => {
    this.done.push('follow');
    return [];
  };
  writeRole = async (role: string) => {
    this.done.push(role);
    return [];
  };
  fault = async () => this.seen;
}

export class WorldNode {
  readonly settings: PromotionSettings;
  readonly engine: MemoryEngine;
  readonly keys = new MemoryKeys();
  readonly book = new MemoryBook();
  readonly hooks = new CountedHooks();
  readonly roles: string[] = [];
  keeper: RoleKeeper | undefined;
  assignment: Assignment | undefined;
  /** Runs when the role of worker ends. */
  atEnd: () => void = () => undefined;
  /** Thrown by the node in the role of master. */
  fault: Error | undefined;
  readonly #store: MemoryStore;
  #stop = new AbortController();
  #done: Promise<void> = Promise.resolve();
  #life = 0;

  constructor(store: MemoryStore, name: string, change: Partial<PromotionSettings> = {}) {
    this.#store = store;
    this.engine = new MemoryEngine(store, name);
    this.settings = {
      ...{ mode: 'automatic', node: name, isCandidate: true, isConfiguredMaster: name === 'm' },
      ...{ address: `${name}.example.org`, port: 1516, pauseMs, minIntervalMs: 600_000 },
      ...change,
    };
  }

  get token(): number {
    return this.assignment?.kind === 'master' ? this.assignment.token : 0;
  }

  /** Would it serve a worker at this very instant? */
  get serves(): boolean {
    return this.token > 0 && this.keeper?.holds(this.token) === true;
  }

  /** As `kill -9` leaves it: whatever it was about to do is never done. */
  abandon(): void {
    this.#life += 1;
    this.assignment = undefined;
    this.keeper = undefined;
    this.#done = Promise.resolve();
  }

  start(clock: Clock = this.#store.clock): void {
    this.#stop = new AbortController();
    const random = { bytes: (length: number) => new Uint8Array(length), fraction: () => 0.5 };
    this.keeper = new RoleKeeper(this.settings, {
      ...{ engine: this.engine, clock, random, log: silentLog, keys: this.keys, seal: openSeal },
      ...{ book: this.book, hooks: this.hooks },
      complaints: { begin: () => undefined, end: () => undefined },
    });
    const running = this.keeper.run(this.#stop.signal, (...role) => this.#role(...role));
    running.catch(() => undefined);
    this.#done = running;
  }

  order(kind: Order['kind'], force = false): void {
    const id = `${this.book.orders.length}`;
    this.book.orders.push({ kind, force, id, atMs: this.#store.clock.nowMs() });
  }

  /** Tells it to end; `pass` time until it has. */
  end(): Promise<void> {
    this.#stop.abort(new Error('the test ends'));
    return this.#done;
  }

  async #role(assignment: Assignment, until: AbortSignal, listening: (w: () => []) => void) {
    const life = this.#life;
    this.assignment = assignment;
    this.roles.push(assignment.kind);
    this.hooks.done.push(`role ${assignment.kind}`);
    if (assignment.kind === 'master' && this.fault !== undefined) throw this.fault;
    listening(() => []);
    await new Promise<void>((resolve) => {
      until.addEventListener('abort', () => resolve(), { once: true });
    });
    this.hooks.done.push(`end ${assignment.kind}`);
    if (assignment.kind === 'worker') this.atEnd();
    if (life === this.#life) this.assignment = undefined;
  }
}

/** Two or more nodes around one store; ends them in virtual time. */
export class World {
  readonly clock = new PassingClock();
  readonly store = new MemoryStore(this.clock);
  readonly nodes: WorldNode[] = [];

  add(name: string, change: Partial<PromotionSettings> = {}): WorldNode {
    const node = new WorldNode(this.store, name, change);
    this.nodes.push(node);
    return node;
  }

  async end(): Promise<void> {
    const ends = this.nodes.map((node) => node.end());
    await this.clock.pass(70_000);
    await Promise.all(ends);
  }

  servers(): readonly string[] {
    return this.nodes.filter(({ serves }) => serves).map(({ settings }) => settings.node);
  }
}
