/**
 * Seeded rollouts against their invariants: the product's own publish, plan, gates and drive, a
 * fleet in virtual time, and faults (bad lists, vanishing cohorts, lost reports, a publisher that
 * is away, operators, clocks, outages that have nothing to do with the list).
 */
import type { Clock } from '../clock.ts';
import { silentLog } from '../log.ts';
import { Complaints } from '../publisher/complaints.ts';
import { type ConfiguredContent, type Content, isSameContent } from '../publisher/content.ts';
import type { PublishedList, RolloutMark } from '../publisher/history.ts';
import { publishConfigured, resignOrder } from '../publisher/orders.ts';
import { type PublishDesk, publish } from '../publisher/publish.ts';
import { buildAgentBook } from '../publisher/reports/agent-book.ts';
import type { GateSettings } from '../publisher/rollout/gate.ts';
import { planRollout, type RolloutSettings } from '../publisher/rollout/plan.ts';
import { tendRollout } from '../publisher/rollout/tend.ts';
import { Prng } from './prng.ts';
import { RolloutFleet } from './rollout-fleet.ts';
import { MemoryHistory } from './rollout-history.ts';
import { checkEnd, checkFleet, checkStep, type RolloutViolation } from './rollout-rules.ts';

export interface RolloutRun {
  readonly desk: Pick<PublishDesk, 'root' | 'listKey'>;
  readonly startMs: number;
  readonly first: ConfiguredContent;
  /** What is rolled out: good, or valid, signed and of no use to anybody. */
  readonly change: ConfiguredContent;
  works(content: Content): boolean;
  readonly agents: number;
  /** False: nothing goes wrong but the list itself. */
  readonly hasFaults: boolean;
  readonly stages?: RolloutSettings['stages'];
}

export interface RolloutOutcome {
  readonly end: 'done' | 'halted' | 'aborted' | 'stuck';
  readonly why: string;
  readonly violations: readonly RolloutViolation[];
  /** Agents that ever held the new content. */
  readonly reached: number;
  readonly tookMs: number;
  readonly versions: number;
}

const stepMs = 5_000;
const maxSteps = 600;
const shortStages = [1, 5, 25, 100].map((percent) => ({ percent, bakeMs: 60_000 }));
const gates: GateSettings = { reportedPct: 95, silenceMs: 120_000, marginPct: 1, maxRestores: 3 };

class StepClock implements Clock {
  atMs: number;
  monoMs = 0;
  constructor(atMs: number) {
    this.atMs = atMs;
  }
  nowMs = (): number => this.atMs;
  monotonicMs = (): number => this.monoMs;
  after = (): never => {
    throw new Error('this clock has no timers');
  };
}

export async function runRollout(seed: number, run: RolloutRun): Promise<RolloutOutcome> {
  const random = new Prng(seed);
  const clock = new StepClock(run.startMs);
  const history = new MemoryHistory();
  const book = buildAgentBook([]);
  const settings: RolloutSettings = {
    isEnabled: true,
    minAgents: 20,
    stages: run.stages ?? shortStages,
    removalPercent: 25,
  };
  const desk: PublishDesk = {
    ...run.desk,
    history,
    clock,
    plan: (before, content) => {
      const stable = history.find(before.rollout?.stableVersion ?? before.version) ?? before;
      return planRollout({
        version: before.version + 1,
        stableVersion: stable.version,
        stable: stable.content,
        content,
        rows: book.rows(),
        settings,
        nowMs: clock.nowMs(),
        ...(before.rollout === undefined ? {} : { salt: before.rollout.salt }),
        newSalt: () => `salt-${random.below(2 ** 30)}`,
      });
    },
  };
  await publish(desk, publishConfigured(run.first));
  const first = requireEntry(history.newest());
  const fleet = new RolloutFleet(
    { agents: run.agents, sites: 8, everySec: 60 },
    first,
    random,
    run.works,
  );
  const world = new World({ random, clock, desk, history, book, fleet, run });
  return world.play();
}

interface Parts {
  readonly random: Prng;
  readonly clock: StepClock;
  readonly desk: PublishDesk;
  readonly history: MemoryHistory;
  readonly book: ReturnType<typeof buildAgentBook>;
  readonly fleet: RolloutFleet;
  readonly run: RolloutRun;
}

/** What an operator says in one step: mostly nothing. */
const words = [
  ...Array.from({ length: 44 }, () => 'nothing' as const),
  ...(['paused', 'resumed', 'resumed', 'resumed', 'resumed'] as const),
];

function wordOf(word: (typeof words)[number], isAborted: boolean): RolloutMark['kind'] {
  if (isAborted || word === 'nothing') return 'aborted';
  return word;
}

