/**
 * One history in virtual time: three nodes with the real keeper, faults by a seed, agents that enrol
 * through workers and at the master's own authd, which outlives its node, peers that lie about newer
 * masters. Judged at every step (never two that serve) and at the end (nothing that was acknowledged
 * is lost, no id is given twice, what only one host knows is named there).
 */
import type { Cancel, Clock } from '../../src/clock.ts';
import { Prng } from '../../src/simulation/prng.ts';
import { pauseMs, ttlMs, World, type WorldNode } from '../../test/promotion/world.ts';

export interface HistoryPlan {
  readonly seed: number;
  readonly steps: number;
  /** A fault of our own that the judge must find. */
  readonly isBroken?: boolean;
}

export interface HistoryVerdict {
  readonly wrong: readonly string[];
  readonly masters: number;
  readonly acknowledged: number;
  readonly strays: number;
}

const stepMs = 250;
const healMs = 4 * (ttlMs + pauseMs);

/** A host whose process can stand still (its timers wait) or be gone. */
class HostClock implements Clock {
  readonly #clock: Clock;
  #isGone = false;
  #waiting: (() => void)[] | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  nowMs = (): number => this.#clock.nowMs();
  monotonicMs = (): number => this.#clock.monotonicMs();
  after = (delayMs: number, task: () => void): Cancel => {
    let isOff = false;
    const run = (): void => {
      if (!isOff && !this.#isGone) task();
    };
    const cancel = this.#clock.after(delayMs, () => {
      if (this.#waiting === undefined) run();
      else this.#waiting.push(run);
    });
    return () => {
      isOff = true;
      cancel();
    };
  };

  get isStill(): boolean {
    return this.#waiting !== undefined || this.#isGone;
  }

  stop(): void {
    this.#waiting ??= [];
  }

  go(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const task of waiting) task();
  }

  end(): void {
    this.#isGone = true;
  }
}

interface Host {
  readonly node: WorldNode;
  clock: HostClock;
  /** For so many steps it stands still, is gone or cut off. */
  faultSteps: number;
  fault: 'none' | 'stopped' | 'killed' | 'cut';
}

interface Given {
  readonly line: string;
  readonly host: Host;
}

export async function playHistory(plan: HistoryPlan): Promise<HistoryVerdict> {
  return new History(plan).play();
}

class History {
  readonly #plan: HistoryPlan;
  readonly #random: Prng;
  readonly #liar: Prng;
  readonly #world = new World();
  readonly #hosts: readonly Host[];
  readonly #acknowledged: Given[] = [];
  readonly #given: Given[] = [];
  readonly #wrong: string[] = [];
  readonly #tokens = new Set<number>();
  #count = 0;
  #downSteps = 0;

