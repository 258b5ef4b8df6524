/**
 * Agents that differ in nothing but their name and in which manager is their first, second, third:
 * what the real `decide` says of one it says of all of them, with its own order filled in. Only
 * calm situations form classes (connected to a manager that list and probes call up, at most one
 * manager dead); whatever counts time or slots is asked agent by agent. Now and then one of a
 * class is asked all the same: an answer that differs ends the run, for then the class was none.
 */
import { isDeepStrictEqual } from 'node:util';
import { happenedAfter } from '../sidecar/decide-view.ts';
import type { Step } from '../sidecar/step.ts';
import { agentState } from './fleet.ts';
import type { Published } from './published-list.ts';
import { numberOf, publishedOf, situationOf } from './situation.ts';
import type { World } from './world.ts';

const verdictBits = { unknown: 0, up: 1, down: 2 } as const;
const askedAgainEvery = 1_024;
/** Patterns of longer files do not fit into one number. */
const maxWidth = 12;

interface Known {
  readonly kind: 'stay' | 'write';
  readonly step: Step;
  /** Of the order to write: places in the agent's own ranking. */
  readonly places: readonly number[];
}

class StepClasses {
  readonly #byView = new Map<number, Map<number, Known>>();
  #hits = 0;

  /** What was decided for another agent of this one's class; undefined: it is asked itself. */
  find(world: World, agent: number): Step | undefined {
    const key = keyOf(world, agent);
    const known = key && this.#byView.get(key.view)?.get(key.file);
    if (known === undefined) return undefined;
    const step = fill(world, agent, known);
    this.#hits += 1;
    if (this.#hits % askedAgainEvery === 0) askAgain(world, agent, step);
    return step;
  }

  /** Call it before the step changes anything. */
  note(world: World, agent: number, step: Step): void {
    if (step.kind !== 'stay' && step.kind !== 'write') return;
    const key = keyOf(world, agent);
    if (key === undefined) return;
    const order = step.kind === 'write' ? step.order : [];
    const places = order.map((id) => placeOf(world, agent, numberOf(id)));
    const byFile = this.#byView.get(key.view) ?? new Map<number, Known>();
    this.#byView.set(key.view, byFile);
    byFile.set(key.file, { kind: step.kind, step, places });
  }
}

const kept = new WeakMap<World, StepClasses>();

export function classesOf(world: World): StepClasses {
  const known = kept.get(world);
  if (known !== undefined) return known;
  const fresh = new StepClasses();
  kept.set(world, fresh);
  return fresh;
}

function fill(world: World, agent: number, { step, places }: Known): Step {
  if (step.kind !== 'write') return step;
  const { fleet } = world;
  const byNumber = publishedOf(world, agent)?.byNumber ?? [];
  const order = places.map(
    (place) => byNumber[fleet.ranking[agent * fleet.width + place] ?? -1]?.id ?? '',
  );
  return { ...step, order };
}

function askAgain(world: World, agent: number, step: Step): void {
  const situation = situationOf(world, agent);
  const decided = situation && world.logic.decide(situation).step;
  if (isDeepStrictEqual(decided, step)) return;
  const [told, asked] = [JSON.stringify(step), JSON.stringify(decided)];
  throw new Error(`agent ${agent}: its class is told ${told}, itself ${asked}`);
}

interface Key {
  /** List, place of the manager in use, verdicts by place, whether a write may be. */
  readonly view: number;
  /** The file's entries, by place. */
  readonly file: number;
}

function keyOf(world: World, agent: number): Key | undefined {
  const { fleet, settings } = world;
  if (settings.isExact || fleet.width > maxWidth) return undefined;
  if (fleet.state[agent] !== agentState.connected || fleet.isFileWhole[agent] !== 1) {
    return undefined;
  }
  const on = fleet.on[agent] ?? -1;
  if (settings.hasRelay && !isAtHomeInRelay(world, agent)) return undefined;
  const here = publishedOf(world, agent)?.byNumber[on];
  const memory = fleet.memory[agent];
  if (here?.state !== 'up' || memory?.held !== undefined || memory?.lastManager !== here.id) {
    return undefined;
  }
  const verdicts = verdictsOf(world, agent, publishedOf(world, agent));
  if (verdicts === undefined) return undefined;
  const place = placeOf(world, agent, on);
  const list = fleet.rankedList[agent] ?? 0;
  const bits = mayWrite(world, agent) ? 1 : 0;
  return {
    view: ((list * fleet.width + place) * 3 ** fleet.width * 2 + verdicts) * 2 + bits,
    file: filePattern(world, agent),
  };
}

/** Elsewhere the way home, or into the relay, is a matter of slots. */
function isAtHomeInRelay({ fleet }: World, agent: number): boolean {
  const isHome = fleet.on[agent] === fleet.ranking[agent * fleet.width];
  return isHome && fleet.isRelayed[agent] === 1 && fleet.fileHasRelay[agent] === 1;
}

/** Verdicts in the agent's own order, and whether all of them are old enough to tidy up. */
function verdictsOf(
  world: World,
  agent: number,
  published: Published | undefined,
): number | undefined {
  const { fleet, policy, pristine } = world;
  const start = agent * fleet.width;
  const nowMs = world.wallMs(agent);
  // Up since a day before the world began: nothing to look at, unless the clock was set back.
  const neverFell = (fleet.clockOffsetMs[agent] ?? 0) >= 0;
  let [verdicts, isOld, dead] = [0, 1, 0];
  for (let place = 0; place < (fleet.rankingLength[agent] ?? 0); place += 1) {
    const manager = fleet.ranking[start + place] ?? -1;
    const health = fleet.health[start + manager];
    if (neverFell && health === pristine[manager]) {
      if (published?.byNumber[manager]?.state === 'drain') return undefined;
      verdicts = verdicts * 3 + verdictBits.up;
      continue;
    }
    if (health === undefined || health.verdict === 'unknown') return undefined;
    if (health.verdict === 'down') dead += 1;
    if (health.verdict === 'down' && manager === fleet.on[agent]) return undefined;
    if (published?.byNumber[manager]?.state === 'drain') return undefined;
    // The very words of `decide`: at the boundary another spelling rounds otherwise.
    if (!(nowMs - health.sinceAtMs >= policy.settleMs)) isOld = 0;
    verdicts = verdicts * 3 + verdictBits[health.verdict];
  }
  return dead > 1 ? undefined : verdicts * 2 + isOld;
}

function mayWrite(world: World, agent: number): boolean {
  const nowMs = world.wallMs(agent);
  const fromMs = nowMs - world.policy.minApplyMs;
  for (const { outcome, atMs } of world.fleet.memory[agent]?.attempts ?? []) {
    if (outcome === 'done' && happenedAfter(atMs, fromMs, nowMs)) return false;
  }
  return true;
}

function filePattern(world: World, agent: number): number {
  const { fleet } = world;
  const isOwn = fleet.isOwnOrder(agent);
  let pattern = 1;
  for (let place = 0; place < (fleet.fileLength[agent] ?? 0); place += 1) {
    const own = isOwn ? place : placeOf(world, agent, fleet.entry(agent, place));
    pattern = pattern * (fleet.width + 1) + own + 1;
  }
  return pattern;
}

/** Of a manager in this agent's own order; -1 for one that is not in it. */
function placeOf({ fleet }: World, agent: number, manager: number): number {
  const start = agent * fleet.width;
  for (let place = 0; place < (fleet.rankingLength[agent] ?? 0); place += 1) {
    if (fleet.ranking[start + place] === manager) return place;
  }
  return -1;
}