class World {
  readonly #parts: Parts;
  readonly #reached = new Set<string>();
  readonly #isOld = new WeakMap<PublishedList, boolean>();
  readonly #violations: RolloutViolation[] = [];
  readonly #complaints: Complaints;
  #awayUntilStep = -1;
  #heardSinceMs: number;
  #frozenUntilStep = -1;
  #outageUntilStep = -1;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#heardSinceMs = parts.clock.monoMs;
    this.#complaints = new Complaints(silentLog, parts.clock.nowMs);
  }

  async play(): Promise<RolloutOutcome> {
    const { clock, desk, run, history } = this.#parts;
    for (let step = 0; step < 3; step += 1) this.#fleetStep(); // everybody has reported once
    await publish(desk, publishConfigured(run.change));
    const startMs = clock.monoMs;
    let step = 0;
    for (; step < maxSteps && history.newest()?.rollout !== undefined; step += 1) {
      if (run.hasFaults) await this.#faults(step);
      await this.#publisherStep(step);
      this.#fleetStep();
    }
    const tookMs = clock.monoMs - startMs;
    for (const agent of this.#parts.fleet.agents) agent.isGone = false;
    for (let after = 0; after < 5; after += 1) this.#fleetStep();
    return this.#outcome(tookMs);
  }

  /** What polls and reports bring in one step; a publisher that is away brings nothing. */
  #fleetStep(isAway = false): void {
    const { clock, fleet, history, book } = this.#parts;
    clock.atMs += stepMs;
    clock.monoMs += stepMs;
    const newest = requireEntry(history.newest());
    if (!isAway) fleet.poll(newest, clock.atMs);
    for (const row of fleet.reports(clock.atMs)) if (!isAway) book.take(row);
    for (const { id, held } of fleet.agents) {
      if (!this.#isFirst(held)) this.#reached.add(id);
    }
    this.#violations.push(...checkFleet(history, fleet));
  }

  #isFirst(entry: PublishedList): boolean {
    const known = this.#isOld.get(entry);
    if (known !== undefined) return known;
    const first = requireEntry(this.#parts.history.entries[0]);
    const isOld = isSameContent(entry.content, first.content);
    this.#isOld.set(entry, isOld);
    return isOld;
  }

  async #publisherStep(step: number): Promise<void> {
    const { desk, book, history, clock } = this.#parts;
    if (step < this.#awayUntilStep) this.#heardSinceMs = clock.monoMs;
    if (step < this.#awayUntilStep) return;
    const before = requireEntry(history.newest());
    const nowMs = clock.nowMs();
    const isHeld = step < this.#frozenUntilStep;
    const ground = {
      rows: () => book.rows(),
      settings: () => gates,
      heardMs: () => clock.monoMs - this.#heardSinceMs,
      frozen: () => (isHeld ? 'a window' : undefined),
    };
    await tendRollout(desk, ground, { log: silentLog, complaints: this.#complaints });
    const after = requireEntry(history.newest());
    const mark = before.rollout === undefined ? undefined : history.markOf(before.rollout.id);
    const isPaused = mark?.kind === 'paused' || isHeld;
    this.#violations.push(
      ...checkStep({ before, after, history, isPaused, rows: book.rows(), nowMs }),
    );
  }

  async #faults(step: number): Promise<void> {
    const { random, fleet, clock, desk, history } = this.#parts;
    const some = (share: number) => fleet.agents.filter(() => random.isHit(share));
    if (random.isHit(0.03)) for (const agent of some(0.3)) agent.isMute = !agent.isMute;
    if (random.isHit(0.02)) for (const agent of some(random.next())) agent.isGone = true;
    if (random.isHit(0.05)) for (const agent of fleet.agents) agent.isGone = false;
    if (random.isHit(0.03)) this.#awayUntilStep = step + random.below(20);
    if (random.isHit(0.03)) this.#frozenUntilStep = step + random.below(20);
    if (random.isHit(0.02)) clock.atMs += (random.next() - 0.5) * 240_000;
    if (random.isHit(0.01)) this.#outageUntilStep = step + random.below(10);
    const isOut = step < this.#outageUntilStep;
    if (isOut) for (const agent of some(0.4)) agent.isSick = true;
    else for (const agent of fleet.agents) agent.isSick = agent.isSick && random.isHit(0.7);
    if (random.isHit(0.02)) await publish(desk, resignOrder(this.#parts.run.first));
    const record = history.newest()?.rollout;
    if (record === undefined) return;
    const kind = random.pick(words);
    const isAborted = random.isHit(0.003);
    if (kind === 'nothing' && !isAborted) return;
    if (history.markOf(record.id)?.kind === 'aborted') return;
    const mark = { id: record.id, who: 'op', why: '', atMs: clock.nowMs() };
    history.mark({ ...mark, kind: wordOf(kind, isAborted) });
  }

  #outcome(tookMs: number): RolloutOutcome {
    const { history, fleet, run } = this.#parts;
    const newest = requireEntry(history.newest());
    const isOpen = newest.rollout !== undefined;
    const last = [...history.entries]
      .reverse()
      .find(({ reason }) => reason === 'halt' || reason === 'rollout');
    const closed = last?.reason === 'halt' ? 'halted' : 'done';
    const end = isOpen ? 'stuck' : closed;
    const violations = [...this.#violations, ...checkEnd(history, fleet, run.works)];
    return {
      end: end === 'halted' && /aborted by/.test(last?.detail ?? '') ? 'aborted' : end,
      why: last?.detail ?? '',
      violations,
      reached: this.#reached.size,
      tookMs,
      versions: history.entries.length,
    };
  }
}

function requireEntry(entry: PublishedList | undefined): PublishedList {
  if (entry !== undefined) return entry;
  throw new TypeError('nothing was published');
}
