/**
 * The sidecar's main job: published list -> verify -> observe -> decide -> remember -> act.
 * It looks at what is, takes at most one step, and keeps nothing in mind that the next cycle could
 * not see for itself: a crash anywhere is repaired by the next one.
 */
import type { ApplyResult } from '../applier/result.ts';
import { strataOf } from '../list/rollout.ts';
import { type ActGround, act, isUrgent } from './act.ts';
import { decide } from './decide.ts';
import { watchTarget } from './escape.ts';
import type { Memory } from './memory.ts';
import { observe } from './observe.ts';
import { rememberNews, rememberResult, rememberStep } from './remember.ts';
import type { RankedList, Seen } from './seen.ts';
import { rankedList, situationOf } from './situation.ts';
import type { News } from './source.ts';
import type { Decision, Step } from './step.ts';
import type { Trust } from './trust.ts';
import type { World } from './world.ts';

/** Everything one cycle saw and did, for `status` and the log. */
export interface CycleReport {
  readonly atMs: number;
  readonly memory: Memory;
  readonly trust: Trust;
  readonly news: readonly News[];
  /** Absent while this host has never accepted a list. */
  readonly list?: RankedList;
  readonly seen?: Seen;
  readonly decision: Decision;
  readonly result?: ApplyResult;
}

export async function runCycle(world: World): Promise<CycleReport> {
  const { memory, trust, news } = await newestVerifiedList(world); // a bad publication changes nothing
  const list = rankedList(world.place, memory, trust);
  if (list === undefined) return waitForList(world, memory, trust, news);
  const seen = await observe(world, list);
  const situation = situationOf(world, { memory, trust, list, seen });
  const decision = decide(situation);
  const intended = rememberStep(situation.memory, decision.step, world.clock.nowMs());
  // First: a crash below is repaired. Who leaves a dead manager does not wait for a disk.
  if (isOfChoice(decision.step)) await world.memory.write(intended);
  else await keep(world, intended);
  const result = await actWatched(world, { memory: intended, list, seen }, decision.step);
  const report = { atMs: situation.nowMs, trust, news, list, seen, decision };
  if (result === undefined) return { ...report, memory: intended };
  const { step } = decision;
  const ended = rememberResult(intended, {
    step,
    listHash: list.hash,
    result,
    nowMs: world.clock.nowMs(),
  });
  await keep(world, ended);
  return { ...report, memory: ended, result };
}

function isOfChoice(step: Step): boolean {
  return step.kind === 'write' || (step.kind === 'move' && !isUrgent(step.reason));
}

async function keep({ memory: store, log }: World, memory: Memory): Promise<void> {
  const fault = await store.keep(memory);
  if (fault === undefined) return;
  log.warn('memory.kept_in_mind', { code: fault.code, message: fault.message });
}

/** While the agent is being moved its target may die: then waiting for it ends. */
async function actWatched(
  world: World,
  ground: Omit<ActGround, 'signal'>,
  step: Step,
): Promise<ApplyResult | undefined> {
  if (step.kind === 'move' || step.kind === 'switch') {
    // Before anything is touched: whoever watches the agent knows why it is about to stop.
    world.log.info('move.begun', { step: step.kind, to: step.to, why: step.reason });
  }
  const watched = watchTarget(world, step);
  try {
    return await act(world, { ...ground, signal: watched.signal }, step);
  } finally {
    watched.stop();
  }
}

interface Known {
  readonly memory: Memory;
  readonly trust: Trust;
  readonly news: readonly News[];
}

/** What is remembered, plus what proved itself since. It is on disk before anything acts on it. */
async function newestVerifiedList(world: World): Promise<Known> {
  const before = await world.memory.read();
  const trustBefore = await world.trust.read(before, world.clock.nowMs());
  const news = await world.source.news(before, trustBefore);
  const { os, agentVersion } = world.place;
  const { site } = trustBefore.audience;
  const strata = os === undefined ? [] : strataOf({ site, os, agentVersion });
  const memory = news.reduce(
    (known, one) => rememberNews(known, one, world.place.agentId, world.clock.nowMs(), strata),
    before,
  );
  const isTrust = news.some(({ roots, list }) => roots.length > 0 || list !== undefined);
  if (isTrust) await world.memory.write(memory);
  else await keep(world, memory);
  return { memory, trust: await world.trust.read(memory, world.clock.nowMs()), news };
}

function waitForList(
  world: World,
  memory: Memory,
  trust: Trust,
  news: readonly News[],
): CycleReport {
  const decision: Decision = {
    step: { kind: 'stay', reason: 'nothing_known' },
    trace: ['list: none was ever accepted here; the agent keeps its own configuration'],
  };
  return { atMs: world.clock.nowMs(), memory, trust, news, decision };
}