  constructor(plan: HistoryPlan) {
    this.#plan = plan;
    this.#random = new Prng(plan.seed);
    this.#liar = new Prng(plan.seed + 1_000_000);
    this.#hosts = ['m', 'w', 'v'].map((name) => ({
      node: this.#world.add(name, { minIntervalMs: 0 }),
      clock: new HostClock(this.#world.clock),
      faultSteps: 0,
      fault: 'none',
    }));
  }

  async play(): Promise<HistoryVerdict> {
    for (const host of this.#hosts) this.#start(host);
    await this.#world.clock.pass(3_000);
    for (let step = 0; step < this.#plan.steps; step += 1) {
      this.#break();
      this.#lie();
      this.#enrol();
      await this.#pass();
    }
    await this.#heal();
    this.#judgeEnd();
    await this.#world.end();
    const strays = this.#hosts.reduce((sum, { node }) => sum + node.book.strayKeys.length, 0);
    const masters = this.#tokens.size;
    return { wrong: this.#wrong, masters, acknowledged: this.#acknowledged.length, strays };
  }

  async #pass(): Promise<void> {
    await this.#world.clock.pass(stepMs);
    this.#sync();
    const serving = this.#hosts.filter((host) => this.#serves(host));
    for (const { node } of serving) this.#tokens.add(node.token);
    if (serving.length > 1) {
      const names = serving.map(({ node }) => `${node.settings.node} ${node.token}`);
      this.#wrong.push(`two serve at once: ${names.join(', ')}`);
    }
  }

  /** A process that stands still serves nobody: its gate is judged when it goes on. */
  #serves({ node, clock }: Host): boolean {
    return !clock.isStill && node.serves;
  }

  #start(host: Host): void {
    host.clock = new HostClock(this.#world.clock);
    host.node.start(host.clock);
  }

  #break(): void {
    if (this.#downSteps > 0 && --this.#downSteps === 0) this.#world.store.isDown = false;
    else if (this.#random.isHit(0.004)) {
      this.#world.store.isDown = true;
      this.#downSteps = 1 + this.#random.below(120);
    }
    for (const host of this.#hosts) {
      if (host.faultSteps > 0 && --host.faultSteps === 0) this.#mend(host);
      else if (host.fault === 'none' && this.#random.isHit(this.#chanceOf(host))) {
        this.#fault(host);
      }
    }
  }

  /** Who has the cluster key tells of a master that never was: soon to come, or far away. */
  #lie(): void {
    if (!this.#liar.isHit(0.02)) return;
    const { node, clock } = this.#liar.pick(this.#hosts);
    const token = this.#liar.isHit(0.5) ? 999_999_999_999_999 : this.#world.store.revision + 1;
    if (!clock.isStill) node.keeper?.saw(token);
  }

  #chanceOf({ node }: Host): number {
    return node.token > 0 ? 0.02 : 0.003;
  }

  #fault(host: Host): void {
    const kinds = ['stopped', 'killed', 'cut'] as const;
    host.fault = this.#random.pick(kinds);
    host.faultSteps = 1 + this.#random.below(160);
    if (host.fault === 'stopped') host.clock.stop();
    if (host.fault !== 'killed')
      host.node.engine.isCut = true; // whatever it asks waits, or fails
    else {
      host.clock.end();
      host.node.abandon();
    }
  }

  #mend(host: Host): void {
    const { fault } = host;
    host.fault = 'none';
    host.node.engine.isCut = false;
    if (fault === 'killed') this.#start(host);
    if (fault === 'stopped') host.clock.go();
  }

  /** The integrity sync: a worker of ours takes the file of the master that its record names. */
  #sync(): void {
    for (const { node, clock } of this.#hosts) {
      const { assignment } = node;
      if (clock.isStill || assignment?.kind !== 'worker' || this.#random.isHit(0.4)) continue;
      const master = this.#hosts.find((one) => one.node.settings.node === assignment.record?.node);
      if (master === undefined || !this.#serves(master)) continue;
      if (master.node.token < (node.keeper?.greatestToken ?? 0)) continue;
      node.keys.text = master.node.keys.text;
    }
  }

  #enrol(): void {
    const roll = this.#random.next();
    if (roll < 0.3) this.#enrolThrough();
    else if (roll < 0.4) this.#enrolAt();
  }

  /** As a worker's authd asks: told only when the master says that the key is on record. */
  #enrolThrough(): void {
    const master = this.#hosts.find((host) => this.#serves(host) && host.node.hooks.isOn);
    const hasWorker = this.#hosts.some(
      ({ node, clock }) => !clock.isStill && node.assignment?.kind === 'worker',
    );
    const keeper = master?.node.keeper;
    if (master === undefined || keeper === undefined || !hasWorker) return;
    const given = this.#give(master);
    const { clock } = master;
    const noted = this.#plan.isBroken === true ? Promise.resolve() : keeper.keysNoted();
    noted.then(
      () => {
        if (!clock.isStill) this.#acknowledged.push(given);
      },
      () => undefined, // the worker is told that the role moved
    );
  }

  /** At port 1515 of a host whose authd runs, whatever its node does. */
  #enrolAt(): void {
    const open = this.#hosts.filter(({ node }) => node.hooks.isOn);
    if (open.length > 0) this.#give(this.#random.pick(open));
  }

  #give(host: Host): Given {
    const { keys } = host.node;
    const ids = keys.text.split('\n').map((line) => Number(line.split(' ')[0] ?? 0));
    const id = String(Math.max(0, ...ids) + 1).padStart(3, '0');
    this.#count += 1;
    const line = `${id} agent${this.#count} any secret${this.#count}\n`;
    keys.text += line;
    const given = { line, host };
    this.#given.push(given);
    return given;
  }

  async #heal(): Promise<void> {
    this.#world.store.isDown = false;
    for (const host of this.#hosts) if (host.fault !== 'none') this.#mend(host);
    for (let passed = 0; passed < healMs; passed += stepMs) await this.#pass();
  }

  #judgeEnd(): void {
    const [master, ...more] = this.#hosts.filter((host) => this.#serves(host));
    if (master === undefined || more.length > 0) {
      this.#wrong.push(`${more.length + (master ? 1 : 0)} masters at the end`);
      return;
    }
    const { text } = master.node.keys;
    const lines = text.split('\n').filter((line) => line !== '');
    const known = new Set(lines);
    const ids = new Set(lines.map((line) => line.split(' ')[0]));
    if (ids.size !== lines.length) this.#wrong.push(`an id twice:\n${text}`);
    for (const { line } of this.#acknowledged) {
      if (!known.has(line.trimEnd())) this.#wrong.push(`lost: ${line.trimEnd()}`);
    }
    for (const { line, host } of this.#given) {
      const isNamed = host.node.book.strayKeys.some((stray) => stray.line === line.trimEnd());
      if (!known.has(line.trimEnd()) && !isNamed) {
        this.#wrong.push(`lost unseen at ${host.node.settings.node}: ${line.trimEnd()}`);
      }
    }
  }
}
